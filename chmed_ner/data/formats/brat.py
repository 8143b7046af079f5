"""brat's standoff: a folder of `.txt` files, each with its `.ann`, or one of the two files.

Text-bound annotations (`T`) are entities; relations, events, attributes and notes are not read. A
text without `.ann` is left out.
"""

import logging
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from chmed_ner.data.columns import shown
from chmed_ner.data.formats.annotations import Annotations, Format, Options, read_unicode
from chmed_ner.data.formats.offsets import Document, Marked, resolve
from chmed_ner.entities import AnnotatedText, Span
from chmed_ner.errors import InputError
from chmed_ner.files import BYTE_ORDER_MARK

log = logging.getLogger(__name__)

_ENTITY = re.compile(r"T\S*\t(\S+) (\d+ \d+(?:;\d+ \d+)*)(?:\t(.*))?")
_OTHER = re.compile(r"[REAMN#*]\S*\t.*|\s*")


def _read(path: Path, options: Options) -> Annotations:
    folder = path if path.is_dir() else path.parent
    texts = sorted(path.rglob("*.txt")) if path.is_dir() else [path.with_suffix(".txt")]
    counts: Counter[str] = Counter()
    documents = []
    for file in sorted({*texts, *(each.with_suffix(".txt") for each in path.rglob("*.ann"))}):
        marks, marked = file.with_suffix(".ann"), list[Marked]()
        if options.gold is not False and not marks.is_file():
            counts["unannotated"] += 1
            continue
        text = read_unicode(file, keep_mark=True).removesuffix("\n").removesuffix("\r")
        if options.gold is not False:
            marked = list(_marked(marks, text, counts))
        name = file.relative_to(folder).with_suffix("").as_posix()
        documents.append(Document(marks, 1, text, marked, name))
    if counts["unannotated"]:
        log.warning("%s: %d .txt without .ann left out", path, counts["unannotated"])
    units = ("characters", "after the mark", "CRLF as one", "utf16")
    found = resolve(path, documents, ["exclusive"], units)
    plain = tuple(map(_without_mark, found.texts))
    return replace(found, texts=plain, counts={**found.counts, **counts})


def _without_mark(text: AnnotatedText) -> AnnotatedText:
    """The text without a byte order mark, which brat counts."""
    if not text.text.startswith(BYTE_ORDER_MARK):
        return text
    spans = tuple(Span(max(0, s.start - 1), s.end - 1, s.type) for s in text.entities)
    return replace(text, text=text.text[1:], entities=spans)


def _marked(path: Path, text: str, counts: Counter[str]) -> Iterator[Marked]:
    """The entities of an `.ann` file; pieces with but white space between them are one."""
    for number, line in enumerate(read_unicode(path).split("\n"), start=1):
        line = line.removesuffix("\r")
        found = _ENTITY.fullmatch(line)
        if not found:
            if not _OTHER.fullmatch(line):
                raise InputError(
                    f"{path}, line {number}: {shown(line)} is no annotation of brat; write "
                    "`T1<tab>TYPE START END<tab>MENTION`"
                )
            continue
        places = [tuple(map(int, piece.split())) for piece in found[2].split(";")]
        if any(text[first[1] : second[0]].strip() for first, second in pairwise(places)):
            counts["discontinuous"] += 1
            log.warning(
                "%s, line %d: %s is in %d pieces, and a span is one; left out: annotate it from "
                "its first to its last character, or each piece",
                path, number, shown(found[3] or found[1]), len(places),
            )  # fmt: skip
        else:
            yield Marked(places[0][0], places[-1][1], found[1], found[3], number)


FORMAT = Format(_read)
