"""The sentence copied with its entities marked in place: `患者有[高血压|疾病]。`

A mark of the sentence's own, or a backslash, has a backslash before it; white space other than a
plain space is written `␣`. The copy carries the positions: see `alignment`. Reading also takes
full-width marks and `【】`, and a category before the mention; marks without a category are text.
"""

import re
from collections import Counter
from dataclasses import dataclass, field

from chmed_ner.entities import Grammar, LabelScheme, Span, tags_of
from chmed_ner.prompt.formats.alignment import BLANK
from chmed_ner.prompt.formats.answer import Answer, CopyFormat, TaggedCopy
from chmed_ner.prompt.formats.copy_grammar import MarkedGrammar

_OPENING, _BARS, _CLOSING = "[［【", "|｜", "]］】"
_MARKS = re.compile(r"[\[［【|｜\]］】\\]")
_PIECES = re.compile(r"\\[\[［【|｜\]］】\\]|[\[［【|｜\]］】]|[^\[［【|｜\]］】\\]+|\\")


class Inline(CopyFormat):
    """The marked sentence."""

    most_marks = 5

    def write(self, answer: Answer, sentence: str, labels: LabelScheme, script: str) -> str:
        parts, start = [], 0
        for span in answer.spans or ():
            name = _escaped(labels.name_of(span.type, script))
            parts += [
                _escaped(sentence[start : span.start]),
                f"[{_escaped(sentence[span.start : span.end])}|{name}]",
            ]
            start = span.end
        return "".join([*parts, _escaped(sentence[start:])])

    def read(self, text: str, labels: LabelScheme, problems: Counter[str]) -> TaggedCopy:
        page = _Page(labels, problems)
        for piece in _PIECES.findall(text):
            page.read(piece)
        copy = page.finished()
        return copy, tags_of(page.spans, len(copy))

    def grammar(self, sentence: str, labels: LabelScheme, script: str, in_order: bool) -> Grammar:
        """The sentence with pieces of it marked, none within another."""
        names = tuple(f"{_escaped(name)}]" for name in labels.names(script))
        return MarkedGrammar(tuple(map(_escaped, sentence)), names)

    def room(self, characters: int, longest_name: int) -> int:
        """Twice the sentence: the copy, and a name and three marks for each entity."""
        return 2 * characters


@dataclass
class _Page:
    """What has been copied so far, and the mark that is still open."""

    labels: LabelScheme
    problems: Counter[str]
    parts: list[str] = field(default_factory=list)
    length: int = 0
    spans: list[Span] = field(default_factory=list)
    open: list[str] | None = None
    bar: int = 0  # the place of the last bar in `open`

    def read(self, piece: str) -> None:
        """Take the next piece: a mark, an escaped mark, or text."""
        if piece in _OPENING:
            self._leave_open()
            self.open, self.bar = [piece], 0
        elif self.open is None:
            self._copy(_unescaped(piece))
        elif piece in _CLOSING:
            self._close(piece)
        else:
            if piece in _BARS:
                self.bar = len(self.open)
            self.open.append(_unescaped(piece))

    def finished(self) -> str:
        """The copy; `spans` are the entities in it."""
        self._leave_open()
        return "".join(self.parts)

    def _copy(self, text: str) -> None:
        self.parts.append(text)
        self.length += len(text)

    def _leave_open(self) -> None:
        """An opening mark without its closing one is text; the words that it opens stay."""
        if self.open is None:
            return
        if self.bar:
            self.problems["unparsable_line"] += 1
            self._copy("".join(self.open[1 : self.bar]))
        else:
            self._copy("".join(self.open))
        self.open = None

    def _close(self, mark: str) -> None:
        opened, self.open = self.open or [], None
        if not self.bar:
            self._copy("".join(opened) + mark)
            return
        words, name = "".join(opened[1 : self.bar]), "".join(opened[self.bar + 1 :])
        type_ = self.labels.tag_of(name)
        if type_ is None and (type_ := self.labels.tag_of(words)):
            words = name
        start = self.length
        self._copy(words)
        if type_ is None:
            self.problems["unknown_label"] += 1
        elif not words:
            self.problems["unparsable_line"] += 1
        else:
            self.spans.append(Span(start, self.length, type_))


def _escaped(text: str) -> str:
    shown = "".join(BLANK if c.isspace() and c != " " else c for c in text)
    return _MARKS.sub(lambda mark: "\\" + mark.group(), shown)


def _unescaped(piece: str) -> str:
    return piece[1:] if len(piece) == 2 and piece[0] == "\\" else piece
