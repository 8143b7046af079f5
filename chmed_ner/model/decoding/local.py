"""A local model's generator: our decoding loop, used if a trial on a few prompts succeeds."""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import torch

from chmed_ner.machine import collection_paused
from chmed_ner.model.asking import LoadedModel, Reply, Request
from chmed_ner.model.checkpoint.hardware import is_split
from chmed_ner.model.decoding.greedy import GreedyGenerator, guided_reply
from chmed_ner.model.decoding.guesses import FREE
from chmed_ner.model.decoding.loop import fast_reading_in, write_answers
from chmed_ner.model.decoding.writing import FreeWriter, GuidedWriter, StopStrings, Writer
from chmed_ner.model.kernels.attention import asked_states
from chmed_ner.model.kernels.cache import SlotCache
from chmed_ner.model.kernels.head import Head
from chmed_ner.model.kernels.packing import pack
from chmed_ner.model.kernels.replacing import Layouts

log = logging.getLogger(__name__)

ROUNDS = 8
"""Sentences that are planned together, in batches: while some are long, others take turns."""

PROBE = 4
"""Tokens decoded to learn how long a token takes."""

TRIED = 48
"""Tokens of a prompt on which the loop is tried."""

TOLERANCE = {True: 1e-3, False: 0.1}
"""By how much, relative to their norm, logits may differ from the model's: float32, or half."""

KINDS = {"full_attention", "sliding_attention"}
"""The kinds of layers that are understood."""


class LocalGenerator(GreedyGenerator):
    """Answers `ROUNDS * slots` requests together, `slots` at a time, in the loop if it can."""

    def __init__(self, loaded: LoadedModel, *, batch_size: int, stop: Sequence[str]) -> None:
        super().__init__(loaded, batch_size=batch_size * ROUNDS, stop=stop)
        self.slots = batch_size
        self._served: bool | None = None
        self._layouts: Layouts = {}

    def close(self) -> None:
        self._layouts.clear()
        super().close()

    def answer(self, batch: Sequence[Request]) -> list[Reply]:
        if not batch:
            return []
        if self.serves(batch):
            with collection_paused():
                return [
                    guided_reply(writer, width)
                    if isinstance(writer, GuidedWriter)
                    else self.free_reply(writer, width)
                    for writer, width in zip(
                        self.written(batch), map(self.length, batch), strict=True
                    )
                ]
        replies = []
        for start in range(0, len(batch), self.slots):
            replies += super().answer(batch[start : start + self.slots])
        return replies

    def most_seconds(self, batches: Sequence[Sequence[Request]]) -> float:
        """All answers at their caps with no slot ever free, by the time of a few tokens."""
        if not batches:
            return 0.0
        middle = batches[len(batches) // 2][: self.slots]
        began = time.perf_counter()
        self.answer([replace(request, max_new_tokens=PROBE) for request in middle])
        per_token = (time.perf_counter() - began) / PROBE / len(middle)
        return per_token * sum(r.max_new_tokens for batch in batches for r in batch)

    def written(self, batch: Sequence[Request]) -> list[Writer]:
        """The writers of the answers to a `batch` that the loop serves, when they are done."""
        model, stop = self.loaded.model, StopStrings(self.loaded.tokenizer, self.stop)
        prompts = [self.prompt_ids(request) for request in batch]
        ends = self._end_ids()
        writers: list[Writer] = [
            GuidedWriter(automaton, request.max_new_tokens)
            if automaton
            else FreeWriter(request.max_new_tokens, ends, stop)
            for request, automaton in zip(batch, self.automata(batch), strict=True)
        ]
        write_answers(model, Head(model), prompts, writers, self.slots, self._layouts, FREE)
        return writers

    def serves(self, batch: Sequence[Request]) -> bool:
        """Does the loop compute what the model computes? Tried once."""
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


def may_be_packed(model: Any) -> bool:
    """Does every layer attend to all earlier columns or to the latest, through transformers?"""
    if is_split(model):  # the cache is on one device
        return False
    kinds = set(getattr(model.config.get_text_config(), "layer_types", None) or ())
    return getattr(type(model), "_supports_attention_backend", False) and kinds <= KINDS


def understood(model: Any, prompts: Sequence[Sequence[int]], layouts: Layouts) -> bool:
    """Does packing compute what `model` computes? Decided on a few short `prompts`.

    The logits after each, read as the loop reads, in two parts, must be those of the model's own
    forward pass; an architecture with sinks or biases of its own in attention or head fails.
    """
    if not may_be_packed(model):
        return False
    head, allowed = Head(model), TOLERANCE[model.dtype == torch.float32]
    with torch.inference_mode():
        rows = [torch.tensor([prompt], device=model.device) for prompt in prompts]
        expected = [model(row, use_cache=False).logits[0, -1].float() for row in rows]
        found: list[torch.Tensor] = []
        with misfit_told(model):
            found += head.logits(_in_two_parts(model, prompts, layouts)).float()
    return len(found) == len(expected) and all(
        float((one - two).norm()) <= allowed * float(two.norm())
        for one, two in zip(found, expected, strict=True)
    )


@contextmanager
def misfit_told(model: Any) -> Iterator[None]:
    """Leave the block, and log why, when `model` lacks what packing needs, other than memory."""
    try:
        yield
    except (RuntimeError, TypeError, ValueError, AttributeError) as error:
        if isinstance(error, torch.OutOfMemoryError) or "can't allocate memory" in str(error):
            raise
        log.warning("%s cannot read packed tokens (%s)", type(model).__name__, error)


def _in_two_parts(model: Any, prompts: Sequence[Sequence[int]], layouts: Layouts) -> torch.Tensor:
    """The states after the prompts, (n, H), each read but for its last tokens, then to its end."""
    longest = max(map(len, prompts))
    layers = model.config.get_text_config().num_hidden_layers
    cache = SlotCache(layers, len(prompts), longest, longest)
    states = torch.empty(0)
    firsts = [max(1, len(prompt) - 1 - at) for at, prompt in enumerate(prompts)]
    with fast_reading_in(model, layouts, head=False):
        for starts, ends in (([0] * len(prompts), firsts), (firsts, list(map(len, prompts)))):
            bounds = list(zip(starts, ends, strict=True))
            counts = [max(1, end - start) for start, end in bounds]
            starts = [end - count for (_, end), count in zip(bounds, counts, strict=True)]
            parts = zip(prompts, starts, counts, strict=True)
            tokens = [token for prompt, at, count in parts for token in prompt[at : at + count]]
            packing = pack(starts, counts, cache, model.device)
            states = asked_states(model, tokens, packing, cache)
    return states
