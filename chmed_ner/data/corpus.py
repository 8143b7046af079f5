"""A corpus ready for an experiment: named splits, what they were read from, what was dropped.

A draw depends on nothing but its purpose, the seed and the sentences.
"""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Annotated

from chmed_ner.data.repairs import repaired, training_counts
from chmed_ner.entities import LabelScheme, Sentence, across_cuts, cut
from chmed_ner.errors import InputError
from chmed_ner.knobs import Count, at_least

Sentences = tuple[Sentence, ...]


@dataclass(frozen=True, slots=True)
class Limit:
    """How many sentences of each split to use (None: all); `test` counts for each genre."""

    train: Count | None = None
    validation: Annotated[int, at_least(0)] | None = None
    test: Annotated[int, at_least(0)] | None = None


@dataclass(frozen=True, slots=True)
class Corpus:
    """The sentences an experiment uses; training and validation tags are repaired, test tags not.

    `training_files` and `test_files` map a file (relative to the data root, or as it was given) to
    its SHA-256. `counts` are those of `repairs.training_counts`, and `empty_sentences_left_out`.
    Training sentences are short; the others may have cuts. Without `gold` nothing can be scored.
    """

    name: str
    labels: LabelScheme
    train: Sentences
    validation: Sentences
    test: Sentences
    training_files: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    test_files: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))
    gold: bool = True

    @property
    def genres(self) -> tuple[str, ...]:
        """The genres of the test split, in its order."""
        return tuple(dict.fromkeys(sentence.genre for sentence in self.test))


def drop_leaks(train: Iterable[Sentence], test: Iterable[Sentence]) -> tuple[Sentences, int]:
    """The training sentences whose text is no test text, and how many were dropped."""
    texts = {sentence.text for sentence in test}
    sentences = tuple(train)
    kept = tuple(sentence for sentence in sentences if sentence.text not in texts)
    return kept, len(sentences) - len(kept)


def carve_validation(
    sentences: Sequence[Sentence], share: float, seed: int
) -> tuple[Sentences, Sentences]:
    """Training and validation sentences in order: `share` of the distinct texts go to validation.

    A share above 0 takes at least one text and leaves at least one.
    """
    texts = list(dict.fromkeys(sentence.text for sentence in sentences))
    size = min(len(texts) - 1, max(1, round(share * len(texts)))) if share and texts else 0
    random.Random(f"validation {seed}").shuffle(texts)
    taken = set(texts[:size])
    train = tuple(sentence for sentence in sentences if sentence.text not in taken)
    return train, tuple(sentence for sentence in sentences if sentence.text in taken)


def keep_empty(sentences: Sequence[Sentence], share: float, seed: int) -> Sentences:
    """The sentences with an entity, and `share` of those without; with one seed, a smaller share is
    part of a larger one.
    """
    empty = [at for at, sentence in enumerate(sentences) if not sentence.entities]
    left_out = set(empty) - set(_drawn(empty, round(share * len(empty)), f"empty {seed}"))
    return tuple(sentence for at, sentence in enumerate(sentences) if at not in left_out)


def sample(sentences: Sequence[Sentence], n: int | None, seed: int) -> Sentences:
    """`n` sentences (None: all) in order; with one seed, a smaller sample is part of a larger."""
    return tuple(sentences[index] for index in _drawn(range(len(sentences)), n, f"sample {seed}"))


def sample_per_genre(sentences: Sequence[Sentence], n: int | None, seed: int) -> Sentences:
    """`n` sentences of each genre, in order; other genres do not change a genre's sample."""
    members: dict[str, list[int]] = defaultdict(list)
    for index, sentence in enumerate(sentences):
        members[sentence.genre].append(index)
    drawn = [
        index
        for genre, indices in members.items()
        for index in _drawn(indices, n, f"sample {genre} {seed}")
    ]
    return tuple(sentences[index] for index in sorted(drawn))


def _drawn(indices: Iterable[int], n: int | None, seed: str) -> list[int]:
    shuffled = list(indices)
    random.Random(seed).shuffle(shuffled)
    return sorted(shuffled[:n])


@dataclass(frozen=True, slots=True)
class Splits:
    """What the files of a dataset hold, with their checksums; `validation` None is to be carved."""

    train: Sentences
    validation: Sentences | None
    test: Sentences
    training_files: Mapping[str, str]
    test_files: Mapping[str, str]


def assemble(
    name: str,
    labels: LabelScheme,
    read: Splits,
    *,
    share: float,
    seed: int,
    limit: Limit,
    empty_share: float = 1.0,
    gold: bool = True,
) -> Corpus:
    """The corpus of an experiment: leaks dropped, validation carved where it has no file, tags
    repaired, each split brought to its limit, long training texts cut into pieces. InputError: no
    training sentence is left.
    """
    train, leaked = drop_leaks(read.train, read.test)
    if read.train and not train:
        raise InputError(
            f"dataset '{name}': each of the {leaked} training sentences is also a test sentence; "
            "train and test must be different files"
        )
    if read.validation is None:
        train, carved = carve_validation(train, share, seed)
        validation = tuple(replace(sentence, split="validation") for sentence in carved)
    else:
        validation, leaked_validation = drop_leaks(read.validation, read.test)
        leaked += leaked_validation
    left = keep_empty(train, empty_share, seed)
    if train and not left:
        raise InputError(
            f"dataset.empty_share={empty_share}: none of the {len(train)} training "
            f"sentences of dataset '{name}' has an entity, and none is left; give more"
        )
    counts = training_counts((*read.train, *(read.validation or ())), leaked)
    counts["empty_sentences_left_out"] = len(train) - len(left)
    every = (*read.train, *(read.validation or ()), *read.test)
    if any(sentence.cuts for sentence in every):
        counts["entities_across_cuts"] = sum(map(across_cuts, every))
    return Corpus(
        name=name,
        labels=labels,
        train=cut(tuple(map(repaired, sample(left, limit.train, seed)))),
        validation=tuple(map(repaired, sample(validation, limit.validation, seed))),
        test=sample_per_genre(read.test, limit.test, seed),
        training_files=MappingProxyType(dict(read.training_files)),
        test_files=MappingProxyType(dict(read.test_files)),
        counts=MappingProxyType(counts),
        gold=gold,
    )
