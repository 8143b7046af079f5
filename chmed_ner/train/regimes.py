"""The regimes: what happens to a backbone before it is asked.

Each takes a backbone and a task and gives back a generator that is ready to answer.
"""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chmed_ner.backbone.protocol import Backbone, Generator
from chmed_ner.errors import InputError
from chmed_ner.train.loop import Log, Recipe

if TYPE_CHECKING:
    from chmed_ner.backbone.causal_lm import CausalLM, LoadedModel

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Task:
    """What a regime may use: training pairs (prompt, answer), a judge of generators, a place.

    `dev_f1` scores a generator on the validation split (percent), None when that split is empty;
    `log` takes metrics of a step, `note` counts that belong into `run.json`.
    """

    pairs: Sequence[tuple[str, str]]
    stop: Sequence[str]
    dev_f1: Callable[[Generator, int], float] | None
    directory: Path
    seed: int
    log: Log
    note: Callable[[Mapping[str, int]], None]


class ZeroShot:
    """The backbone as it is."""

    name = "zero_shot"
    trains = False

    def check(self, backbone: Backbone, test_files: Mapping[str, str]) -> None:
        """Nothing can be wrong beyond the backbone itself."""

    def tuned_on(self, training_files: Mapping[str, str]) -> dict[str, str]:  # noqa: ARG002
        """No file: nothing is tuned."""
        return {}

    def inputs(self) -> dict[str, str]:
        """Checksums of what goes into the run beside corpus and backbone: nothing."""
        return {}

    def prepare(self, backbone: Backbone, task: Task) -> Generator:
        """The backbone, loaded."""
        return backbone.generator(stop=task.stop, seed=task.seed)

    def reopen(
        self,
        backbone: Backbone,
        directory: Path,  # noqa: ARG002
        stop: Sequence[str],
    ) -> Generator:
        """The generator of a finished run in `directory`."""
        return backbone.generator(stop=stop, seed=0)


class LoRA:
    """Instruct-tuning with low-rank adapters; the best epoch by validation F1 is kept.

    The adapter is saved in `<run>/adapter`; a run that is resumed after that does not train again.
    """

    name = "lora"
    trains = True

    def __init__(
        self,
        learning_rate: float,
        epochs: int,
        batch_size: int,
        rank: int,
        alpha: float | None = None,
        dropout: float = 0.0,
        targets: Any = "all-linear",
        max_tokens: int | None = None,
        schedule: str = "cosine",
        warmup_share: float = 0.03,
        weight_decay: float = 0.0,
        clip_norm: float = 1.0,
        tokens_at_once: int = 1536,
    ) -> None:
        if rank < 1:
            raise InputError(f"regime.rank={rank}: give 1 or more")
        if alpha is not None and not 0 < alpha < math.inf:
            raise InputError(f"regime.alpha={alpha}: give more than 0, or null for 2 * rank")
        if not 0 <= dropout < 1:
            raise InputError(f"regime.dropout={dropout}: give 0 or more, below 1")
        if max_tokens is not None and max_tokens < 2:
            raise InputError(f"regime.max_tokens={max_tokens}: give 2 or more, or null")
        self.recipe = Recipe(
            learning_rate=learning_rate,
            epochs=epochs,
            batch_size=batch_size,
            schedule=schedule,
            warmup_share=warmup_share,
            weight_decay=weight_decay,
            clip_norm=clip_norm,
            tokens_at_once=tokens_at_once,
        )
        self.rank = rank
        self.alpha = 2.0 * rank if alpha is None else alpha
        self.dropout = dropout
        self.targets = targets if isinstance(targets, str) else list(targets)
        self.max_tokens = max_tokens

    def check(self, backbone: Backbone, test_files: Mapping[str, str]) -> None:  # noqa: ARG002
        """InputError when the backbone has no weights."""
        backbone.tunable()

    def tuned_on(self, training_files: Mapping[str, str]) -> dict[str, str]:
        """The dataset's training files."""
        return dict(training_files)

    def inputs(self) -> dict[str, str]:
        """Checksums of what goes into the run beside corpus and backbone: nothing."""
        return {}

    def prepare(self, backbone: Backbone, task: Task) -> Generator:
        """The tuned backbone: trained, saved, loaded again from what was saved, merged."""
        from chmed_ner.train.adapter import WEIGHTS

        adapter = task.directory / "adapter"
        if (adapter / WEIGHTS).is_file():
            log.info("the adapter is there already: no training")
        else:
            self._train(backbone.tunable(), task, adapter)
        return merged_generator(backbone.tunable(), adapter, task.stop)

    def reopen(self, backbone: Backbone, directory: Path, stop: Sequence[str]) -> Generator:
        """The generator of a finished run in `directory`: its adapter merged."""
        return merged_generator(backbone.tunable(), directory / "adapter", stop)

    def _train(self, backbone: "CausalLM", task: Task, adapter: Path) -> None:
        import torch

        from chmed_ner.train.adapter import with_adapter
        from chmed_ner.train.examples import encode
        from chmed_ner.train.loop import tune

        loaded = backbone.load()
        encoded = encode(task.pairs, loaded.wrapping, self.max_tokens)
        if not encoded.examples:
            raise InputError(
                f"no training example is left: {len(task.pairs)} sentences, {encoded.skipped} of "
                f"them longer than regime.max_tokens={self.max_tokens}"
            )
        task.note({"truncated_examples": encoded.truncated, "skipped_examples": encoded.skipped})
        torch.manual_seed(task.seed)
        tuned = with_adapter(
            loaded.model,
            rank=self.rank,
            alpha=self.alpha,
            dropout=self.dropout,
            targets=self.targets,
        )
        keeper = _BestEpoch(tuned, loaded, backbone, task)
        tune(
            tuned.get_base_model(),
            [parameter for parameter in tuned.parameters() if parameter.requires_grad],
            encoded.examples,
            self.recipe,
            seed=task.seed,
            on_step=task.log,
            on_epoch=keeper,
        )
        keeper.save(adapter)


class _BestEpoch:
    """Scores the model after each epoch and remembers the adapter of the best one."""

    def __init__(self, tuned: Any, loaded: "LoadedModel", backbone: "CausalLM", task: Task) -> None:
        self.tuned = tuned
        self.loaded = loaded
        self.backbone = backbone
        self.task = task
        self.best = -1.0
        self.state: dict[str, Any] = {}

    def __call__(self, epoch: int, step: int) -> None:
        """Called by the loop after each epoch."""
        from peft import get_peft_model_state_dict

        from chmed_ner.infer.local import LocalGenerator

        f1 = 0.0
        if self.task.dev_f1:
            generator = LocalGenerator(
                replace(self.loaded, model=self.tuned.get_base_model()),
                batch_size=self.backbone.batch_size,
                stop=self.task.stop,
            )
            f1 = self.task.dev_f1(generator, epoch)
            self.task.log({"train/dev_f1": f1}, step)
            log.info("epoch %d: validation F1 %.2f", epoch, f1)
        if f1 > self.best or not self.task.dev_f1:
            self.best = f1
            state = get_peft_model_state_dict(self.tuned)
            self.state = {name: tensor.detach().clone() for name, tensor in state.items()}

    def save(self, directory: Path) -> None:
        """Write the best epoch's adapter."""
        from chmed_ner.train.adapter import save_adapter

        save_adapter(self.tuned, self.state, directory, self.backbone.name)


def merged_generator(backbone: "CausalLM", adapter: Path, stop: Sequence[str]) -> Generator:
    """A generator from the backbone with the adapter merged into its weights."""
    from chmed_ner.infer.local import LocalGenerator
    from chmed_ner.train.adapter import merged

    loaded = backbone.load()
    model = merged(loaded.model, adapter)
    return LocalGenerator(replace(loaded, model=model), batch_size=backbone.batch_size, stop=stop)
