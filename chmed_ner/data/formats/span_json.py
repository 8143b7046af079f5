"""JSON, or JSON lines, of texts with lists of spans: CMeEE-V2, Yidu-S4K, CCKS, spaCy and others.

An entity is an object, or a list of two offsets, a type and perhaps the mention. Keys that are not
set are recognised by name and value; the mention is the value that is found in the text.
"""

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from chmed_ner.data.formats.annotations import Annotations, Format, Options
from chmed_ner.data.formats.json_records import Record, is_offset, key_of, read_records
from chmed_ner.data.formats.offsets import ENDS, Document, Marked, resolve

_TEXT = "^(original|raw)?_?(text|data|sentence|content|context|passage|document|文本|原文)$"
_ENTITIES = "entit|mention|span|annotation|label|^ner|实体|标注"
_END = "end|stop|^to$|终|结束"
_START = f"^(?!.*({_END})).*(start|begin|from|offset|span|pos|loc|起|开始)"
_TYPE = "type|label|categ|class|tag|group|类"

Entity = Mapping[str, Any]


def read_spans(
    path: Path,
    options: Options,
    ends: Sequence[str],
    units: Sequence[str] = ("characters", "utf16"),
) -> Annotations:
    """The texts with their spans; InputError: a key that is missing or not recognised."""
    records = read_records(path)
    if not records:
        return Annotations(())
    key = partial(key_of, path, options)
    values = [record.values for record in records]
    text_key = key("text_key", values, _TEXT, lambda value: isinstance(value, str))
    texts = [record.text(text_key) for record in records]
    listed: list[list[Entity]] = [[] for _ in records]
    if options.gold is not False:
        filled = [{name: each[name] for name in each if each[name]} for each in values]
        list_key = key("entities_key", [*filled, *values], _ENTITIES, _holds_entities)
        listed = [[_entity(record, each) for each in record.list(list_key)] for record in records]
    entities = [entity for each in listed for entity in each]
    keys = {"": ""}
    if entities:
        start = key("start_key", entities, _START, _is_place)
        pair = any(isinstance(each.get(start), list) for each in entities)
        end = start if pair else key("end_key", entities, _END, is_offset)
        mention = options.mention_key or _mention_key(texts, listed, options, (start, end))
        rest = [{name: each[name] for name in each if name not in (start, end, mention)}
                for each in entities]  # fmt: skip
        type_ = key("type_key", rest, _TYPE, lambda value: isinstance(value, str | int | list))
        keys = {"start": start, "end": end, "type": type_, "mention": mention}
    documents = [
        Document(path, record.line, text, [_marked(record, each, keys) for each in its], record.id)
        for record, text, its in zip(records, texts, listed, strict=True)
    ]
    return resolve(path, documents, ends, [options.units] if options.units else units)


def _read(path: Path, options: Options) -> Annotations:
    return read_spans(path, options, [options.end] if options.end else ENDS)


def _holds_entities(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict | list) for each in value)


def _is_place(value: object) -> bool:
    return is_offset(value) or (
        isinstance(value, list) and len(value) == 2 and all(map(is_offset, value))
    )


def _entity(record: Record, value: Any) -> Entity:
    """An entity as an object; a list's offsets are start and end, its texts type, or 1 and 2."""
    if isinstance(value, dict):
        return value
    numbers = [each for each in value if isinstance(each, int)]
    texts = [each for each in value if isinstance(each, str)]
    if len(numbers) != 2 or len(value) - 2 != len(texts) or not 0 < len(texts) < 3:
        record.refuse(f"{value!r:.60} is no entity; write [start, end, type], or an object")
    names = ["type"] if len(texts) == 1 else ["1", "2"]
    return dict(zip(("start", "end", *names), (*numbers, *texts), strict=True))


def _mention_key(
    texts: Sequence[str],
    listed: Sequence[Sequence[Entity]],
    options: Options,
    others: Container[str],
) -> str:
    """The key whose values are found in their texts most often, if half of them are; else empty.

    A key that alone can be the type is none.
    """
    found: Counter[str] = Counter()
    types = set()
    for text, entities in zip(texts, listed, strict=True):
        for name, value in ((n, v) for each in entities for n, v in each.items()):
            if name not in others and name != options.type_key:
                types.add(name)
                found[name] += isinstance(value, str) and value != "" and value in text
    best, times = max(found.items(), key=lambda each: each[1], default=("", 0))
    enough = 2 * times >= sum(map(len, listed)) and (options.type_key or len(types) > 1)
    return best if enough else ""


def _marked(record: Record, entity: Entity, keys: Mapping[str, str]) -> Marked:
    for name in ("start", "end", "type"):
        if entity.get(keys[name]) is None:
            record.refuse(f"{entity!r:.60} has no {name} under `{keys[name]}`; add it")
    start, end, type_ = (entity[keys[name]] for name in ("start", "end", "type"))
    if keys["start"] == keys["end"]:
        start, end = start if _is_place(start) and isinstance(start, list) else (None, None)
    mention = entity.get(keys["mention"])
    return Marked(
        record.number(start),
        record.number(end),
        str(type_[0] if isinstance(type_, list) and type_ else type_).strip(),
        mention if isinstance(mention, str) else None,
        record.line,
    )


FORMAT = Format(
    _read,
    ("text_key", "entities_key", "start_key", "end_key", "type_key", "mention_key", "end", "units"),
)
