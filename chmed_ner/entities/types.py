"""The frozen records that flow from step to step.

Offsets are sacred: a span is `[start, end)` in code points of the *original* sentence. The text
that a model reads (`Sentence.model_text`) has the same length, so a position never moves.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from types import MappingProxyType

from chmed_ner.errors import InputError

SEPARATOR = "\n\n"
"""What ends a demonstration; no answer holds it, so that it is a stop string as well."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """An entity in a sentence: `[start, end)` in code points, and its type (for example `DISE`)."""

    start: int
    end: int
    type: str


@dataclass(frozen=True, slots=True)
class Mention:
    """An entity as a model writes it: its characters and its type, without a position."""

    text: str
    type: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a corpus.

    `tags` are the official tags exactly as the file has them, one per code point of `text` (None
    for text without gold); `entities` are the chunks the official scorer sees in them, in order.
    `model_text` is `text` in the script the model reads, of equal length.
    """

    id: str
    split: str
    genre: str
    text: str
    tags: tuple[str, ...] | None = None
    entities: tuple[Span, ...] = ()
    model_text: str = ""

    def mention(self, span: Span) -> str:
        """The characters of `span` in the original text."""
        return self.text[span.start : span.end]


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A question and its right answer, shown to a model before the question that is asked."""

    question: str
    answer: str

    @property
    def text(self) -> str:
        """Both as a model without chat template reads them, up to what comes next."""
        return f"{self.question}{self.answer}{SEPARATOR}"


@dataclass(frozen=True, slots=True)
class Completion:
    """What a backbone answered to one prompt; `stop` is `end`, `length` or `refused`."""

    id: str
    split: str
    genre: str
    prompt_sha256: str
    text: str
    stop: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The entities predicted in one sentence, and the problems met, counted by reason."""

    id: str
    split: str
    genre: str
    text: str
    entities: tuple[Span, ...]
    problems: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Scores:
    """Precision, recall and F1 in percent, unrounded, with the counts they come from.

    As in the official scorer, multiplying by 100 comes last (23 of 160 prints as 14.37), and a
    figure without a denominator is 0.
    """

    gold: int
    predicted: int
    correct: int

    @property
    def precision(self) -> float:
        """Correct of the predicted, in percent."""
        return 100 * (self.correct / self.predicted if self.predicted else 0.0)

    @property
    def recall(self) -> float:
        """Correct of the gold, in percent."""
        return 100 * (self.correct / self.gold if self.gold else 0.0)

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall, in percent."""
        precision = self.correct / self.predicted if self.predicted else 0.0
        recall = self.correct / self.gold if self.gold else 0.0
        both = precision + recall
        return 100 * (2 * precision * recall / both if both else 0.0)


OUTSIDE = "O"


def split_tag(tag: str) -> tuple[str, str]:
    """Prefix and type of `tag`: `B-DISE` -> `B`, `DISE`; `O` -> `O`, ``.

    Raises InputError for a tag that is neither `O` nor PREFIX-TYPE: `conlleval` breaks off there.
    """
    prefix, hyphen, type_ = tag.partition("-")
    if not hyphen and tag != OUTSIDE:
        raise InputError(f"tag {tag!r} is neither 'O' nor PREFIX-TYPE such as 'B-DISE'")
    return prefix, type_


@lru_cache(maxsize=65536)
def _boundary(previous: str, tag: str) -> tuple[bool, bool, str]:
    """Between two tags: whether a chunk ends, whether one starts, and the type it would have."""
    before, type_before = split_tag(previous)
    here, type_here = split_tag(tag)
    breaks = type_before != type_here or here in ("B", "S") or before in ("E", "S")
    ends = before != OUTSIDE and (here == OUTSIDE or breaks)
    starts = here != OUTSIDE and (before == OUTSIDE or breaks)
    return ends, starts, type_here


def may_follow(previous: str, tag: str) -> bool:
    """Whether BIO allows `tag` after `previous` (`O` before the first character)."""
    prefix, type_ = split_tag(tag)
    return prefix != "I" or (previous != OUTSIDE and split_tag(previous)[1] == type_)


def chunks(tags: Sequence[str]) -> tuple[Span, ...]:
    """The entities that `conlleval` sees in one sentence, in text order.

    Raises InputError for a malformed tag, as `split_tag`.
    """
    found: list[Span] = []
    start, type_, previous = 0, "", OUTSIDE
    for position, tag in enumerate(tags):
        if tag == previous == OUTSIDE:
            continue
        ends, starts, type_here = _boundary(previous, tag)
        if ends:
            found.append(Span(start, position, type_))
        if starts:
            start, type_ = position, type_here
        previous = tag
    if split_tag(previous)[0] != OUTSIDE:
        found.append(Span(start, len(tags), type_))
    return tuple(found)


def tags_of(spans: Iterable[Span], length: int) -> tuple[str, ...]:
    """One BIO tag per code point of a sentence of `length` code points.

    Raises ValueError for a span outside the sentence or overlapping another.
    """
    tags = [OUTSIDE] * length
    for span in spans:
        if not 0 <= span.start < span.end <= length:
            raise ValueError(f"{span} is not inside a sentence of {length} characters")
        if any(tag != OUTSIDE for tag in tags[span.start : span.end]):
            raise ValueError(f"{span} overlaps another span")
        tags[span.start] = f"B-{span.type}"
        tags[span.start + 1 : span.end] = [f"I-{span.type}"] * (span.end - span.start - 1)
    return tuple(tags)
