"""Column files in every dialect: a line has a token and its tag, perhaps other columns.

A line of white space, or one of `-DOCSTART-`, ends a sentence; tokens are joined as they are. The
strict reader of official files is `chmed_ner.data.columns`.
"""

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import accumulate, dropwhile, groupby
from pathlib import Path
from typing import NamedTuple

from chmed_ner.data.columns import Line, check_last_tag, lines, opened, shown, split_line
from chmed_ner.data.formats.annotations import Annotations, Format, Options
from chmed_ner.data.formats.tags import SCHEMES, order_of, plain, scheme_of, split
from chmed_ner.entities import OUTSIDE, AnnotatedText, Span, chunks
from chmed_ner.errors import InputError

_SEPARATORS = {"tab": "\t", "space": " ", "space or tab": " \t"}
_PADDING = " \t\xa0\u3000"
_COMMENT = re.compile("# ?(id|text|sent_id|newdoc|newpar)[ =]")
_CURE = "each line needs a token, a space or tab, and a tag such as O or B-DISE"


class _Row(NamedTuple):
    """A line: its token, and the columns after it."""

    line: Line
    token: str
    columns: Sequence[str]


def _read(path: Path, options: Options) -> Annotations:
    tagged = options.gold
    with opened(path) as stream:
        read = list(lines(stream, str(path), tagged=tagged))
    tabs = all("\t" in line.text[1:] for line in read if not _ends(line))
    separator = options.separator or ("tab" if tabs else "space or tab")
    sentences = list(_sentences(read, _SEPARATORS[separator], tagged))
    notes = [f"separator {separator}"]
    undone = [_unsegmented(each) for each in sentences]
    if all(undone):
        sentences = [each for each in undone if each]
        notes += ["digits of a segmentation taken from the tokens"]
    longer = sum(len(row.token) > 1 for each in sentences for row in each)
    notes += [f"{longer:,} tokens of several characters"] if longer else []
    written = plainly = [[OUTSIDE] * len(each) for each in sentences]
    if tagged and sentences:
        prefixes = SCHEMES[options.scheme] + OUTSIDE if options.scheme else "BIOMESLUW"
        place, order = _column(sentences, options, prefixes)
        written = [[row.columns[place] for row in each] for each in sentences]
        parts = [[split(tag, order, prefixes) or (OUTSIDE, "") for tag in tags] for tags in written]
        plainly = [[plain(*part) for part in its] for its in parts]
        notes += [f"scheme {options.scheme or scheme_of(parts)}, tags {order}"]
    own = tagged and "IOB1" not in notes[-1]  # as BIO its tags would need repairs
    each = zip(sentences, plainly, written, strict=True)
    texts = tuple(_text(rows, tags, its if own else ()) for rows, tags, its in each)
    return Annotations(texts, tuple(notes))


def _sentences(read: Sequence[Line], between: str, tagged: bool) -> Iterator[list[_Row]]:
    """The rows of each sentence; without tags, a lone space is a token if empty lines separate."""
    spaces = not tagged and any(not line.text for line in read)
    for ended, some in groupby(
        read, lambda line: _ends(line) and not (spaces and line.text == " ")
    ):
        if ended:
            continue
        rows = [_row(line, between) for line in dropwhile(_is_comment, some)]
        for row in rows:
            if tagged and not row.columns:
                row.line.refuse(
                    f"no tag in {shown(row.line.text)}; {_CURE} (dataset.gold=false: none)."
                )
        numbers = [str(at) for at in range(1, len(rows) + 1)]
        if len(rows) > 2 and numbers == [row.token for row in rows if len(row.columns) > 1]:
            rows[0].line.refuse(
                "the first column numbers the tokens, as in CoNLL-U; leave that column out."
            )
        if rows:
            yield rows


def _is_comment(line: Line) -> bool:
    return _COMMENT.match(line.text) is not None


def _ends(line: Line) -> bool:
    return not line.text.strip() or line.text.startswith("-DOCSTART-")


def _row(line: Line, between: str) -> _Row:
    token, rest = split_line(line.text, between)
    kept = [each.strip(_PADDING) for each in re.split(f"[{between}]+", rest.strip(_PADDING))]
    return _Row(line, token.strip() or token, kept if any(kept) else [])


def _unsegmented(rows: Sequence[_Row]) -> list[_Row] | None:
    """The rows without the place in its word after each character (`科0 技1`); None: without."""
    found: list[_Row] = []
    number = -1
    for row in rows:
        ends = (each for each in (str(number + 1), "0") if row.token[1:].endswith(each))
        if (digits := next(ends, None)) is None:
            return None
        number = int(digits)
        found.append(row._replace(token=row.token.removesuffix(digits)))
    return found


def _column(
    sentences: Sequence[Sequence[_Row]], options: Options, prefixes: str
) -> tuple[int, str]:
    """The place of the tags among the columns after the token, and the order of their parts: the
    column set, else the last, else the last one that holds nothing but tags."""
    rows = [row for each in sentences for row in each]
    fewest = min(rows, key=lambda row: len(row.columns))
    places = [-1, *reversed(range(len(fewest.columns)))]
    places = places if options.column is None else [options.column - 2]
    if places[0] >= len(fewest.columns):
        fewest.line.refuse(f"has no column {options.column} (dataset.options.column); {_CURE}.")
    orders = ((place, order_of({row.columns[place] for row in rows}, prefixes)) for place in places)
    place, order = next((each for each in orders if each[1]), (places[0], None))
    for row in rows:
        if not order and not split(row.columns[place], "B-X", prefixes):
            row.line.refuse(
                f"invalid tag {shown(row.columns[place])} (prefixes: {prefixes}); write O and "
                "B-TYPE, B_TYPE or TYPE-B last, or set dataset.options.column or .scheme."
            )
    check_last_tag(rows[-1].line, rows[-1].columns[place], (row.columns[place] for row in rows))
    return place, order or ""


def _text(rows: Sequence[_Row], tags: Sequence[str], written: Sequence[str]) -> AnnotatedText:
    """A sentence; its tags as written, if the scorer finds the same entities in them."""
    places = list(accumulate((len(row.token) for row in rows), initial=0))
    spans = tuple(Span(places[s.start], places[s.end], s.type) for s in chunks(tags))
    own = None
    with suppress(InputError):
        if len(written) == places[-1] and chunks(written) == spans:
            own = tuple(written)
    return AnnotatedText("".join(row.token for row in rows), spans, own, rows[0].line.number)


FORMAT = Format(_read, ("scheme", "separator", "column"))
