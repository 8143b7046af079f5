"""A local model's generator: our decoding loop, tried on the model before its first use."""

import logging
from collections.abc import Sequence

from chmed_ner.machine import collection_paused
from chmed_ner.model.asking import Reply, Request
from chmed_ner.model.decoding.greedy import GreedyGenerator, guided_reply
from chmed_ner.model.decoding.guesses import FREE
from chmed_ner.model.decoding.guided import GuidedWriter
from chmed_ner.model.decoding.loop import write_answers
from chmed_ner.model.decoding.trial import understood
from chmed_ner.model.decoding.writing import FreeWriter, StopStrings
from chmed_ner.model.kernels.head import Head
from chmed_ner.model.kernels.weights import Layouts
from chmed_ner.model.loaded import LoadedModel

log = logging.getLogger(__name__)

ROUNDS = 8
"""Sentences that are planned together, in batches: while some are long, others take turns."""

TRIED = 48
"""Tokens of a prompt on which the loop is tried."""


class LocalGenerator(GreedyGenerator):
    """Answers up to `ROUNDS * slots` requests together, `slots` of them at a time.

    Greedy decoding, with the tokens of transformers' `generate` (in float32; where half precision
    rounds two logits alike, one loop may take one and the other the other). Any model is served
    whose layers attend to all earlier tokens or to the latest, through transformers' attention
    interface; this is tried on the first prompts, and another model is decoded by `generate`.
    """

    def __init__(self, loaded: LoadedModel, *, batch_size: int, stop: Sequence[str]) -> None:
        super().__init__(loaded, batch_size=batch_size * ROUNDS, stop=stop)
        self.slots = batch_size
        self._served: bool | None = None
        self._layouts: Layouts = {}

    def close(self) -> None:
        """Let go of the model, its stored products and, on CUDA, of its cached memory."""
        self._layouts.clear()
        super().close()

    def answer(self, batch: Sequence[Request]) -> list[Reply]:
        """One reply a request."""
        if not batch:
            return []
        if self._is_served(batch):
            with collection_paused():
                return self._answer_in_loop(batch)
        parts = range(0, len(batch), self.slots)
        return [
            reply
            for start in parts
            for reply in super(LocalGenerator, self).answer(batch[start : start + self.slots])
        ]

    def most_seconds(self, batches: Sequence[Sequence[Request]]) -> float:
        """All answers at their caps with no slot ever free, by the time of a few tokens."""
        if not batches:
            return 0.0
        middle = batches[len(batches) // 2][: self.slots]
        per_token = self._probe(middle) / len(middle)
        return per_token * sum(r.max_new_tokens for batch in batches for r in batch)

    def _answer_in_loop(self, batch: Sequence[Request]) -> list[Reply]:
        model, stop = self.loaded.model, StopStrings(self.loaded.tokenizer, self.stop)
        prompts = [self.prompt_ids(request) for request in batch]
        ends = self._end_ids()
        writers = [
            GuidedWriter(automaton, request.max_new_tokens)
            if automaton
            else FreeWriter(request.max_new_tokens, ends, stop)
            for request, automaton in zip(batch, self.automata(batch), strict=True)
        ]
        write_answers(model, Head(model), prompts, writers, self.slots, self._layouts, FREE)
        return [
            guided_reply(writer, len(prompt))
            if isinstance(writer, GuidedWriter)
            else self.free_reply(writer.tokens, writer.ended, len(prompt))
            for writer, prompt in zip(writers, prompts, strict=True)
        ]

    def _is_served(self, batch: Sequence[Request]) -> bool:
        """Does the loop compute what the model computes? Tried once, on a few prompts."""
        if self._served is None:
            rows = [self.prompt_ids(request) for request in (*batch[:2], batch[-1])]
            tried = [row[-TRIED:] for row in rows]
            self._served = understood(self.loaded.model, tried, self._layouts)
            if not self._served:
                self._layouts.clear()
                log.warning(
                    "%s: our decoding loop does not serve this model (its architecture, or layers "
                    "on several devices); decoding with transformers' generate, which is slower",
                    type(self.loaded.model).__name__,
                )
        return self._served
