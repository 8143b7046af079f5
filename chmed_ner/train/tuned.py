"""What every regime that trains has in common: one training, one epoch kept, saved, reopened.

A run that is resumed after the result was saved does not train again; one that is resumed in the
middle of its training goes on from its checkpoint.
"""

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chmed_ner.backbone.protocol import Backbone
from chmed_ner.backbone.regime import Regime, noted
from chmed_ner.backbone.task import Task
from chmed_ner.errors import InputError
from chmed_ner.machine import free_unused
from chmed_ner.model.asking import Generator
from chmed_ner.train.parallel import call, processes
from chmed_ner.train.recipe import Recipe

if TYPE_CHECKING:
    from chmed_ner.backbone.causal_lm import CausalLM
    from chmed_ner.model.loaded import LoadedModel
    from chmed_ner.prompt import TaskPrompt
    from chmed_ner.train.examples import Encoded, Example
log = logging.getLogger(__name__)


class Tuned(Regime):
    """A regime that trains by `recipe`; what is trained, and how it is kept, its heirs say.

    `checkpoint_minutes` is the time between checkpoints, None for none.
    """

    trains = True

    def __init__(self, recipe: Recipe, checkpoint_minutes: float | None) -> None:
        if checkpoint_minutes is not None and not checkpoint_minutes >= 0:
            raise InputError(
                f"regime.checkpoint_minutes={checkpoint_minutes}: give 0 or more, or null for no "
                "checkpoints"
            )
        self.recipe = recipe
        self.checkpoint_minutes = checkpoint_minutes

    def backbone(self, backbone: Backbone) -> "CausalLM":
        """The backbone as this regime loads it; InputError when it has no weights or unfit ones."""
        found: CausalLM = backbone.tunable()
        return found

    @abstractmethod
    def saved(self, directory: Path) -> bool:
        """Has the run in `directory` saved what it trained?"""

    @abstractmethod
    def prepared(self, loaded: "LoadedModel") -> Any:
        """The model of `loaded` with what is to be trained, and only that, requiring gradients."""

    @abstractmethod
    def state(self, model: Any) -> dict[str, Any]:
        """The tensors of `model` that are trained, by name; not copied."""

    @abstractmethod
    def save(self, loaded: "LoadedModel", model: Any, state: Mapping[str, Any], task: Task) -> None:
        """Write `state` where `reopen` finds it, atomically."""

    def check(self, backbone: Backbone, test_files: Mapping[str, str]) -> None:  # noqa: ARG002
        """InputError when the backbone has no weights, or weights that this regime cannot tune."""
        self.backbone(backbone)

    def check_prompt(self, prompt: "TaskPrompt") -> None:
        """InputError when the loss needs a grammar, which the prompt's answers do not have."""
        if not self.recipe.candidate_softmax:
            return
        try:
            prompt.grammar("-", in_order=False)
        except InputError:
            raise InputError(
                f"regime.candidate_softmax=true: the answers of prompt={prompt.name} have no "
                "grammar to take candidates from; use regime.candidate_softmax=false with it, or "
                "a prompt such as extraction, inline or bio"
            ) from None

    def tuned_on(self, training_files: Mapping[str, str]) -> dict[str, str]:
        """The dataset's training files."""
        return dict(training_files)

    def prepare(self, backbone: Backbone, task: Task) -> Generator:
        """The tuned backbone: trained, saved, and loaded again from what was saved."""
        if self.saved(task.directory):
            log.info("tuned already: no training")
        else:
            if processes().count > 1:
                call(task.directory)
            self.train(backbone, task)
            free_unused()  # the model is loaded again
        return noted(self.reopen(backbone, task.directory, task.stop), task)

    def train(self, backbone: Backbone, task: Task) -> None:
        """Train, in every process; the first one scores the epochs and saves one."""
        import torch

        from chmed_ner.train.checkpoint import Checkpoint, training_id
        from chmed_ner.train.examples import encode
        from chmed_ner.train.loop import Training

        source = self.backbone(backbone)
        loaded = source.load()
        encoded = encode(task.pairs, loaded.wrapping, self.recipe.max_tokens)
        if not encoded.examples:
            raise InputError(
                f"no training example is left: {len(task.pairs)} sentences, {encoded.skipped} of "
                f"them longer than regime.max_tokens={self.recipe.max_tokens}"
            )
        task.note({"truncated_examples": encoded.truncated, "skipped_examples": encoded.skipped})
        examples = self._examples(encoded, task, loaded)
        torch.manual_seed(task.seed)
        model = self.prepared(loaded)
        kept = KeptEpoch(self, model, loaded, source.batch_size, task)
        training = training_id(examples, self.recipe, task.seed)
        checkpoint = Checkpoint(
            task.directory, self.checkpoint_minutes, training, kept, loaded.model.device
        )
        Training(
            causal_lm(model),
            examples,
            self.recipe,
            seed=task.seed,
            on_step=task.log,
            on_epoch=kept,
            checkpoint=checkpoint,
            processes=processes(),
        ).run()
        if processes().first:
            self.save(loaded, model, kept.state, task)
            checkpoint.remove()

    def _examples(
        self, encoded: "Encoded", task: Task, loaded: "LoadedModel"
    ) -> "tuple[Example, ...]":
        """The examples, with their candidate tokens where the loss is over those."""
        if not self.recipe.candidate_softmax:
            return encoded.examples
        from chmed_ner.train.candidates import with_candidates

        return with_candidates(encoded, task, loaded)


class KeptEpoch:
    """Scores the model after each epoch and remembers the tensors of the best one, or the last.

    Without validation sentences the last one is the only choice.
    """

    def __init__(
        self, regime: Tuned, model: Any, loaded: "LoadedModel", batch_size: int, task: Task
    ) -> None:
        self.regime = regime
        self.model = model
        self.loaded = loaded
        self.batch_size = batch_size
        self.task = task
        self.best = -1.0
        self.state: dict[str, Any] = {}

    def __call__(self, epoch: int, step: int) -> None:
        """Called by the loop after each epoch."""
        f1 = 0.0
        if self.task.dev_f1:
            tuned = replace(self.loaded, model=causal_lm(self.model))
            f1 = self.task.dev_f1(local_generator(tuned, self.batch_size, self.task.stop), epoch)
            self.task.log({"train/dev_f1": f1}, step)
            log.info("epoch %d: validation F1 %.2f", epoch, f1)
        last = self.regime.recipe.keep == "last" or not self.task.dev_f1
        if last or f1 > self.best:
            self.best = f1
            state = self.regime.state(self.model)
            self.state = {name: tensor.detach().clone() for name, tensor in state.items()}


def causal_lm(model: Any) -> Any:
    """The transformers model inside a PEFT model, adapters injected; any other model itself."""
    from peft import PeftModel

    return model.get_base_model() if isinstance(model, PeftModel) else model


def local_generator(loaded: "LoadedModel", batch_size: int, stop: Sequence[str]) -> Generator:
    """The generator of a loaded model."""
    from chmed_ner.model.decoding.local import LocalGenerator

    return LocalGenerator(loaded, batch_size=batch_size, stop=stop)
