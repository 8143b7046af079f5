"""How a model is trained: the knobs of the loop, the examples in tokens, their batches."""

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, fields
from typing import Annotated, Any, ClassVar, Protocol, TypeVar

from chmed_ner.knobs import NO_RESULT, Count, NotNegative, Positive, Share, marked, one_of
from chmed_ner.model import Wrapping

SCHEDULES = ("cosine", "cosine_per_epoch", "constant")


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """The knobs of the training loop in the configuration `group`; see `conf/recipe/loop.yaml`."""

    group: ClassVar[str] = "regime"

    learning_rate: Positive
    epochs: Count
    batch_size: Count
    schedule: Annotated[str, one_of(*SCHEDULES)]
    warmup_share: Share
    weight_decay: NotNegative
    clip_norm: Positive
    tokens_at_once: Count
    checkpoint_minutes: Annotated[NotNegative | None, NO_RESULT]

    def knobs(self) -> dict[str, Any]:
        """The knobs by name, without those that change no result."""
        constructor: Callable[..., Any] = type(self)
        left_out = marked(constructor, NO_RESULT)
        names = [each.name for each in fields(self) if each.name not in left_out]
        return {name: getattr(self, name) for name in names}

    def rate_factor(self, step: int, steps: int, epoch: int) -> float:
        """The factor of the peak rate at `step` of `steps`, in `epoch`, both from 0.

        `cosine`: linear warm-up, then half a cosine down to 0. `cosine_per_epoch`: the half cosine
        moves on only after each epoch (the LingX paper).
        """
        warmup = round(self.warmup_share * steps)
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if self.schedule == "constant":
            return 1.0
        if self.schedule == "cosine_per_epoch":
            return 0.5 * (1.0 + math.cos(math.pi * epoch / self.epochs))
        progress = (step - warmup) / max(1, steps - warmup)
        return 0.5 * (1.0 + math.cos(math.pi * progress))


WIDTH_STEP = 8
"""Batches are padded to a multiple of this: fewer shapes, so fewer kernels to compile."""

POOL = 50
"""Batches whose examples are sorted by length together."""


class Learnable(Protocol):
    """An example of any kind; its length is in tokens."""

    def __len__(self) -> int: ...

    @property
    def shape(self) -> tuple[int, int]:
        """How many rows of a padded batch it fills, and how long its longest row is."""


E = TypeVar("E", bound=Learnable)


@dataclass(frozen=True, slots=True)
class Example:
    """A prompt and its answer, which is learnt, in tokens; `candidates`: see `answer_loss`."""

    prompt: tuple[int, ...]
    answer: tuple[int, ...]
    candidates: tuple[int, ...] = field(default=(), repr=False)

    def __len__(self) -> int:
        return len(self.prompt) + len(self.answer)

    @property
    def shape(self) -> tuple[int, int]:
        """One row of a padded batch."""
        return 1, len(self)


@dataclass(frozen=True, slots=True)
class Encoded:
    """The examples, the numbers of the pairs they come from, how many were cut or left out."""

    examples: tuple[Example, ...]
    sources: tuple[int, ...]
    truncated: int
    skipped: int


def encode(pairs: Sequence[tuple[str, str]], wrapping: Wrapping, max_tokens: int | None) -> Encoded:
    """Encode (prompt, answer) pairs, cut at `max_tokens` from the end: the paper's recipe."""
    examples, sources, truncated, skipped = [], [], 0, 0
    for number, (prompt, answer) in enumerate(pairs):
        read, written = wrapping.prompt_ids(prompt), wrapping.answer_ids(answer)
        if max_tokens is not None and len(read) + len(written) > max_tokens:
            truncated += 1
            written = written[: max(0, max_tokens - len(read))]
        if not written:
            skipped += 1
            continue
        examples.append(Example(tuple(read), tuple(written)))
        sources.append(number)
    return Encoded(tuple(examples), tuple(sources), truncated, skipped)


def shared_prefix(examples: Sequence[Example]) -> tuple[int, ...]:
    """The tokens with which every prompt begins (each keeps at least one token of its own)."""
    if not examples:
        return ()
    prompts = [example.prompt[:-1] for example in examples]
    first, last = min(prompts), max(prompts)  # all others sort between them
    pairs = enumerate(zip(first, last, strict=False))
    return first[: next((at for at, (one, other) in pairs if one != other), len(first))]


def epoch_batches(examples: Sequence[E], batch_size: int, seed: int, epoch: int) -> list[list[E]]:
    """One pass over all examples in random batches of like length, by seed and epoch only.

    Pools of POOL batches are sorted by length: little padding, and hardly less random.
    """
    chance = random.Random(f"batches {seed} {epoch}")
    shuffled = list(examples)
    chance.shuffle(shuffled)
    batches = []
    for start in range(0, len(shuffled), POOL * batch_size):
        pool = sorted(shuffled[start : start + POOL * batch_size], key=len)
        batches += [pool[at : at + batch_size] for at in range(0, len(pool), batch_size)]
    chance.shuffle(batches)
    return batches


def padded_parts_of(batch: Sequence[E], tokens: int) -> list[list[E]]:
    """A batch cut into parts of at most `tokens` tokens, padding included, or one example each."""
    parts: list[list[E]] = []
    rows = longest = 0
    for example in sorted(batch, key=lambda each: each.shape[1]):
        more, width = example.shape
        longest = max(longest, width)
        rows += more
        if parts and rows * longest <= tokens:
            parts[-1].append(example)
        else:
            parts.append([example])
            rows, longest = more, width
    return parts


def packed_parts_of(batch: Sequence[Example], tokens: int, shared: int) -> list[list[Example]]:
    """A batch in even parts of at most `tokens` tokens (the `shared` once), or of one example."""
    ordered = sorted(batch, key=len)
    own = [len(example) - shared for example in ordered]
    for count in range(1, len(ordered)):
        parts = _even_parts(ordered, own, count)
        sizes = [sum(len(example) - shared for example in part) for part in parts]
        if shared + max(sizes) <= tokens:
            return parts
    return [[example] for example in ordered]


def _even_parts(ordered: Sequence[Example], own: Sequence[int], count: int) -> list[list[Example]]:
    """`ordered` cut into at most `count` neighbouring parts of about equal sums of `own`."""
    share, read = sum(own) / count, 0
    parts: list[list[Example]] = []
    for example, size in zip(ordered, own, strict=True):
        if not parts or (read >= share * len(parts) and len(parts) < count):
            parts.append([])
        parts[-1].append(example)
        read += size
    return parts
