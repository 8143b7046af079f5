"""JSON, or JSON lines, of texts with lists of spans: CMeEE-V2, Yidu-S4K, CCKS, spaCy and others.

An entity is an object, or a list of two offsets, a type and perhaps the mention. Keys that are not
set are recognised by name and value; the mention is the value that is found in the text.
"""

import re
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chmed_ner.data.formats.annotations import Annotations, Format, Options
from chmed_ner.data.formats.json_records import Record, read_records, recognised
from chmed_ner.data.formats.offsets import ENDS, Document, Marked, resolve
from chmed_ner.errors import InputError

_TEXT = "^(original|raw)?_?(text|data|sentence|content|context|passage|document|文本|原文)$"
_ENTITIES = "entit|mention|span|annotation|label|^ner|实体|标注"
_END = "end|stop|^to$|终|结束"
_START = f"^(?!.*({_END})).*(start|begin|from|offset|起|开始)"
_TYPE = "type|label|categ|class|tag|group|类"

Entity = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class _Keys:
    """Where an entity holds its offsets (both under one key: a pair), its type and its mention."""

    start: str
    end: str
    type: str
    mention: str | None


def read_spans(
    path: Path,
    options: Options,
    ends: Sequence[str],
    units: Sequence[str] = ("characters", "utf16"),
) -> Annotations:
    """The texts with their spans; InputError: a key that is missing or not recognised."""
    records = read_records(path)
    values = [record.values for record in records]
    text_key = options.text_key or recognised(values, _TEXT, lambda v: isinstance(v, str))
    if records and not text_key:
        records[0].refuse(f"which key holds the text? Set dataset.text_key ({_shown(values)})")
    texts = [record.text(text_key or "") for record in records]
    listed: list[list[Entity]] = [[] for _ in records]
    if options.gold is not False and records:
        key = options.entities_key or _entities_key(values)
        if not key:
            records[0].refuse(
                f"which key holds the entities? Set dataset.entities_key ({_shown(values)}), or "
                "dataset.gold=false where there are none"
            )
        listed = [_entities(record, key) for record in records]
    keys = _keys(path, options, texts, listed)
    documents = [
        Document(path, record.line, text, [_marked(record, each, keys) for each in found], record.id)
        for record, text, found in zip(records, texts, listed, strict=True)
    ]
    return resolve(path, documents, ends, [options.units] if options.units else units)


def _read(path: Path, options: Options) -> Annotations:
    return read_spans(path, options, [options.end] if options.end else ENDS)


def _shown(objects: Sequence[Mapping[str, Any]]) -> str:
    return "it has " + ", ".join(dict.fromkeys(key for each in objects[:99] for key in each))


def _entities_key(values: Sequence[Mapping[str, Any]]) -> str | None:
    """The key of the lists of entities; one that holds any before one whose lists are empty."""
    filled = recognised(
        values,
        _ENTITIES,
        lambda v: isinstance(v, list) and bool(v) and isinstance(v[0], dict | list),
    )
    return filled or recognised(values, _ENTITIES, lambda v: v == [])


def _entities(record: Record, key: str) -> list[Entity]:
    found = record.values.get(key)
    if not isinstance(found, list):
        record.refuse(
            f"key `{key}` must hold a list of entities; correct it, set dataset.entities_key, or "
            "dataset.gold=false for a file of texts alone"
        )
    return [_entity(record, each) for each in found]


def _entity(record: Record, value: Any) -> Entity:
    """An entity as an object; a list gets the keys start, end, then type, or string 1 and 2."""
    if isinstance(value, dict):
        return value
    if isinstance(value, list):
        numbers = [each for each in value if isinstance(each, int)]
        words = [each for each in value if isinstance(each, str)]
        if len(numbers) == 2 and 0 < len(words) < 3 and len(value) == 2 + len(words):
            names = ["type"] if len(words) == 1 else ["string 1", "string 2"]
            return dict(zip(("start", "end", *names), (*numbers, *words), strict=True))
    record.refuse(f"{value!r:.60} is no entity: give an object, or a list [start, end, type]")


def _keys(
    path: Path, options: Options, texts: Sequence[str], listed: Sequence[Sequence[Entity]]
) -> _Keys:
    """The keys of the entities, as set or recognised; InputError: one is not."""
    entities = [entity for each in listed for entity in each]
    start = options.start_key or recognised(entities, _START, _is_offset)
    end = options.end_key or recognised(entities, _END, _is_offset)
    if not start and not end:
        start = end = recognised(entities, "span|pos|offset|loc|ind", _is_pair)
    places = {start, end, options.type_key}
    mention = options.mention_key or _mention_key(texts, listed, places)
    places.add(mention)
    others = [{key: each[key] for key in each if key not in places} for each in entities]
    type_ = options.type_key or recognised(others, _TYPE, _is_type)
    if not entities:
        return _Keys("", "", "", None)
    for name, key in (("start", start), ("end", end), ("type", type_)):
        if not key:
            raise InputError(
                f"{path}: which key of an entity holds its {name}? Set dataset.{name}_key "
                f"({_shown(entities)})"
            )
    return _Keys(start or "", end or "", type_ or "", mention)


def _is_offset(value: object) -> bool:
    whole = isinstance(value, int) and not isinstance(value, bool)
    return whole or (isinstance(value, str) and value.isdecimal())


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_is_offset, value))


def _is_type(value: object) -> bool:
    listed = isinstance(value, list) and len(value) == 1
    return isinstance(value[0] if listed else value, str | int)  # type: ignore[index]


def _mention_key(
    texts: Sequence[str], listed: Sequence[Sequence[Entity]], others: Container[str | None]
) -> str | None:
    """The key whose values are found in their texts most often, if half of them or more are.

    A lone key that could be it is the type.
    """
    found: dict[str, int] = {}
    types = set()
    for text, entities in zip(texts, listed, strict=True):
        for entity in entities:
            for key, value in entity.items():
                if key not in others and isinstance(value, str) and value:
                    found[key] = found.get(key, 0) + (value in text)
                elif key not in others and re.search(_TYPE, key):
                    types.add(key)
    best = max(found, key=found.__getitem__, default=None)
    alone = len(found) == 1 and not types and None in others
    return best if best and not alone and 2 * found[best] >= sum(map(len, listed)) else None


def _marked(record: Record, entity: Entity, keys: _Keys) -> Marked:
    for key in (keys.start, keys.end, keys.type):
        if entity.get(key) is None:
            record.refuse(f"an entity has no `{key}` ({entity!r:.60}); add it, or set its key")
    first, last, type_ = entity[keys.start], entity[keys.end], entity[keys.type]
    if keys.start == keys.end:
        if not _is_pair(first):
            record.refuse(f"`{keys.start}` of an entity is {first!r:.40}, not a pair of offsets")
        first, last = first
    mention = entity.get(keys.mention) if keys.mention else None
    return Marked(
        record.number(first),
        record.number(last),
        str(type_[0] if isinstance(type_, list) and type_ else type_).strip(),
        mention if isinstance(mention, str) else None,
        record.line,
    )


FORMAT = Format(
    _read,
    (
        "text_key", "entities_key", "start_key", "end_key", "type_key", "mention_key", "end",
        "units", "gold",
    ),
)  # fmt: skip
