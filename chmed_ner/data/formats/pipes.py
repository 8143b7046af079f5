"""CMeEE's first format: `text|||start end type|||start end type|||`; ends are inclusive there."""

import re
from pathlib import Path

from chmed_ner.data.columns import shown
from chmed_ner.data.formats.annotations import ENDS, Annotations, Format, Options
from chmed_ner.data.formats.offsets import Document, Marked, resolve
from chmed_ner.errors import InputError
from chmed_ner.files import read_text

_LINE = re.compile(r"(.*?)((?:\|\|\|\s*-?\d+\s+-?\d+\s+[^|]+)*)\|\|\|\s*")


def _read(path: Path, options: Options) -> Annotations:
    documents = []
    for number, line in enumerate(read_text(path).split("\n"), start=1):
        found = _LINE.fullmatch(line)
        if line.strip() and not found and options.gold:
            raise InputError(
                f"{path}, line {number}: {shown(line[-40:])} does not end in |||, as in "
                "text|||start end type|||; correct it (dataset.gold=false: texts alone)"
            )
        text, marks = found.groups() if found else (line.removesuffix("\r"), "")
        entities = (each.split(maxsplit=2) for each in marks.split("|||")[1:] if options.gold)
        marked = [Marked(int(s), int(e), type_.strip(), None, number) for s, e, type_ in entities]
        if line.strip():
            documents.append(Document(path, number, text, marked))
    return resolve(path, documents, options, ENDS[::-1])


FORMAT = Format(_read, ("end",))
