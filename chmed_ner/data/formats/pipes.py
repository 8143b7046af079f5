"""CMeEE's first format: `text|||start end type|||start end type|||`, ends inclusive as a rule."""

import re
from pathlib import Path

from chmed_ner.data.columns import shown
from chmed_ner.data.formats.annotations import Annotations, Format, Options, read_unicode
from chmed_ner.data.formats.offsets import Document, Marked, resolve
from chmed_ner.errors import InputError

_LINE = re.compile(r"(.*?)((?:\|\|\|\s*-?\d+\s+-?\d+\s+[^|]+?)*)\s*\|\|\|\s*")
_ENTITY = re.compile(r"\|\|\|\s*(-?\d+)\s+(-?\d+)\s+([^|]+?)\s*(?=\|\|\|)")


def _read(path: Path, options: Options) -> Annotations:
    documents = []
    for number, line in enumerate(read_unicode(path).split("\n"), start=1):
        line = line.removesuffix("\r")
        if not line.strip():
            continue
        found = _LINE.fullmatch(line)
        if found is None and options.gold is not False:
            raise InputError(
                f"{path}, line {number}: {shown(line[-40:])} ends a line that is not "
                "`text|||start end type|||`; correct it, or set dataset.gold=false for a file of "
                "texts alone"
            )
        text, marks = found.groups() if found else (line, "")
        marked = [Marked(int(s), int(e), type_) for s, e, type_ in _ENTITY.findall(marks + "|||")]
        documents.append(Document(path, number, text, [] if options.gold is False else marked))
    ends = [options.end] if options.end else ["inclusive", "exclusive"]
    return resolve(path, documents, ends)


FORMAT = Format(_read, ("end", "gold"))
