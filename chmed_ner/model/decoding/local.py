"""A local model's generator: our decoding loop, tried on the model before its first use."""

import logging
import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from chmed_ner.machine import collection_paused
from chmed_ner.model.asking import Reply, Request
from chmed_ner.model.decoding.greedy import PROBE, GreedyGenerator, guided_reply

if TYPE_CHECKING:
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

    def __init__(self, loaded: "LoadedModel", *, batch_size: int, stop: Sequence[str]) -> None:
        super().__init__(loaded, batch_size=batch_size * ROUNDS, stop=stop)
        self.slots = batch_size
        self._served: bool | None = None
        self._layouts: Layouts = {}

    def close(self) -> None:
        """Let go of the model, its prepacked weights and, on CUDA, of its cached memory."""
        self._layouts.clear()
        super().close()

    def answer(self, batch: Sequence[Request]) -> list[Reply]:
        """One reply a request."""
        if not batch:
            return []
        if not self._is_served(batch):
            parts = range(0, len(batch), self.slots)
            return [
                reply
                for start in parts
                for reply in super(LocalGenerator, self).answer(batch[start : start + self.slots])
            ]
        with collection_paused():
            return self._loop(batch)

    def most_seconds(self, batches: Sequence[Sequence[Request]]) -> float:
        """All answers at their caps with no slot ever free, by the time of a few tokens."""
        if not batches:
            return 0.0
        middle = batches[len(batches) // 2][: self.slots]
        began = time.perf_counter()
        self.answer([replace(request, max_new_tokens=PROBE) for request in middle])
        per_token = (time.perf_counter() - began) / PROBE / len(middle)
        return per_token * sum(r.max_new_tokens for batch in batches for r in batch)

    def _loop(self, batch: Sequence[Request]) -> list[Reply]:
        from chmed_ner.model.decoding.guesses import FREE
        from chmed_ner.model.decoding.guided import GuidedWriter
        from chmed_ner.model.decoding.loop import write_answers
        from chmed_ner.model.decoding.writing import FreeWriter, StopStrings
        from chmed_ner.model.kernels.head import Head

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
            else self._text_reply(writer.tokens, writer.ended, len(prompt))
            for writer, prompt in zip(writers, prompts, strict=True)
        ]

    def _text_reply(self, tokens: list[int], ended: bool, width: int) -> Reply:
        """The text up to the first stop string."""
        text = self.loaded.tokenizer.decode(tokens, skip_special_tokens=True)
        cuts = [text.index(stop) for stop in self.stop if stop in text]
        if cuts:
            text, ended = text[: min(cuts)], True
        return Reply(text, "end" if ended else "length", width, len(tokens))

    def _is_served(self, batch: Sequence[Request]) -> bool:
        """Does the loop compute what the model computes? Tried once, on a few prompts."""
        if self._served is None:
            from chmed_ner.model.decoding.trial import understood

            self._served = understood(self.loaded.model, self._tried(batch), self._layouts)
            if not self._served:
                self._layouts.clear()
                log.warning(
                    "%s: our decoding loop does not serve this model (its architecture, or layers "
                    "on several devices); decoding with transformers' generate, which is slower",
                    type(self.loaded.model).__name__,
                )
        return self._served

    def _tried(self, batch: Sequence[Request]) -> list[list[int]]:
        rows: list[list[int]] = [self.prompt_ids(request) for request in (*batch[:2], batch[-1])]
        return [row[-TRIED:] for row in rows]
