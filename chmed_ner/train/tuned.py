"""What the regimes that train share: one training, on from its checkpoint, one epoch saved."""

import logging
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any

from chmed_ner.backbone import Backbone, CausalLM, Regime, Task, note_weights
from chmed_ner.errors import InputError
from chmed_ner.knobs import at_least, one_of
from chmed_ner.machine import free_unused
from chmed_ner.model import Generator, LoadedModel
from chmed_ner.prompt import TaskPrompt
from chmed_ner.train.parallel import called, processes
from chmed_ner.train.recipe import Example, Recipe, encode
from chmed_ner.train.tuned_weights import local_generator, tuned_folder, tuned_generator

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class Tuned(Recipe, Regime):
    """A regime that trains; `conf/recipe/tuned.yaml` explains the knobs."""

    trains = True

    max_tokens: Annotated[int, at_least(2)] | None
    activation_checkpointing: bool
    candidate_softmax: bool
    keep: Annotated[str, one_of("best", "last")]

    def backbone(self, backbone: Backbone) -> CausalLM:
        """The backbone as this regime loads it; InputError: no weights, or unfit ones."""
        found: CausalLM = backbone.tunable()
        return found

    @abstractmethod
    def prepared(self, loaded: LoadedModel) -> Any:
        """The model of `loaded` with what is to be trained, and only that, requiring gradients."""

    @abstractmethod
    def state(self, model: Any) -> dict[str, Any]:
        """The tensors of `model` that are trained, by name; not copied."""

    @abstractmethod
    def save(self, loaded: LoadedModel, model: Any, state: Mapping[str, Any], task: Task) -> None:
        """Write `state` where `reopen` finds it, atomically."""

    def check(self, backbone: Backbone, test_files: Mapping[str, str]) -> None:
        """InputError: no weights, or weights that this regime cannot tune."""
        self.backbone(backbone)

    def check_prompt(self, prompt: TaskPrompt) -> None:
        """InputError also: the loss needs a grammar, which the prompt's answers do not have."""
        super().check_prompt(prompt)
        try:
            if self.candidate_softmax:
                prompt.grammar("-", in_order=False)
        except InputError:
            raise InputError(
                f"regime.candidate_softmax=true: the answers of prompt={prompt.name} have no "
                "grammar to take candidates from; use regime.candidate_softmax=false with it, or "
                "a prompt such as extraction, inline or bio"
            ) from None

    def prepare(self, backbone: Backbone, task: Task) -> Generator:
        """The tuned backbone: trained, saved, and loaded again from what was saved."""
        if tuned_folder(task.directory):
            log.info("tuned already: no training")
        else:
            if processes().count > 1:
                called(task.directory)
            self.train(backbone, task)
            free_unused()  # the model is loaded again
        return note_weights(self.reopen(backbone, task.directory, task.stop), task)

    def reopen(self, backbone: Backbone, directory: Path, stop: Sequence[str]) -> Generator:
        """The generator of a finished run in `directory`, with its tuned weights."""
        return tuned_generator(self.backbone(backbone), directory, stop)

    def train(self, backbone: Backbone, task: Task) -> None:
        """Train, in every process; the first one scores the epochs and saves one."""
        import torch

        from chmed_ner.train.answer_loss import AnswerLoss
        from chmed_ner.train.checkpoint import KeptEpoch
        from chmed_ner.train.loop import Training

        source = self.backbone(backbone)
        loaded = source.load()
        examples = self._examples(task, loaded)
        torch.manual_seed(task.seed)
        model = self.prepared(loaded)
        causal = causal_lm(model)
        dev_f1 = task.dev_f1

        def score(epoch: int) -> float:
            assert dev_f1 is not None, "not called without validation sentences"
            tuned = replace(loaded, model=causal)
            return dev_f1(local_generator(tuned, source.batch_size, task.stop), epoch)

        last = self.keep == "last"
        kept = KeptEpoch(score if dev_f1 else None, lambda: self.state(model), task.log, last=last)
        checkpointing = self.activation_checkpointing
        training = Training(
            AnswerLoss(causal, examples, self, activation_checkpointing=checkpointing),
            examples,
            self,
            kept,
            seed=task.seed,
            directory=task.directory,
            processes=processes(),
        )
        training.run()
        if processes().first:
            self.save(loaded, model, kept.state, task)
            training.checkpoint.remove()

    def _examples(self, task: Task, loaded: LoadedModel) -> tuple[Example, ...]:
        """The task's pairs in tokens, with candidate tokens if the loss is over those."""
        encoded = encode(task.pairs, loaded.wrapping, self.max_tokens)
        if not encoded.examples:
            raise InputError(
                f"no training example is left: {len(task.pairs)} sentences, {encoded.skipped} of "
                f"them longer than regime.max_tokens={self.max_tokens}"
            )
        task.note({"truncated_examples": encoded.truncated, "skipped_examples": encoded.skipped})
        if not self.candidate_softmax:
            return encoded.examples
        from chmed_ner.train.answer_loss import with_candidates

        return with_candidates(encoded, task, loaded)


def causal_lm(model: Any) -> Any:
    """The transformers model inside a PEFT model; any other model itself."""
    from peft import PeftModel

    return model.get_base_model() if isinstance(model, PeftModel) else model
