"""JSON, or JSON lines, of texts with spans: CMeEE-V2, Yidu-S4K, CCKS, spaCy, doccano, CLUENER ...

An entity of a list is an object, or a list of two offsets, a type and perhaps the mention. Keys
that are not set are recognised by name and value; the mention is the value that is found in the
text.
"""

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from chmed_ner.data.formats.annotations import ENDS, Annotations, Format, Options
from chmed_ner.data.formats.json_records import Record, is_offset, key_of, read_records
from chmed_ner.data.formats.offsets import Document, Marked, resolve

_TEXT = "^(original|raw)?_?(text|data|sentence|content|context|passage|document|文本|原文)$"
_ENTITIES = "entit|mention|span|annotation|label|^ner|实体|标注"
_END = "end|stop|^to$|终|结束"
_START = f"^(?!.*({_END})).*(start|begin|from|offset|span|pos|loc|起|开始)"
_TYPE = "type|label|categ|class|tag|group|类"

Entity = Mapping[str, Any]


def _read(
    path: Path,
    options: Options,
    ends: Sequence[str] = ENDS,
    units: Sequence[str] = ("characters", "utf16"),
) -> Annotations:
    """The texts with their spans; InputError: a key that is missing or not recognised."""
    records = read_records(path)
    if not records:
        return Annotations(())
    key = partial(key_of, path, options)
    values = [record.values for record in records]
    text_key = key("text_key", values, _TEXT, lambda value: isinstance(value, str))
    texts = [record.get(text_key, str) for record in records]
    listed: list[list[Entity]] = [[] for _ in records]
    if options.gold:
        filled = [{name: each[name] for name in each if each[name]} for each in values]
        at = key("entities_key", [*filled, *values], _ENTITIES, _holds_entities)
        listed = [[_entity(record, each) for each in record.get(at, list)] for record in records]
    entities = [entity for each in listed for entity in each]
    keys = ["", "", "", ""]
    if entities:
        start = key(
            "start_key", entities, _START, lambda value: is_offset(value) or _is_pair(value)
        )
        pair = any(_is_pair(each.get(start)) for each in entities)
        end = start if pair else key("end_key", entities, _END, is_offset)
        mention = options.mention_key or _mention_key(texts, listed, (start, end, options.type_key))
        rest = [
            {n: v for n, v in each.items() if n not in (start, end, mention)} for each in entities
        ]
        keys = [start, end, key("type_key", rest, _TYPE, lambda value: value is not None), mention]
    documents = [
        Document(path, record.line, text, [_marked(record, each, keys) for each in its],
                 str(record.values.get("id", "")))
        for record, text, its in zip(records, texts, listed, strict=True)
    ]  # fmt: skip
    return resolve(path, documents, options, ends, units)


def _holds_entities(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(each, dict | list) for each in value)


def _is_pair(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(is_offset, value))


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
    texts: Sequence[str], listed: Sequence[Sequence[Entity]], others: Container[str | None]
) -> str:
    """The key whose values are found in their texts most often, if half of them are; else empty.

    The last of the keys that can be the type is none.
    """
    found: Counter[str] = Counter()
    for text, entities in zip(texts, listed, strict=True):
        for name, value in ((n, v) for each in entities for n, v in each.items()):
            if name not in others:
                found[name] += isinstance(value, str) and value != "" and value in text
    best, times = max(found.items(), key=lambda each: each[1], default=("", 0))
    enough = 2 * times >= sum(map(len, listed)) and (len(found) > 1 or None not in others)
    return best if enough else ""


def _marked(record: Record, entity: Entity, keys: Sequence[str]) -> Marked:
    values = [entity.get(key) for key in keys]
    for name, key, value in zip(("start", "end", "type"), keys, values, strict=False):
        if value is None:
            record.refuse(f"{entity!r:.60} has no {name} under `{key}`; add it")
    start, end, type_, mention = values
    if isinstance(start, list) and _is_pair(start):
        start, end = start
    type_ = type_[0] if isinstance(type_, list) and type_ else type_
    mention = mention if isinstance(mention, str) else None
    return Marked(record.number(start), record.number(end), str(type_), mention, record.line)


def _read_dictionaries(path: Path, options: Options) -> Annotations:
    """CLUENER's JSON lines: `{"text", "label": {TYPE: {MENTION: [[start, end], ...]}}}`."""
    text_key, key = options.text_key or "text", options.entities_key or "label"
    documents = [
        Document(path, each.line, each.get(text_key, str), _in_dictionaries(each, key, options))
        for each in read_records(path)
    ]
    return resolve(path, documents, options, ENDS[::-1])


def _in_dictionaries(record: Record, key: str, options: Options) -> list[Marked]:
    try:
        return [
            Marked(record.number(start), record.number(end), type_, mention, record.line)
            for type_, mentions in (record.values[key] if options.gold else {}).items()
            for mention, places in mentions.items()
            for start, end in places
        ]
    except (KeyError, AttributeError, TypeError, ValueError):
        form = "{TYPE: {MENTION: [[start, end]]}}"
        record.refuse(f"`{key}` must hold {form}; correct it (dataset.gold=false: texts alone)")


_KEYS = ("text_key", "entities_key")
SPAN_JSON = Format(
    _read, (*_KEYS, "start_key", "end_key", "type_key", "mention_key", "end", "units")
)
SPAN_DICT = Format(_read_dictionaries, (*_KEYS, "end"))
DOCCANO = Format(
    partial(_read, ends=["exclusive"], units=["utf16", "characters"]), (*_KEYS, "units")
)
"""Its exports have no mentions. It counts UTF-16 units, or grapheme clusters if a project is set
so: `units` says which, where a text has characters beyond U+FFFF."""
