"""CMeEE's first format: `text|||start end type|||start end type|||`; ends are inclusive there."""

import re
from pathlib import Path

from chmed_ner.data.columns import shown
from chmed_ner.data.formats.annotations import Annotations, Format, Options, read_unicode
from chmed_ner.data.formats.offsets import ENDS, Document, Marked, resolve
from chmed_ner.errors import InputError

_LINE = re.compile(r"(.*?)((?:\|\|\|\s*-?\d+\s+-?\d+\s+[^|]+)*)\|\|\|\s*")


def _read(path: Path, options: Options) -> Annotations:
    documents = []
    for number, line in enumerate(read_unicode(path).split("\n"), start=1):
        if not line.strip():
            continue
        found = _LINE.fullmatch(line)
        if not found and options.gold is not False:
            raise InputError(
                f"{path}, line {number}: {shown(line[-40:])} does not end in |||, as in "
                "text|||start end type|||; correct it (dataset.gold=false: texts alone)"
            )
        text, marks = found.groups() if found else (line.removesuffix("\r"), "")
        entities = [each.split(maxsplit=2) for each in marks.split("|||")[1:]]
        marked = [Marked(int(s), int(e), type_.strip(), None, number) for s, e, type_ in entities]
        documents.append(Document(path, number, text, [] if options.gold is False else marked))
    return resolve(path, documents, [options.end] if options.end else ENDS[::-1])


FORMAT = Format(_read, ("end",))
