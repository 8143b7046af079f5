"""`regime=adapter`: score what another run has tuned, without training."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chmed_ner.backbone.protocol import Backbone
from chmed_ner.backbone.regime import Regime, noted
from chmed_ner.backbone.task import Task
from chmed_ner.errors import InputError
from chmed_ner.files import sha256_of
from chmed_ner.model.asking import Generator
from chmed_ner.track.record import RunRecord, find_run
from chmed_ner.train.full import MODEL_FOLDER, is_model, model_generator, share_model
from chmed_ner.train.lora import ADAPTER_FOLDER, ADAPTER_WEIGHTS, adapted_generator


@dataclass(frozen=True, kw_only=True)
class SavedAdapter(Regime):
    """The adapter of the run `path`, on the backbone it was trained on; or its fully tuned model.

    Refused where a file it was trained on is a test file: such a score would say nothing.
    """

    name = "adapter"

    path: str

    def source(self) -> tuple[Path, RunRecord]:
        """The directory and record of the run that the adapter comes from."""
        directory = find_run(self.path, key="regime.path")
        return directory, RunRecord.read(directory)

    def inherited(self, name: str) -> Path:
        """The run's file or folder `name`, whether it is there or not."""
        return self.source()[0] / name

    def check(self, backbone: Backbone, test_files: Mapping[str, str]) -> None:
        """InputError when the adapter is absent, of another backbone, or has seen the test set."""
        directory, record = self.source()
        if _tuned_weights(directory) is None:
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
        seen = set(record.training_files.values()) & set(test_files.values())
        if seen:
            names = sorted(name for name, digest in test_files.items() if digest in seen)
            raise InputError(
                f"regime.path={self.path}: its adapter was trained on {', '.join(names)}, which "
                "this dataset tests on; score it on another dataset, or train one without that file"
            )

    def tuned_on(self, training_files: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002
        """The files that the adapter's own run was tuned on, not those of this run's dataset."""
        return self.source()[1].training_files

    def inputs(self) -> dict[str, str]:
        """The checksum of the tuned weights: `latest` names others tomorrow."""
        weights = _tuned_weights(self.source()[0])
        if weights is None:
            return {}
        if weights.parent.name == ADAPTER_FOLDER:
            return {"adapter": sha256_of(weights)}
        files = sorted(weights.parent.glob("*.safetensors"))
        return {f"model/{file.name}": sha256_of(file) for file in files}

    def prepare(self, backbone: Backbone, task: Task) -> Generator:
        """The backbone with the tuned weights; the run keeps a copy (of a model: a link)."""
        if _tuned_weights(task.directory) is None:
            weights = _tuned_weights(self.source()[0])
            assert weights is not None, "checked before"
            if weights.parent.name == ADAPTER_FOLDER:
                _copy_adapter(weights.parent, task.directory / ADAPTER_FOLDER)
            else:
                share_model(weights.parent, task.directory / MODEL_FOLDER)
        return noted(self.reopen(backbone, task.directory, task.stop), task)

    def reopen(self, backbone: Backbone, directory: Path, stop: Sequence[str]) -> Generator:
        """The generator of a finished run in `directory`: its adapter on the backbone."""
        if is_model(directory / MODEL_FOLDER):
            return model_generator(backbone.tunable(), directory / MODEL_FOLDER, stop)
        return adapted_generator(backbone.tunable(), directory / ADAPTER_FOLDER, stop)


def _tuned_weights(directory: Path) -> Path | None:
    """The adapter's weights or the tuned model's configuration in a run; None without either."""
    adapter, model = (
        directory / ADAPTER_FOLDER / ADAPTER_WEIGHTS,
        directory / MODEL_FOLDER / "config.json",
    )
    return next((path for path in (adapter, model) if path.is_file()), None)


def _copy_adapter(source: Path, target: Path) -> None:
    partial = target.with_name("adapter.partial")
    shutil.rmtree(partial, ignore_errors=True)
    shutil.copytree(source, partial)
    partial.replace(target)
