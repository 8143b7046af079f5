"""Label Studio's JSON and JSON-MIN exports of tasks whose regions lie in a text.

Of several annotations of a task the ground truth is read, else the one that was changed last; a
task without annotation is left out. Where no task has one, the predictions are read.
"""

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from chmed_ner.data.formats.annotations import Annotations, Format, Options
from chmed_ner.data.formats.json_records import Record, read_records, recognised
from chmed_ner.data.formats.offsets import Document, Marked, resolve

log = logging.getLogger(__name__)

_UNITS = ("characters", "utf16", "lines")

Regions = Sequence[Mapping[str, Any]]


def _read(path: Path, options: Options) -> Annotations:
    records = read_records(path)
    counts: Counter[str] = Counter()
    keys = [key for record in records for key in ("annotations", "completions", "predictions")
            if record.values.get(key)]  # fmt: skip
    key = min(keys, default="annotations")  # in this order: what people made before predictions
    documents = []
    for record in records:
        full = isinstance(record.values.get("data"), dict)
        task = Record(path, record.line, record.values["data"]) if full else record
        regions = _chosen(record, key, counts) if full else _listed(task, options)
        if regions is None and options.gold is not False:
            counts["unannotated"] += 1
            continue
        text = task.text(_text_key(task, options))
        marked = [] if options.gold is False else _marked(record, regions or [], counts)
        documents.append(Document(path, record.line, text, marked, record.id))
    units = [options.units] if options.units else _UNITS
    found = resolve(path, documents, ["exclusive"], units)
    for kind, what in _WARNED.items():
        if counts[kind]:
            log.warning("%s: %d %s", path, counts[kind], what)
    notes = (f"read from `{key}`", *found.notes)
    return replace(found, notes=notes, counts={**found.counts, **counts})


_WARNED = {
    "unannotated": "tasks without annotation left out: label them, or export the labelled alone",
    "several_annotations": "tasks with several annotations: the ground truth was read, else the "
    "one that was changed last",
    "other_regions": "regions that are no span of the text left out: label plain text "
    "(<Labels> on <Text>)",
}


def _text_key(task: Record, options: Options) -> str:
    texts = [{key: task.values[key] for key in task.values if key != "created_at"}]
    key = options.text_key or recognised(texts, "^text$", lambda v: isinstance(v, str))
    if not key:
        task.refuse(f"which key holds the text? Set dataset.text_key ({', '.join(task.values)})")
    return key


def _chosen(record: Record, key: str, counts: Counter[str]) -> Regions | None:
    """The regions of the annotation to read; None: the task has none."""
    made = [each for each in record.values.get(key) or []
            if isinstance(each, dict) and not each.get("was_cancelled")]  # fmt: skip
    if not made:
        return None
    counts["several_annotations"] += len(made) > 1
    best = max(
        enumerate(made),
        key=lambda each: (
            bool(each[1].get("ground_truth")),
            str(each[1].get("updated_at") or each[1].get("created_at") or ""),
            each[0],
        ),
    )[1]
    return _objects(record, "result", best.get("result"))


def _listed(record: Record, options: Options) -> Regions | None:
    """The regions of JSON-MIN, whose key is the name of the labels' tag; None: it has none."""
    key = options.entities_key or recognised(
        [record.values], "label", lambda v: isinstance(v, list) and bool(v) and "start" in v[0]
    )
    return _objects(record, key, record.values.get(key)) if key else None


def _objects(record: Record, key: str, value: object) -> Regions:
    if not isinstance(value, list) or not all(isinstance(each, dict) for each in value):
        record.refuse(f"key `{key}` must hold a list of regions; export the tasks again as JSON")
    return value


def _marked(record: Record, regions: Regions, counts: Counter[str]) -> list[Marked]:
    """The entities of the regions; one with several labels is several."""
    found = []
    for region in regions:
        value = region.get("value", region)
        kind = region.get("type", "labels")
        labels = value.get(kind, value.get("labels")) if isinstance(value, dict) else None
        if labels is None or not isinstance(value.get("start"), int):
            if kind.endswith("labels"):
                counts["other_regions"] += 1
            continue  # a relation, a choice for the whole text
        start, end = record.number(value["start"]), record.number(value.get("end"))
        text = value.get("text")
        mention = text.replace("\\n", "\n") if isinstance(text, str) else None
        found += [Marked(start, end, str(label), mention, record.line) for label in labels]
    return found


FORMAT = Format(_read, ("text_key", "entities_key", "units", "gold"))
