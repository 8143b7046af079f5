"""The decoding loop: many answers at once, each written token by token by its own writer.

The prompts' shared prefix is read once. Sentences fill the slots of a cache; one that is finished
leaves at once, and as soon as a few slots are free, the next sentences are read in the same forward
pass in which the others go on. A pass with few tokens also reads guesses of what comes next.
"""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate, takewhile
from operator import eq
from typing import Any, Protocol

import torch

from chmed_ner.model.decoding.guesses import MOST_GUESSES, Guesses
from chmed_ner.model.kernels.attention_over_cache import asked_states, packed_attention_in
from chmed_ner.model.kernels.cache import SlotCache
from chmed_ner.model.kernels.head import Head
from chmed_ner.model.kernels.layers import merged_layers_in
from chmed_ner.model.kernels.norms import fused_norms_in
from chmed_ner.model.kernels.packing import pack
from chmed_ner.model.kernels.weights import Layouts, prepacked_weights_in

REFILL = 8
"""New sentences wait until one slot in this many is free: they are read together."""

READ_AT_ONCE = 4096
"""Tokens of new prompts that are read in one pass, at most (one prompt is read in any case)."""

SPARE = 64
"""Columns allotted for an answer at first; the cache grows if one is longer."""


class Writer(Protocol):
    """The author of one answer: says what may come next and when the answer is over."""

    @property
    def most(self) -> int:
        """The most tokens that the answer may have."""

    def opening(self) -> list[int]:
        """The tokens that the answer begins with in any case."""

    def options(self) -> torch.Tensor | None:
        """The tokens that may come next; None for the whole vocabulary."""

    def take(self, token: int) -> list[int]:
        """Write `token` and what must follow it; returns these tokens, none at the answer's end."""

    def swap(self, token: int) -> torch.Tensor | None:
        """The tokens to choose from instead, where `token` leaves too little room; else None."""


@dataclass
class Row:
    """A sentence in a slot: `feed` goes in next, at the positions from `start` on.

    The `guessed` tokens go in behind it. The answer is over before position `end`; `latest` are the
    last two tokens of the prompt and the answer, those of `feed` included.
    """

    writer: Writer
    feed: list[int]
    start: int
    end: int
    latest: list[int] = field(default_factory=list)
    guessed: list[int] = field(default_factory=list)

    def take(self, token: int, guesses: Guesses) -> int:
        """Write `token` and what must follow it; returns how many states further on the one is that
        tells what comes next, as far as the guesses are what was written.

        0 at the end, and where the next pass has to read what was written.
        """
        written = self.writer.take(token)
        self.latest = guesses.learn(self.latest, written)
        alike = len(list(takewhile(bool, map(eq, written, self.guessed))))
        self.start += alike
        self.feed = written[alike:]
        if self.feed:
            self.guessed = []
            return 0
        self.guessed = self.guessed[alike:]
        return alike


def shared_prefix(prompts: Sequence[list[int]]) -> list[int]:
    """The tokens with which every prompt begins; each keeps at least one token of its own.

    What a token's states are depends only on the tokens before it, so any common beginning of the
    tokenised prompts may be read once.
    """
    if not prompts:
        return []
    first, last = min(prompts), max(prompts)  # all others lie between them
    most = min(map(len, prompts)) - 1
    pairs = enumerate(zip(first[:most], last[:most], strict=True))
    return list(first[: next((at for at, (one, other) in pairs if one != other), most)])


def write_answers(
    model: Any,
    head: Head,
    prompts: Sequence[list[int]],
    writers: Sequence[Writer],
    slots: int,
    layouts: Layouts,
    free: int,
) -> None:
    """Let every writer write its answer to its prompt, at most `slots` at a time.

    `layouts` are the model's prepacked weights as far as there are any, kept for the next call. A
    pass is filled up with guesses to `free` tokens.
    """
    if not prompts:
        return
    slots = min(slots, len(prompts))
    prefix = shared_prefix(prompts)
    longest = max(map(len, prompts))
    most = max(len(p) + w.most for p, w in zip(prompts, writers, strict=True))
    layers = model.config.get_text_config().num_hidden_layers
    cache = SlotCache(layers, slots, min(most, longest + SPARE), most)
    whole = any(writer.options() is None for writer in writers)
    guesses = Guesses()
    with fast_reading_in(model, layouts, head=whole):
        if prefix:
            asked_states(model, prefix, pack([0], [len(prefix)], cache, model.device), cache)
            cache.share(len(prefix))
            guesses.learn([], prefix)
        waiting = deque(zip(prompts, writers, strict=True))
        rows: list[Row] = []
        while waiting or rows:
            _admit(rows, waiting, slots, len(prefix), guesses)
            _guess(rows, guesses, free)
            cache.needed = slots if waiting else len(rows)
            counts = [len(row.feed) + len(row.guessed) for row in rows]
            asked = [1 + len(row.guessed) for row in rows]
            packing = pack([row.start for row in rows], counts, cache, model.device, asked)
            tokens = [token for row in rows for token in (*row.feed, *row.guessed)]
            states = asked_states(model, tokens, packing, cache)
            _write(rows, head, states, guesses)
            _leave(rows, cache, len(prefix))


@contextmanager
def fast_reading_in(model: Any, layouts: Layouts, *, head: bool) -> Iterator[None]:
    """Within the block `model` reads packed rows, without gradients.

    `head` where the whole vocabulary is asked for.
    """
    with (
        torch.inference_mode(),
        packed_attention_in(model),
        merged_layers_in(model, layouts),
        fused_norms_in(model),
        prepacked_weights_in(model, layouts, head=head),
    ):
        yield


def _admit(
    rows: list[Row],
    waiting: deque[tuple[list[int], Writer]],
    slots: int,
    prefix: int,
    guesses: Guesses,
) -> None:
    """Seat waiting sentences behind the others, when enough slots are free."""
    if slots - len(rows) < min(max(1, slots // REFILL), len(waiting)):
        return
    budget = READ_AT_ONCE
    while waiting and len(rows) < slots:
        prompt, writer = waiting[0]
        own = prompt[prefix:]
        if budget < len(own) and budget < READ_AT_ONCE:
            return
        budget -= len(own)
        waiting.popleft()
        row = Row(writer, own + writer.opening(), prefix, len(prompt) + writer.most)
        row.latest = guesses.learn(prompt[:prefix][-2:], row.feed)
        rows.append(row)


def _guess(rows: Sequence[Row], guesses: Guesses, free: int) -> None:
    """Guess how each answer goes on, as far as the pass has tokens to spare."""
    each = min(MOST_GUESSES, (free - sum(len(row.feed) for row in rows)) // len(rows))
    for row in rows:
        left = row.end - row.start - len(row.feed)
        row.guessed = guesses.behind(row.latest, min(each, left))


def _write(rows: Sequence[Row], head: Head, states: torch.Tensor, guesses: Guesses) -> None:
    """Write what the states choose, and go on from the next state where a guess has come true."""
    firsts = accumulate((1 + len(row.guessed) for row in rows), initial=0)
    going = list(zip(rows, firsts, strict=False))
    free = [
        at
        for row, first in going
        if row.writer.options() is None
        for at in range(first, first + 1 + len(row.guessed))
    ]
    likeliest = dict(zip(free, head.likeliest(states[free]), strict=True)) if free else {}
    for row in rows:
        row.start += len(row.feed)
    while going:
        tokens = _choices(head, states, going, likeliest)
        onward = [row.take(token, guesses) for (row, _), token in zip(going, tokens, strict=True)]
        going = [(row, at + more) for (row, at), more in zip(going, onward, strict=True) if more]


def _choices(
    head: Head,
    states: torch.Tensor,
    going: Sequence[tuple[Row, int]],
    likeliest: Mapping[int, int],
) -> list[int]:
    """The likeliest token that each row's writer may write behind its state.

    Rows come with their state's index; `likeliest` is the choice behind those of free answers.
    """
    options = {at: row.writer.options() for row, at in going if at not in likeliest}
    legal = [each for each in options.values() if each is not None]
    picked = head.likeliest_of(states[list(options)], legal) if legal else []
    chosen = {**likeliest, **dict(zip(options, picked, strict=True))}
    for row, at in going:
        others = row.writer.swap(chosen[at])
        if others is not None:
            chosen[at] = head.likeliest_of(states[at : at + 1], [others])[0]
    return [chosen[at] for _, at in going]


def _leave(rows: list[Row], cache: SlotCache, prefix: int) -> None:
    """Finished rows leave; the last row moves into the slot of one that left before it."""
    slot = 0
    while slot < len(rows):
        if rows[slot].feed:
            slot += 1
            continue
        last = rows.pop()
        if slot < len(rows):
            rows[slot] = last
            if last.feed:
                cache.move(len(rows), slot, prefix, last.start)
