"""The sentence copied with its entities marked in place: `患者有[高血压|疾病]。`

Where entities nest, marks do: `[[胃|身体]痛|症状]`. A mark of the sentence's own, or a backslash,
has a backslash before it; white space other than a plain space is written `␣`. The copy carries the
positions: see `alignment`. Reading also takes full-width marks and `【】`, and a category before
the mention; marks without a category are text.
"""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from chmed_ner.entities import Grammar, LabelScheme, Span, in_text_order, layers, tags_of
from chmed_ner.prompt.formats.alignment import BLANK
from chmed_ner.prompt.formats.answer import DEEPEST, Answer, CopyFormat, Stretches, TaggedCopy
from chmed_ner.prompt.formats.copy_grammar import MarkedGrammar

_OPENING, _BARS, _CLOSING = "[［【", "|｜", "]］】"
_MARKS = re.compile(r"[\[［【|｜\]］】\\]")
_CLOSED = re.compile(r"[^\]］】]*[\]］】]")
_PIECES = re.compile(r"\\[\[［【|｜\]］】\\]|[\[［【|｜\]］】]|[^\[［【|｜\]］】\\]+|\\")


class Inline(CopyFormat):
    """The marked sentence."""

    most_marks = 5

    def write(self, answer: Answer, sentence: str, labels: LabelScheme, script: str) -> str:
        parts: list[str] = []
        opened: list[Span] = []
        start = 0
        end = Span(len(sentence), len(sentence), "")
        for span in (*in_text_order(answer.spans or ()), end):
            while opened and opened[-1].end <= span.start:
                closed = opened.pop()
                name = _escaped(labels.name_of(closed.type, script))
                parts += [_escaped(sentence[start : closed.end]), f"|{name}]"]
                start = closed.end
            parts += [_escaped(sentence[start : span.start]), "[" if span is not end else ""]
            opened.append(span)
            start = span.start
        return "".join(parts)

    def read(self, text: str, labels: LabelScheme, problems: Counter[str]) -> TaggedCopy:
        page = _Page(labels, problems, DEEPEST if labels.nested else 1)
        for piece in _PIECES.finditer(text):
            page.read(piece.group(), piece.start())
        copy = page.finished()
        spans = set(copy.spans)
        if len(spans) < len(copy.spans):
            problems["repeated_line"] += len(copy.spans) - len(spans)
        return copy.text, [tags_of(layer, len(copy.text)) for layer in layers(spans)], copy.places

    def stretches(
        self, span: Span, text: str, places: Sequence[int], marked: Sequence[Span]
    ) -> Stretches:
        """Its characters and its own marks, not those of what is inside it."""
        begin, ends = places[span.start], [*places[span.end :], len(text)]
        begun = in_text_order(each for each in marked if each.start == span.start)
        ended = in_text_order(each for each in marked if each.end == span.end)[::-1]
        own = begin - len(begun) + begun.index(span)
        before = places[span.start - 1] + 1 if span.start else 0
        marks = own >= before and text[own] in _OPENING  # else its category is before its words
        opening = (own, own + 1) if marks else (before, begin)
        after = places[span.end - 1] + 1
        closings = [each.span() for each in _CLOSED.finditer(text, after, ends[0])]
        closing = dict(enumerate(closings)).get(ended.index(span), (after, ends[0]))
        words = ((at, at + 1) for at in places[span.start : span.end])
        return opening, *words, closing

    def grammar(self, sentence: str, labels: LabelScheme, script: str, in_order: bool) -> Grammar:
        """The sentence with pieces of it marked, none within another unless the labels nest."""
        names = tuple(f"{_escaped(name)}]" for name in labels.names(script))
        deepest = DEEPEST if labels.nested else 1
        return MarkedGrammar(tuple(map(_escaped, sentence)), names, deepest)

    def room(self, characters: int, longest_name: int) -> int:
        """Twice the sentence: the copy, and a name and three marks for each entity."""
        return 2 * characters


@dataclass
class _Copied:
    """A stretch of the copy, and the entities in it."""

    text: str = ""
    places: Sequence[int] = ()  # where in the answer its characters are
    spans: list[Span] = field(default_factory=list)


@dataclass
class _Open:
    """The stretches since a mark that opens (one of no width for the whole copy); `bar` is the
    place of the last bar among them."""

    parts: list[_Copied]
    bar: int = 0

    def joined(self, start: int = 0, end: int | None = None) -> _Copied:
        """The stretches from `start` to `end` as one."""
        places: list[int] = []
        texts, spans, length = [], [], 0
        for part in self.parts[start:end]:
            spans += [span.moved(length) for span in part.spans]
            texts.append(part.text)
            places += part.places
            length += len(part.text)
        return _Copied("".join(texts), places, spans)


@dataclass
class _Page:
    """What has been copied so far, and the marks that are still open, at most `deepest`."""

    labels: LabelScheme
    problems: Counter[str]
    deepest: int
    open: list[_Open] = field(default_factory=lambda: [_Open([])])

    def read(self, piece: str, at: int) -> None:
        """Take the next piece, from `at` on: a mark, an escaped mark, or text."""
        plain = _unescaped(piece)
        copied = _Copied(plain, range(at, at + len(plain)))
        if piece in _OPENING:
            if len(self.open) > self.deepest:
                self._leave_open()
            self.open.append(_Open([copied]))
        elif piece in _CLOSING and len(self.open) > 1:
            self._close(copied)
        else:
            if piece in _BARS:
                self.open[-1].bar = len(self.open[-1].parts)
            self._copy(copied)

    def finished(self) -> _Copied:
        """The copy and the entities in it."""
        while len(self.open) > 1:
            self._leave_open()
        return self.open[0].joined()

    def _copy(self, copied: _Copied) -> None:
        self.open[-1].parts.append(copied)

    def _leave_open(self) -> None:
        """An opening mark without its closing one is text; the words that it opens stay."""
        left = self.open.pop()
        if left.bar:
            self.problems["unparsable_line"] += 1
            self._copy(left.joined(1, left.bar))
        else:
            self._copy(left.joined())

    def _close(self, mark: _Copied) -> None:
        closed = self.open.pop()
        if not closed.bar:
            self._copy(_Open([*closed.parts, mark]).joined())
            return
        words, name = closed.joined(1, closed.bar), closed.joined(closed.bar + 1)
        type_ = self.labels.tag_of(name.text)
        if type_ is None and (type_ := self.labels.tag_of(words.text)):
            words = name
        if type_ is None:
            self.problems["unknown_label"] += 1
        elif not words.text:
            self.problems["unparsable_line"] += 1
        else:
            words.spans.append(Span(0, len(words.text), type_))
        self._copy(words)


def _escaped(text: str) -> str:
    shown = "".join(BLANK if c.isspace() and c != " " else c for c in text)
    return _MARKS.sub(lambda mark: "\\" + mark.group(), shown)


def _unescaped(piece: str) -> str:
    return piece[1:] if len(piece) == 2 and piece[0] == "\\" else piece
