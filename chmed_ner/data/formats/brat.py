"""brat's standoff: a folder of `.txt` files, each with its `.ann`, or one of the two files.

Text-bound annotations (`T`) are entities; relations, events, attributes and notes are not read. A
text without `.ann` is left out.
"""

import logging
import re
from codecs import BOM_UTF8
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

from chmed_ner.data.columns import shown
from chmed_ner.data.formats.annotations import Annotations, Format, Options
from chmed_ner.data.formats.offsets import Document, Marked, resolve
from chmed_ner.errors import InputError
from chmed_ner.files import read_text

log = logging.getLogger(__name__)

_ENTITY = re.compile(r"T\S*\t(\S+) (\d+ \d+(?:;\d+ \d+)*)(?:\t(.*))?")
_OTHER = re.compile(r"[REAMN#*]\S*\t.*|\s*")


def _read(path: Path, options: Options) -> Annotations:
    folder = path if path.is_dir() else path.parent
    texts = {*path.rglob("*.txt")} if path.is_dir() else {path.with_suffix(".txt")}
    counts: Counter[str] = Counter()
    documents = []
    for file in sorted(texts | {each.with_suffix(".txt") for each in path.rglob("*.ann")}):
        marks, name = file.with_suffix(".ann"), file.relative_to(folder).with_suffix("").as_posix()
        if options.gold and not marks.is_file():
            counts["unannotated"] += 1
            continue
        text = read_text(file).removesuffix("\n").removesuffix("\r")
        marked = list(_marked(marks, text, counts)) if options.gold else []
        if file.read_bytes().startswith(BOM_UTF8):  # which brat counts, and a program may not
            counted = [replace(each, start=each.start - 1, end=each.end - 1) for each in marked]
            fit = [sum(text[m.start : m.end] == m.mention for m in ms) for ms in (marked, counted)]
            marked = marked if fit[0] > fit[1] else counted
        documents.append(Document(marks, 1, text, marked, name))
    if counts["unannotated"]:
        log.warning("%s: %d .txt without .ann left out", path, counts["unannotated"])
    units = ("characters", "CRLF as one", "utf16")
    found = resolve(path, documents, options, ["exclusive"], units)
    return replace(found, counts={**found.counts, **counts})


def _marked(path: Path, text: str, counts: Counter[str]) -> Iterator[Marked]:
    """The entities of an `.ann` file; pieces with but white space between them are one."""
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        if _OTHER.fullmatch(line):
            continue
        found = _ENTITY.fullmatch(line.removesuffix("\r"))
        if not found:
            cure = "write `T1<tab>TYPE START END<tab>MENTION`"
            raise InputError(f"{path}, line {number}: {shown(line)} is no annotation; {cure}")
        places = [tuple(map(int, piece.split())) for piece in found[2].split(";")]
        if not any(text[first[1] : second[0]].strip() for first, second in pairwise(places)):
            yield Marked(places[0][0], places[-1][1], found[1], found[3], number)
            continue
        counts["discontinuous"] += 1
        log.warning(
            "%s, line %d: %s is in %d pieces, and a span is one; left out: annotate it from its "
            "first to its last character, or each piece",
            path, number, shown(found[3] or found[1]), len(places),
        )  # fmt: skip


FORMAT = Format(_read)
