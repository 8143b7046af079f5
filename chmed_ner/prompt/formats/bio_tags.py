"""The paper's BIO style: every character of the sentence with its tag, and two compact variants.

`lines`: `血 B-检查`, a line for each character. `one_line`: `血/B-检查 压/I-检查`. `runs`: a line
for each entity and for each stretch between entities, `血压 检查`. White space of the sentence is
written `␣`. The characters carry the positions: see `alignment`.
"""

import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from chmed_ner.entities import (
    OUTSIDE,
    Grammar,
    LabelScheme,
    Span,
    chunks,
    folded,
    split_tag,
    tags_of,
)
from chmed_ner.knobs import one_of
from chmed_ner.prompt.formats.alignment import BLANK
from chmed_ner.prompt.formats.answer import Answer, CopyFormat, Stretches, TaggedCopy
from chmed_ner.prompt.formats.copy_grammar import RunsGrammar, TaggedGrammar

STYLES = ("lines", "one_line", "runs")
_SEPARATORS = re.compile(r"[\s/\-:：|｜,，=_→]+")
_PREFIXED = re.compile(r"([BI])[-_－—:：/ ]*(.+)", re.IGNORECASE | re.DOTALL)
_OUTSIDE = frozenset({"o", "0", "无", "無", "none", "其他", "其它"})
_NUMBER = re.compile(r"\d+[.、)）]\s+")
_MARKS = " |()（）[]【】。.，,;；"
_ROOM = 12
"""Characters that a line may take beyond one character and the longest category's name."""


@dataclass(frozen=True, kw_only=True)
class BioTags(CopyFormat):
    """Tagged characters, in one of the `STYLES`."""

    nests = False
    most_marks = _ROOM
    style: Annotated[str, one_of(*STYLES)]

    def write(self, answer: Answer, sentence: str, labels: LabelScheme, script: str) -> str:
        names, shown = _names(labels, script), _visible(sentence)
        tags = tags_of(answer.spans or (), len(sentence))
        if self.style == "runs":
            return "\n".join(
                f"{shown[start:end]} {names.get(type_, OUTSIDE)}"
                for start, end, type_ in _runs(tags)
            )
        separator, between = self._marks
        return between.join(
            f"{character}{separator}{_tag_name(tag, names)}"
            for character, tag in zip(shown, tags, strict=True)
        )

    def read(self, text: str, labels: LabelScheme, problems: Counter[str]) -> TaggedCopy:
        copy: list[str] = []
        tags: list[str] = []
        places: list[int] = []
        reader = _Reader(self.style, labels)
        pieces = re.finditer(r"\S+" if self.style == "one_line" else r"[^\r\n]+", text)
        lines = [(each.group(), each.start()) for each in pieces if each.group().strip()]
        if self.style != "one_line" and all(_NUMBER.match(line) for line, _ in lines):
            lines = [
                (line[number.end() :], at + number.end())
                for line, at in lines
                if (number := _NUMBER.match(line))
            ]
        for line, at in lines:
            piece = reader.piece(line.rstrip())
            if isinstance(piece, str):
                problems[piece] += 1
                continue
            words, tag = piece
            copy.append(words)
            tags += [tag, *[_inside(tag)] * (len(words) - 1)]
            places += range(at, at + len(words))
        return "".join(copy), [tags], places

    def stretches(
        self, span: Span, text: str, places: Sequence[int], marked: Sequence[Span]
    ) -> Stretches:
        """Its lines, and without `runs` the next one, whose tag says that it has ended."""
        ends = [*places[span.end :], len(text), len(text)]
        return ((places[span.start], ends[0 if self.style == "runs" else 1]),)

    def grammar(self, sentence: str, labels: LabelScheme, script: str, in_order: bool) -> Grammar:
        """Every character with a tag, or every stretch with a name."""
        names, shown = _names(labels, script), tuple(_visible(sentence))
        if self.style == "runs":
            return RunsGrammar(shown, tuple(names.values()))
        tags = {"": (OUTSIDE, OUTSIDE)}
        tags |= {tag: (f"B-{name}", f"I-{name}") for tag, name in names.items()}
        return TaggedGrammar(shown, *self._marks, tags)

    def room(self, characters: int, longest_name: int) -> int:
        """Tokens: one for a character, two for its tag, the name's, a line end; runs as inline."""
        return 2 * characters if self.style == "runs" else characters * (4 + longest_name) // 2

    @property
    def _marks(self) -> tuple[str, str]:
        """What separates a character from its tag, and a tag from the next character."""
        return (" ", "\n") if self.style == "lines" else ("/", " ")


def _names(labels: LabelScheme, script: str) -> dict[str, str]:
    """The categories' names without white space, by type."""
    return {tag: "".join(labels.name_of(tag, script).split()) for tag in labels.tags}


def _visible(text: str) -> str:
    """`text` of the same length with `BLANK` for white space."""
    return "".join(BLANK if character.isspace() else character for character in text)


def _runs(tags: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    """`[start, end)` and type of each entity and of each stretch between them (type empty)."""
    start = 0
    for entity in chunks(tags):
        if start < entity.start:
            yield start, entity.start, ""
        yield entity.start, entity.end, entity.type
        start = entity.end
    if start < len(tags):
        yield start, len(tags), ""


def _tag_name(tag: str, names: Mapping[str, str]) -> str:
    prefix, type_ = split_tag(tag)
    return f"{prefix}-{names[type_]}" if type_ else tag


def _inside(tag: str) -> str:
    """The tag of a further character of the same piece."""
    type_ = split_tag(tag)[1]
    return f"I-{type_}" if type_ else tag


class _Reader:
    """Lines (or `one_line`'s words) read as characters and a tag."""

    def __init__(self, style: str, labels: LabelScheme) -> None:
        self.separator = "/" if style == "one_line" else " "
        self.runs = style == "runs"
        self.labels = labels
        self.longest = labels.longest + _ROOM
        self.type = ""  # of the piece before, which a tag without prefix may continue

    def piece(self, line: str) -> tuple[str, str] | str:
        """The characters of `line` and the tag of the first, or the reason why it has none."""
        for words, name in self._readings(line):
            if tag := self._tag(name, len(words)):
                self.type = split_tag(tag)[1]
                return words, tag
        self.type = ""
        return "unknown_label" if _SEPARATORS.search(line[1:-1]) else "unparsable_line"

    def _readings(self, line: str) -> Iterator[tuple[str, str]]:
        """Characters and name: as `write` divides them, then at each separator from the left."""
        at = line.rfind(self.separator) if self.runs else 1
        if 0 < at < len(line) and line[at] == self.separator:
            yield line[:at], line[at + 1 :]
        for match in _SEPARATORS.finditer(line, max(1, len(line) - self.longest)):
            words = line[: match.start()]
            yield words.strip(" |") or words, line[match.end() :]

    def _tag(self, name: str, characters: int) -> str | None:
        """The BIO tag that `name` means."""
        if len(name) > self.longest:
            return None
        name = name.strip(_MARKS)
        bare = self.labels.tag_of(name)
        if bare and self.runs:
            return f"B-{bare}"
        if name.upper() == OUTSIDE:
            return OUTSIDE
        prefixed = _PREFIXED.fullmatch(name)
        if prefixed and (type_ := self.labels.tag_of(prefixed[2])):
            return f"{prefixed[1].upper()}-{type_}"
        if bare:
            return f"{'I' if characters == 1 and bare == self.type else 'B'}-{bare}"
        return OUTSIDE if folded(name) in _OUTSIDE else None
