"""Column files in every dialect: a line has a token and its tag, perhaps other columns.

A line of white space, or one of `-DOCSTART-`, ends a sentence; tokens are joined as they are. The
strict reader of official files is `chmed_ner.data.columns`.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from itertools import accumulate
from pathlib import Path

from chmed_ner.data.columns import Line, lines, opened, shown
from chmed_ner.data.formats.annotations import Annotations, Format, Options
from chmed_ner.data.formats.offsets import ordered
from chmed_ner.data.formats.tags import SCHEMES, Tag, order_of, plain, scheme_of, split
from chmed_ner.entities import OUTSIDE, AnnotatedText, Span, chunks
from chmed_ner.errors import InputError
from chmed_ner.files import BYTE_ORDER_MARK, without_mark

_SEPARATORS = {"tab": "\t", "space": " ", None: " \t"}
_PADDING = " \t\xa0\u3000"
_COMMENT = re.compile("# ?(id|text|sent_id|newdoc|newpar)[ =]")
_FORMAT = "each line needs a token, a space or tab, and a tag such as O or B-DISE"


@dataclass(frozen=True, slots=True)
class _Row:
    """A line: its token, and the columns after it."""

    line: Line
    token: str
    columns: tuple[str, ...]


Sentences = Sequence[Sequence[_Row]]


def _read(path: Path, options: Options) -> Annotations:
    with opened(path) as stream:
        read = list(lines(stream, str(path)))
    separator = options.separator or _separator(read)
    sentences: Sentences = list(_sentences(read, separator, options.gold is not False))
    notes = [f"columns separated by {separator or 'spaces or tabs'}"]
    plainly = [_unsegmented(each) for each in sentences]
    if sentences and all(plainly):
        sentences = [each for each in plainly if each]
        notes.append("segmentation digits taken from the tokens")
    longer = sum(len(row.token) > 1 for each in sentences for row in each)
    notes += [f"{longer:,} tokens of several characters"] if longer else []
    if options.gold is False or not sentences:
        texts = (_text(each, ["O"] * len(each), ["O"] * len(each)) for each in sentences)
        return Annotations(tuple(replace(text, tags=None) for text in texts), tuple(notes))
    place, order = _column(sentences, options)
    written = [[row.columns[place] for row in each] for each in sentences]
    parts = [[split(tag, order) or (OUTSIDE, "") for tag in tags] for tags in written]
    scheme = scheme_of(parts)
    if options.scheme:
        _check(sentences, parts, options.scheme)
    notes.append(f"scheme {options.scheme or scheme}, tags {order}")
    return Annotations(
        tuple(
            _text(rows, tags, [plain(part) for part in its])
            for rows, tags, its in zip(sentences, written, parts, strict=True)
        ),
        tuple(notes),
    )


def _separator(read: Sequence[Line]) -> str | None:
    """`tab` where every line with a column has one; None: spaces or tabs."""
    filled = [line.text for line in read if not _ends(line)]
    return "tab" if filled and all("\t" in text[1:] for text in filled) else None


def _ends(line: Line) -> bool:
    return not line.text.strip() or line.text.startswith("-DOCSTART-")


def _sentences(
    read: Sequence[Line], separator: str | None, tagged: bool
) -> Iterator[Sequence[_Row]]:
    """The rows of each sentence; without tags, a lone space is a token if empty lines separate."""
    spaces = not tagged and any(not line.text for line in read)
    rows: list[_Row] = []
    for line in read:
        if line.number == 1 and line.text.startswith(BYTE_ORDER_MARK):
            after = replace(line, text=line.text[1:])
            if _ends(after) or not tagged or _row(after, separator).columns:
                line = replace(line, text=without_mark(line.text, line.file))
        if _ends(line) and not (spaces and line.text == " "):
            if rows:
                yield rows
            rows = []
            continue
        if not rows and _COMMENT.match(line.text):
            continue
        row = _row(line, separator)
        if tagged and not row.columns:
            line.refuse(
                f"no tag in {shown(line.text)}; {_FORMAT}, or set dataset.gold=false for a file "
                "without tags."
            )
        rows.append(row)
    if rows:
        yield rows


def _row(line: Line, separator: str | None) -> _Row:
    """A line's first character, whatever it is, up to a separator; and what is after that."""
    between = _SEPARATORS[separator]
    token, *rest = re.split(f"(?<=.)[{between}]+", line.text, maxsplit=1, flags=re.DOTALL)
    columns = re.split(f"[{between}]+", rest[0].strip(_PADDING)) if rest else []
    kept = tuple(each.strip(_PADDING) for each in columns)
    return _Row(line, token.strip() or token, kept if any(kept) else ())


def _unsegmented(rows: Sequence[_Row]) -> list[_Row] | None:
    """The rows without the place in its word after each character, as in `科0 技1`; None: without.
    """
    found: list[_Row] = []
    number = -1
    for row in rows:
        for digits in (str(number + 1), "0"):
            token = row.token.removesuffix(digits)
            if token and token != row.token:
                number = int(digits)
                found.append(replace(row, token=token))
                break
        else:
            return None
    return found


def _column(sentences: Sentences, options: Options) -> tuple[int, str]:
    """The place of the tags among the columns after the token, and their order.

    It is the column set, else the last, else the last of all lines that holds nothing but tags.
    """
    rows = [row for each in sentences for row in each]
    fewest = min(len(row.columns) for row in rows)
    places = [-1, *reversed(range(fewest))] if options.column is None else [options.column - 2]
    if places[0] >= fewest:
        row = next(row for row in rows if len(row.columns) <= places[0])
        row.line.refuse(f"has no column {options.column} (dataset.column); {_FORMAT}.")
    for place in places:
        if order := order_of({row.columns[place] for row in rows}):
            _refuse_cut(rows, place)
            return place, order
    row = next(row for row in rows if not split(row.columns[places[0]], "B-X"))
    row.line.refuse(
        f"invalid tag {shown(row.columns[places[0]])}; write O and B-TYPE, B_TYPE or TYPE-B in the "
        "last column, or name the column of the tags (dataset.column)."
    )


def _refuse_cut(rows: Sequence[_Row], place: int) -> None:
    """Refuse a last line without line end whose tag may have lost its end."""
    last = rows[-1]
    tag = last.columns[place]
    longer = (row.columns[place] for row in rows)
    if not last.line.ended and tag != OUTSIDE:
        if any(each != tag and each.startswith(tag) for each in longer):
            last.line.refuse(f"tag {shown(tag)} is only the beginning of another tag of this file.")


def _check(sentences: Sentences, parts: Sequence[Sequence[Tag]], scheme: str) -> None:
    """Refuse the first line whose tag is not one of the scheme that was set."""
    for rows, tags in zip(sentences, parts, strict=True):
        for row, (prefix, _) in zip(rows, tags, strict=True):
            if prefix not in SCHEMES[scheme] + OUTSIDE:
                row.line.refuse(
                    f"prefix {shown(prefix)} is not one of {scheme} (dataset.scheme); correct the "
                    "tag, or leave the scheme out."
                )


def _text(rows: Sequence[_Row], written: Sequence[str], tags: Sequence[str]) -> AnnotatedText:
    """A sentence; its tags as written, if the scorer finds the same entities in them."""
    places = list(accumulate((len(row.token) for row in rows), initial=0))
    spans = ordered([Span(places[s.start], places[s.end], s.type) for s in chunks(tags)])
    own = None
    with suppress(InputError):
        if len(places) - 1 == places[-1] and chunks(written) == spans:
            own = tuple(written)
    return AnnotatedText("".join(row.token for row in rows), spans, own, rows[0].line.number)


FORMAT = Format(_read, ("scheme", "separator", "column", "gold"))
