"""`regime=lora`, `qlora` and `full` train; `regime=adapter` scores what another run has trained."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from chmed_ner.backbone import Backbone, CausalLM, Regime, Task, note_weights
from chmed_ner.errors import InputError, first_line
from chmed_ner.files import sha256_of
from chmed_ner.knobs import LAYERS, NAMES_RUN, Count, Positive, Share, one_of
from chmed_ner.model import Generator, LoadedModel
from chmed_ner.track import RunRecord, find_run
from chmed_ner.train.tuned import Tuned
from chmed_ner.train.tuned_weights import (
    ADAPTER_FOLDER,
    MODEL_FOLDER,
    check_tuned,
    save_adapter,
    save_model,
    share_folder,
    tuned_folder,
    tuned_generator,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class LoRA(Tuned):
    """Instruct-tuning with low-rank adapters, saved in `<run>/adapter`; quantised: QLoRA."""

    name = "lora"

    rank: Count
    alpha: Positive | None
    dropout: Share
    targets: Annotated[Any, LAYERS]
    quantization: Annotated[str, one_of("nf4", "int8")] | None

    def backbone(self, backbone: Backbone) -> CausalLM:
        """The backbone, quantised if that is asked for; InputError when it cannot be."""
        found = super().backbone(backbone)
        kind = self.quantization
        return found.quantized(kind, "regime.quantization") if kind else found

    def prepared(self, loaded: LoadedModel) -> Any:
        """The model with fresh adapters in float32, everything else frozen."""
        return with_adapter(
            loaded.model,
            rank=self.rank,
            alpha=self.alpha or 2.0 * self.rank,
            dropout=self.dropout,
            targets=self.targets,
        )

    def state(self, model: Any) -> dict[str, Any]:
        """The adapter's tensors, under PEFT's names."""
        from peft import get_peft_model_state_dict

        found: dict[str, Any] = get_peft_model_state_dict(model)
        return found

    def save(self, loaded: LoadedModel, model: Any, state: Mapping[str, Any], task: Task) -> None:
        """Write the adapter."""
        base = str(loaded.model.name_or_path)
        save_adapter(model, state, task.directory / ADAPTER_FOLDER, base)


def with_adapter(model: Any, *, rank: int, alpha: float, dropout: float, targets: Any) -> Any:
    """`model` with fresh LoRA adapters in float32 on its linear layers, everything else frozen.

    InputError: `targets` names no layer, or one that cannot have an adapter.
    """
    from peft import LoraConfig, get_peft_model
    from peft.tuners.lora import LoraLayer

    config = LoraConfig(
        r=rank,
        lora_alpha=alpha,
        lora_dropout=dropout,
        target_modules=targets,
        task_type="CAUSAL_LM",
    )
    try:
        tuned = get_peft_model(model, config)
    except ValueError as error:
        raise InputError(f"regime.targets={targets}: {first_line(error)}") from None
    head, embeddings = model.get_output_embeddings(), model.get_input_embeddings()
    if head.weight is embeddings.weight and any(
        isinstance(module, LoraLayer) for module in (head, embeddings)
    ):
        raise InputError(
            f"regime.targets={targets}: output head and embeddings are one matrix in this model "
            "and take no adapter; leave them out"
        )
    return tuned


@dataclass(frozen=True, kw_only=True)
class Full(Tuned):
    """Instruct-tuning of all weights, saved in `<run>/model`, a checkpoint of its own.

    A parameter takes 20 bytes while it trains: weight, float32 master, gradient, two moments of
    AdamW, copy of the kept epoch (2 + 4 + 4 + 8 + 2; in float32 4 + 4 + 8 + 4).
    """

    name = "full"

    def backbone(self, backbone: Backbone) -> CausalLM:
        """The backbone; InputError: no weights, or weights that cannot be trained."""
        found = super().backbone(backbone)
        if found.quantization != "none":
            raise InputError(
                f"backbone.quantization={found.quantization}: regime=full trains every weight, "
                "and quantised ones cannot be; use regime=qlora"
            )
        if found.dtype == "float16":
            raise InputError(
                "backbone.dtype=float16: gradients of regime=full would vanish in its range; use "
                "bfloat16 or float32"
            )
        return found

    def prepared(self, loaded: LoadedModel) -> Any:
        """The model, every parameter requiring a gradient."""
        model = loaded.model.requires_grad_(True)
        count = sum(parameter.numel() for parameter in model.parameters())
        log.info(
            "full tuning of %.0f million parameters: about %.1f GiB besides activations",
            count / 1e6,
            count * 20 / 2**30,
        )
        return model

    def state(self, model: Any) -> dict[str, Any]:
        """Every parameter in the model's precision; a tied matrix once."""
        return dict(model.named_parameters())

    def save(self, loaded: LoadedModel, model: Any, state: Mapping[str, Any], task: Task) -> None:
        """Write the model."""
        import torch

        with torch.no_grad():
            for name, parameter in model.named_parameters():
                parameter.copy_(state[name])
        save_model(model, loaded.tokenizer, task.directory / MODEL_FOLDER)


@dataclass(frozen=True, kw_only=True)
class SavedAdapter(Regime):
    """The adapter, or the tuned model, of the run `path`, on the backbone it was trained on."""

    name = "adapter"

    path: Annotated[str, NAMES_RUN]

    def source(self) -> tuple[Path, RunRecord]:
        """The directory and record of the run that the adapter comes from."""
        directory = find_run(self.path, key="regime.path")
        return directory, RunRecord.read(directory)

    def inherited(self, name: str) -> Path:
        """The run's file or folder `name`, whether it is there or not."""
        return Path(self.path) / name

    def check(self, backbone: Backbone, test_files: Mapping[str, str]) -> None:
        """InputError when the adapter is absent, of another backbone, has seen the test set, or is
        not as it was saved."""
        directory, record = self.source()
        if tuned_folder(directory) is None:
            raise InputError(
                f"regime.path={self.path}: {directory} holds no adapter/ and no model/; name a "
                "tuned run"
            )
        if record.backbone_sha256 != backbone.checksum():
            raise InputError(
                f"regime.path={self.path}: its adapter was trained on another backbone "
                f"({record.backbone}, checksum {record.backbone_sha256[:12]}) than "
                f"backbone={backbone.name} ({backbone.checksum()[:12]}); choose that backbone"
            )
        if names := record.trained_on(test_files):
            raise InputError(
                f"regime.path={self.path}: its adapter was trained on {', '.join(names)}, which "
                "this dataset tests on; score it on another dataset, or train one without that file"
            )
        check_tuned(directory)

    def tuned_on(self, training_files: Mapping[str, str]) -> dict[str, str]:
        """The files that the adapter's own run was tuned on, not those of this run's dataset."""
        return self.source()[1].training_files

    def inputs(self) -> dict[str, str]:
        """The checksums of the tuned weights, and of the hints they were tuned with."""
        directory, record = self.source()
        tuned = {n: each for n, each in record.weights.items() if n.endswith(".safetensors")}
        hints = sorted((directory / "hints").glob("*.json"))
        return {**tuned, **{f"hints/{file.name}": sha256_of(file) for file in hints}}

    def prepare(self, backbone: Backbone, task: Task) -> Generator:
        """The backbone with the tuned weights; the run keeps a copy, of a whole model a link."""
        if tuned_folder(task.directory) is None:
            folder = tuned_folder(self.source()[0])
            assert folder is not None, "checked before"
            share_folder(folder, task.directory / folder.name)
        return note_weights(self.reopen(backbone, task.directory, task.stop), task)

    def reopen(self, backbone: Backbone, directory: Path, stop: Sequence[str]) -> Generator:
        """The generator of a finished run in `directory`: its adapter on the backbone."""
        return tuned_generator(backbone.tunable(), directory, stop)
