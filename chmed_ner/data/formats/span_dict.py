"""CLUENER's JSON lines: `{"text", "label": {TYPE: {MENTION: [[start, end], ...]}}}`."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NoReturn

from chmed_ner.data.formats.annotations import Annotations, Format, Options
from chmed_ner.data.formats.json_records import Record, read_records
from chmed_ner.data.formats.offsets import ENDS, Document, Marked, resolve


def _read(path: Path, options: Options) -> Annotations:
    text_key, key = options.text_key or "text", options.entities_key or "label"
    documents = [
        Document(
            path,
            record.line,
            record.text(text_key),
            [] if options.gold is False else list(_entities(record, key)),
            record.id,
        )
        for record in read_records(path)
    ]
    return resolve(path, documents, [options.end] if options.end else ENDS[::-1])


def _entities(record: Record, key: str) -> Iterator[Marked]:
    for type_, mentions in _items(record, key, record.values.get(key)):
        for mention, places in _items(record, key, mentions):
            for place in places if isinstance(places, list) else _refuse(record, key, places):
                if not isinstance(place, list) or len(place) != 2:
                    _refuse(record, key, place)
                start, end = map(record.number, place)
                yield Marked(start, end, type_, mention, record.line)


def _items(record: Record, key: str, value: Any) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        _refuse(record, key, value)
    yield from value.items()


def _refuse(record: Record, key: str, value: object) -> NoReturn:
    record.refuse(
        f"key `{key}` holds {value!r:.60} where {{TYPE: {{MENTION: [[start, end]]}}}} is needed; "
        "correct it, set dataset.entities_key, or dataset.gold=false for texts alone"
    )


FORMAT = Format(_read, ("text_key", "entities_key", "end", "gold"))
