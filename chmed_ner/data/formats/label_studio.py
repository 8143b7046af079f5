"""Label Studio's JSON and JSON-MIN exports of tasks whose regions lie in a text.

Of several annotations the ground truth is read, else the one that was changed last; a task without
is left out. Predictions are read where no task of the file has an annotation.
"""

import logging
from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from chmed_ner.data.formats.annotations import Annotations, Format, Options
from chmed_ner.data.formats.json_records import Record, key_of, read_records
from chmed_ner.data.formats.offsets import Document, Marked, resolve

log = logging.getLogger(__name__)

_WARNINGS = {
    "unannotated": "tasks without annotation left out: export the labelled ones alone",
    "several_annotations": "tasks with several annotations: the ground truth was read, or the last",
    "other_regions": "regions left out that are no span of a text: label a <Text> with <Labels>",
}


def _read(path: Path, options: Options) -> Annotations:
    counts: Counter[str] = Counter()
    records = read_records(path)
    made = {key for each in records for key in ("annotations", "completions", "predictions")
            if each.values.get(key)}  # fmt: skip
    key = min(made, default="")  # in this order: what people made comes first
    documents = []
    for record in records:
        data = record.values.get("data")
        task = replace(record, values=data) if isinstance(data, dict) else record
        text = task.text(key_of(path, options, "text_key", [task.values], "^text$", _is_text))
        if options.gold is False:
            documents.append(Document(path, record.line, text, (), record.id))
            continue
        regions = _minimal(task, options) if task is record else _chosen(record, key, counts)
        if regions is None:
            counts["unannotated"] += 1
        else:
            marked = _marked(record, regions, counts)
            documents.append(Document(path, record.line, text, marked, record.id))
    for kind, words in _WARNINGS.items():
        if counts[kind]:
            log.warning("%s: %d %s", path, counts[kind], words)
    units = [options.units] if options.units else ["characters", "utf16", "CRLF as one"]
    found = resolve(path, documents, ["exclusive"], units)
    return replace(
        found, notes=(f"read: {key or 'JSON-MIN'}", *found.notes), counts={**found.counts, **counts}
    )


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _chosen(record: Record, key: str, counts: Counter[str]) -> list[Any] | None:
    """The regions of the annotation to read; None: there is none."""
    made = [each for each in record.values.get(key) or () if not each.get("was_cancelled")]
    counts["several_annotations"] += len(made) > 1
    made.sort(key=lambda each: str(each.get("updated_at") or each.get("created_at") or ""))
    made.sort(key=lambda each: bool(each.get("ground_truth")))
    return replace(record, values=made[-1]).list("result") if made else None


def _minimal(task: Record, options: Options) -> list[Any] | None:
    """The regions of JSON-MIN, whose key is the name of the labels' tag; None: there is none."""
    lists = {
        key: value
        for key, value in task.values.items()
        if isinstance(value, list) and value and isinstance(value[0], dict) and "start" in value[0]
    }
    key = options.entities_key or next(iter(lists), None)
    return lists.get(key) if key else None


def _marked(record: Record, regions: list[Any], counts: Counter[str]) -> list[Marked]:
    """The entities of the regions; one of several labels is several."""
    found = []
    for region in regions:
        kind, value = region.get("type", "labels"), region.get("value", region)
        labels = value.get(kind) if isinstance(value, Mapping) else None
        if labels is None or not isinstance(value.get("start"), int):
            counts["other_regions"] += "start" in (value or ())
            continue  # a relation, a choice of the whole text; a place in HTML or sound
        start, end, mention = value["start"], record.number(value.get("end")), value.get("text")
        mention = mention.replace("\\n", "\n") if isinstance(mention, str) else None
        found += [Marked(start, end, str(label), mention, record.line) for label in labels]
    return found


FORMAT = Format(_read, ("text_key", "entities_key", "units"))
