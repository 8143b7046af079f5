"""The decoding loop: many answers at once, each written token by token by its own writer.

1. The prefix that all prompts share is read once, and its states are copied to every slot.
2. Each pass then does six things:
   a. admit: waiting sentences take free slots, once a few are free (their prompts are read in the
      same pass in which the others go on);
   b. guess: a pass with few tokens is filled up with guesses of what comes next;
   c. pack: all new tokens are laid end to end in one row, without padding, `(1, N)`;
   d. read: one forward pass gives the states that decide, `(a, H)`;
   e. write: each sentence's writer takes the likeliest of the tokens that it allows, and goes on
      from the next state for each guess that was right;
   f. leave: finished sentences free their slots, and the last row moves into a free slot.
"""

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import accumulate, takewhile
from operator import eq
from typing import Any

import torch

from chmed_ner.model.decoding.guesses import MOST_GUESSES, Guesses
from chmed_ner.model.decoding.writing import Writer
from chmed_ner.model.kernels.attention import asked_states, cache_attention_in
from chmed_ner.model.kernels.cache import SlotCache
from chmed_ner.model.kernels.head import Head, Likeliest
from chmed_ner.model.kernels.layers import merged_layers_in
from chmed_ner.model.kernels.packing import pack
from chmed_ner.model.kernels.replacing import Layouts, fast_products_in, fused_norms_in

REFILL = 8
"""New sentences wait until one slot in this many is free: they are read together."""

READ_AT_ONCE = 4096
"""Tokens of new prompts that are read in one pass, at most (one prompt is read in any case)."""

SPARE = 64
"""Columns allotted for an answer at first; the cache grows if one is longer."""


@dataclass
class Row:
    """A sentence in a slot: `feed`, then `guessed`, are read next, from position `start` on.

    The answer is over before position `end`; `latest` are the last two tokens, `feed` included.
    """

    writer: Writer
    feed: list[int]
    start: int
    end: int
    latest: list[int] = field(default_factory=list)
    guessed: list[int] = field(default_factory=list)

    def take(self, token: int, chance: float, guesses: Guesses) -> int:
        """Write `token`, of log-probability `chance`, and what must follow it; returns how many
        guesses were right.

        0 at the answer's end, and where the next pass has to read something that was not guessed.
        """
        written = self.writer.take(token, chance)
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
    """The tokens with which every prompt begins; each keeps at least one token of its own."""
    if not prompts:
        return []
    first, last = min(prompts), max(prompts)  # all others are between them in order
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

    `layouts` keeps the model's fast forward passes; guesses fill a pass up to `free` tokens.
    """
    if not prompts:
        return
    slots = min(slots, len(prompts))
    prefix = shared_prefix(prompts)
    longest = max(map(len, prompts))
    most = max(len(p) + w.most for p, w in zip(prompts, writers, strict=True))
    layers = model.config.get_text_config().num_hidden_layers
    cache = SlotCache(layers, slots, min(most, longest + SPARE), most)
    any_free = any(writer.options() is None for writer in writers)
    guesses = Guesses()
    with fast_reading_in(model, layouts, head=any_free):
        if prefix:  # 1.
            asked_states(model, prefix, pack([0], [len(prefix)], cache, model.device), cache)
            cache.share(len(prefix))
            guesses.learn([], prefix)
        waiting = deque(zip(prompts, writers, strict=True))
        rows: list[Row] = []
        while waiting or rows:
            _admit(rows, waiting, slots, len(prefix), guesses)  # 2a.
            _guess(rows, guesses, free)  # 2b.
            cache.needed = slots if waiting else len(rows)
            counts = [len(row.feed) + len(row.guessed) for row in rows]
            asked = [1 + len(row.guessed) for row in rows]
            packing = pack([row.start for row in rows], counts, cache, model.device, asked)  # 2c.
            tokens = [token for row in rows for token in (*row.feed, *row.guessed)]  # N
            states = asked_states(model, tokens, packing, cache)  # 2d. (a, H)
            _write(rows, head, states, guesses)  # 2e.
            _leave(rows, cache, len(prefix))  # 2f.


@contextmanager
def fast_reading_in(model: Any, layouts: Layouts, *, head: bool) -> Iterator[None]:
    """Within the block `model` reads packed rows fast, with `head` also all of the output head."""
    with (
        torch.inference_mode(),
        cache_attention_in(model),
        merged_layers_in(model, layouts),
        fused_norms_in(model),
        fast_products_in(model, layouts, head=head),
    ):
        yield


def _admit(
    rows: list[Row],
    waiting: deque[tuple[list[int], Writer]],
    slots: int,
    prefix: int,
    guesses: Guesses,
) -> None:
    """Give waiting sentences the slots after the others, when enough are free."""
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
        row.guessed = guesses.after(row.latest, min(each, left))


def _write(rows: Sequence[Row], head: Head, states: torch.Tensor, guesses: Guesses) -> None:
    """Write what the states decide, (a, H), and go on from the next state for each right guess.

    1. Free answers choose among all of the vocabulary, for all states at once.
    2. Round by round, the rows that still go on choose at one state each; only the states that
       count are normalised.
    """
    firsts = accumulate((1 + len(row.guessed) for row in rows), initial=0)
    going = list(zip(rows, firsts, strict=False))
    free = [  # 1.
        at
        for row, first in going
        if row.writer.options() is None
        for at in range(first, first + 1 + len(row.guessed))
    ]
    likeliest = head.likeliest(states, free) if free else None
    for row in rows:
        row.start += len(row.feed)
    while going:  # 2.
        chosen = _choices(head, states, going, likeliest)
        onward = [row.take(*each, guesses) for (row, _), each in zip(going, chosen, strict=True)]
        going = [(row, at + more) for (row, at), more in zip(going, onward, strict=True) if more]


def _choices(
    head: Head,
    states: torch.Tensor,
    going: Sequence[tuple[Row, int]],
    likeliest: Likeliest | None,
) -> list[tuple[int, float]]:
    """The likeliest token that each row's writer may write after its state, given by its index, and
    its log-probability among those."""
    options = {at: row.writer.options() for row, at in going}
    legal = {at: each for at, each in options.items() if each is not None}
    chosen: dict[int, tuple[int, float]] = {}
    if legal:
        picked = zip(*head.likeliest_of(states[list(legal)], list(legal.values())), strict=True)
        chosen |= zip(legal, picked, strict=True)
    if likeliest is not None and len(legal) < len(options):
        chosen |= likeliest.chosen([at for at in options if at not in legal])
    for row, at in going:
        others = row.writer.swap(chosen[at][0])
        if others is not None:
            (token,), (chance,) = head.likeliest_of(states[at : at + 1], [others])
            chosen[at] = token, chance
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
