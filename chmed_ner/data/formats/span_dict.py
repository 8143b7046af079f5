"""CLUENER's JSON lines: `{"text", "label": {TYPE: {MENTION: [[start, end], ...]}}}`."""

from pathlib import Path

from chmed_ner.data.formats.annotations import ENDS, Annotations, Format, Options
from chmed_ner.data.formats.json_records import Record, read_records
from chmed_ner.data.formats.offsets import Document, Marked, resolve


def _read(path: Path, options: Options) -> Annotations:
    text_key, key = options.text_key or "text", options.entities_key or "label"
    documents = []
    for record in read_records(path):
        marked = [] if options.gold is False else _marked(record, key)
        documents.append(Document(path, record.line, record.get(text_key, str), marked))
    return resolve(path, documents, [options.end] if options.end else ENDS[::-1])


def _marked(record: Record, key: str) -> list[Marked]:
    try:
        return [
            Marked(record.number(start), record.number(end), type_, mention, record.line)
            for type_, mentions in record.values[key].items()
            for mention, places in mentions.items()
            for start, end in places
        ]
    except (KeyError, AttributeError, TypeError, ValueError):
        form = "{TYPE: {MENTION: [[start, end]]}}"
        record.refuse(f"`{key}` must hold {form}; correct it (dataset.gold=false: texts alone)")


FORMAT = Format(_read, ("text_key", "entities_key", "end"))
