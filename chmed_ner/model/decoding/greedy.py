"""Batched greedy decoding of a local model through transformers' `generate`: the plain path."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from chmed_ner.machine import free_unused
from chmed_ner.model.asking import LoadedModel, Reply, Request, cut_at_stop
from chmed_ner.model.decoding.automaton import TokenAutomaton
from chmed_ner.model.decoding.spelling import Spelling, written_stretches
from chmed_ner.model.decoding.vocabulary import Vocabulary, check_reading
from chmed_ner.model.decoding.writing import (
    LOOK_BACK,
    FreeWriter,
    GrammarMask,
    GuidedWriter,
    StopStrings,
    Writer,
    read_back,
)


class GreedyGenerator:
    """Answers batches with left padding; a row ends at its end token, a stop string or its cap.

    Stop strings are for base models: in a chat template an answer ends with its turn.
    """

    def __init__(self, loaded: LoadedModel, *, batch_size: int, stop: Sequence[str]) -> None:
        self.batch_size = batch_size
        self.stop = () if loaded.wrapping.template else tuple(stop)
        self._loaded: LoadedModel | None = loaded
        self._ids: dict[str, list[int]] = {}
        self._vocabulary: Vocabulary | None = None
        self._spelling: Spelling | None = None

    @property
    def loaded(self) -> LoadedModel:
        """The model in memory; RuntimeError after `close`."""
        if self._loaded is None:
            raise RuntimeError("the generator was closed")
        return self._loaded

    def prompt_ids(self, request: Request) -> list[int]:
        """The tokens the model reads for `request`."""
        found = self._ids.get(request.text)
        if found is None:
            found = self.loaded.wrapping.prompt_ids(request.prompt, request.demonstrations)
            self._ids[request.text] = found
        return found

    def length(self, request: Request) -> int:
        """The prompt's length in tokens."""
        return len(self.prompt_ids(request))

    def answer(self, batch: Sequence[Request]) -> list[Reply]:
        """One reply a request. Rows are (B, T) with T the longest prompt."""
        from transformers import LogitsProcessorList, StoppingCriteriaList

        model, tokenizer = self.loaded.model, self.loaded.tokenizer
        rows = [self.prompt_ids(request) for request in batch]
        caps = [request.max_new_tokens for request in batch]
        width = max(map(len, rows))
        pad = int(tokenizer.pad_token_id)
        input_ids = torch.tensor([[pad] * (width - len(row)) + row for row in rows])
        mask = torch.tensor([[0] * (width - len(row)) + [1] * len(row) for row in rows])
        ends = self._end_ids()
        automata = self.automata(batch)
        writers = [
            GuidedWriter(automaton, most) if automaton else None
            for automaton, most in zip(automata, caps, strict=True)
        ]
        grammars = GrammarMask(writers, width, min(ends))
        rule = StopRule(tokenizer, [() if writer else self.stop for writer in writers], caps, width)
        with torch.inference_mode():
            output = model.generate(
                input_ids=input_ids.to(model.device),
                attention_mask=mask.to(model.device),
                max_new_tokens=max(caps),
                do_sample=False,
                eos_token_id=sorted(ends),
                pad_token_id=pad,
                stopping_criteria=StoppingCriteriaList([rule]),
                logits_processor=LogitsProcessorList([grammars]),
            )
        answers = output[:, width:].tolist()
        chances = torch.stack(grammars.chances, 1).tolist()
        return [
            self.free_reply(_written(ids, each, most, ends, pad), len(row))
            if automaton is None
            else guided_reply(read_back(automaton, most, ids, each), len(row))
            for row, ids, each, most, automaton in zip(
                rows, answers, chances, caps, automata, strict=True
            )
        ]

    def automata(self, batch: Sequence[Request]) -> list[TokenAutomaton | None]:
        """For each request the automaton of its grammar, None where it has none.

        InputError: the tokenizer's tokens cannot be read as bytes, or cannot write an answer.
        """
        if not any(request.grammar for request in batch):
            return [None] * len(batch)
        if self._vocabulary is None:
            rows = self.loaded.model.get_output_embeddings().weight.shape[0]
            self._vocabulary = Vocabulary(self.loaded.tokenizer, rows)
            check_reading(self._vocabulary, self.loaded.tokenizer, batch[0].prompt)
        ends = sorted(self._end_ids())
        return [
            TokenAutomaton(request.grammar, self._vocabulary, stop=self.stop, end_tokens=ends)
            if request.grammar
            else None
            for request in batch
        ]

    def close(self) -> None:
        """Let go of the model and, on CUDA, of its cached memory."""
        self._loaded = None
        self._ids.clear()
        self._vocabulary = self._spelling = None
        free_unused()

    def _end_ids(self) -> set[int]:
        configured = self.loaded.model.generation_config.eos_token_id
        listed = configured if isinstance(configured, list) else [configured]
        ends = {int(token) for token in listed if token is not None}
        return ends | {self.loaded.wrapping.end_id()}

    def free_reply(self, writer: Writer, width: int) -> Reply:
        """An answer without a grammar to a prompt of `width` tokens."""
        tokenizer = self.loaded.tokenizer
        text = tokenizer.decode(writer.tokens, skip_special_tokens=True)
        text, stopped, lost = cut_at_stop(text, self.stop)
        if self._spelling is None:
            self._spelling = Spelling(tokenizer)
        words = map(self._spelling.__getitem__, writer.tokens)
        return Reply(
            text,
            "end" if writer.ended or stopped else "length",
            width,
            writer.count,
            lost,
            logprobs=written_stretches(text, words, writer.chances),
        )


def guided_reply(writer: GuidedWriter, width: int) -> Reply:
    """What a writer has written, to a prompt of `width` tokens."""
    text = writer.text()
    words = map(writer.automaton.vocabulary.bytes_of.__getitem__, writer.tokens)
    return Reply(
        text,
        "end" if writer.ended else "length",
        width,
        writer.count,
        logprobs=written_stretches(text, words, writer.chances),
    )


def _written(
    ids: list[int], chances: list[float], most: int, ends: set[int], pad: int
) -> FreeWriter:
    """The writer of an answer: without the padding after a stop string, whether it came to its end
    and the end token counted."""
    length = next((n for n, token in enumerate(ids) if token in ends), None)
    writer = FreeWriter(most, ends, StopStrings(None, ()))
    writer.ended = writer.closed = length is not None and length < most
    kept = ids[:length] if writer.ended else ids[:most]
    while kept and kept[-1] == pad:
        kept = kept[:-1]
    writer.tokens, writer.chances = kept, chances[: len(kept)]
    return writer


@dataclass(eq=False)
class StopRule:
    """Tells `generate` which rows so far, (B, T), have reached their cap or a stop string, (B,)."""

    tokenizer: Any
    stops: Sequence[Sequence[str]]
    caps: Sequence[int]
    width: int

    def __deepcopy__(self, memo: Any) -> "StopRule":
        """Itself: `generate` copies its rules, and a tokenizer is slow to copy."""
        return self

    def __call__(self, input_ids: Any, *_: Any, **__: Any) -> Any:
        """True for the rows that are over."""
        new = input_ids.shape[1] - self.width
        tails = self.tokenizer.batch_decode(input_ids[:, self.width :][:, -LOOK_BACK:])
        over = [
            new >= cap or cut_at_stop(tail, stops)[1]
            for cap, tail, stops in zip(self.caps, tails, self.stops, strict=True)
        ]
        return torch.tensor(over, device=input_ids.device, dtype=torch.bool)
