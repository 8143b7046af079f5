"""The frozen records that flow from step to step, and the BIO tags that spans become.

A span is `[start, end)` in code points of the *original* sentence. The text that a model reads
(`Sentence.model_text`) has the same length, so a position never moves.

The chunk rules are those of the organisers' `conlleval`. A tag is `O` or PREFIX-TYPE, split at its
first hyphen (`B-DISE`, but also `i-DISE`, `O-DISE`, `B-`). Prefix `O` is outside; every other
prefix is inside. A chunk starts after an outside tag; at a change of type; at `B` and `S`; and
after `E` and `S`. It ends where the next one starts, or at an outside tag. So a stray `I-X` starts
a chunk, `i-X` continues a chunk of type X or starts one, and `O-X` is outside.
chmed_ner/score/README.md gives the reasons.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

SEPARATOR = "\n\n"
"""What ends a demonstration, and a stop string: no answer holds it."""


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """An entity in a sentence: `[start, end)` in code points, and its type (for example `DISE`).

    `confidence`, 0 to 1, is how sure a method is of it, None where it cannot tell; spans that
    differ in it alone are one.
    """

    start: int
    end: int
    type: str
    confidence: float | None = field(default=None, compare=False)

    def moved(self, characters: int) -> "Span":
        """The span so many characters further on."""
        return replace(self, start=self.start + characters, end=self.end + characters)


@dataclass(frozen=True, slots=True)
class Entity:
    """An entity with its characters: `text` is `[start, end)`, in code points, of what was read.

    `confidence` as in `Span`.
    """

    text: str
    type: str
    start: int
    end: int
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Mention:
    """An entity as a model writes it: its characters and its type, without a position.

    `confidence` as in `Span`.
    """

    text: str
    type: str
    confidence: float | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a corpus.

    `tags` are those of the file, one per code point of `text` (None without gold); `entities` are
    the chunks the official scorer sees in them. `model_text` is `text` in the script a model reads;
    at `cuts` a longer text than a model can read at once is cut (`pieces`).
    """

    id: str
    split: str
    genre: str
    text: str
    tags: tuple[str, ...] | None = None
    entities: tuple[Span, ...] = ()
    model_text: str = ""
    cuts: tuple[int, ...] = ()

    def mention(self, span: Span) -> str:
        """The characters of `span` in the original text."""
        return self.text[span.start : span.end]


@dataclass(frozen=True, slots=True)
class AnnotatedText:
    """A text as its file holds it: entities by start, the longest first, nested or not.

    `tags` are the file's own where it has one a character; `line` (from 1) is where it begins; `id`
    the file's own.
    """

    text: str
    entities: tuple[Span, ...]
    tags: tuple[str, ...] | None = None
    line: int = 0
    id: str = ""


@dataclass(frozen=True, slots=True)
class Demonstration:
    """A question and its right answer, shown to a model before the question that is asked."""

    question: str
    answer: str

    @property
    def text(self) -> str:
        """Both as a model without chat template reads them, up to what comes next."""
        return f"{self.question}{self.answer}{SEPARATOR}"


Logprobs = tuple[tuple[int, float], ...]
"""Of the tokens of an answer's text, in order: how many characters each has written, and its
log-probability among what was allowed in its place; empty where it is not known."""


@dataclass(frozen=True, slots=True)
class Completion:
    """What a backbone answered to one prompt; `stop` is `end`, `length` or `refused`.

    `cut` is what a stop string took away; `off_grammar`: it was not held to the grammar it was to
    keep.
    """

    id: str
    split: str
    genre: str
    prompt_sha256: str
    text: str
    stop: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float
    cut: str = ""
    off_grammar: bool = False
    logprobs: Logprobs = field(default=(), compare=False)


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
    """Precision, recall and F1 in percent, unrounded, 0 without a denominator.

    As in the official scorer, multiplying by 100 comes last (23 of 160 prints as 14.37).
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
