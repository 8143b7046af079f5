"""Label Studio's JSON and JSON-MIN exports of tasks whose regions lie in a text.

Of several annotations the ground truth is read, else the one that was changed last; a task without
is left out. Predictions are read where no task of the file has an annotation.
"""

import logging
from collections import Counter
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
    kinds = ("annotations", "completions", "predictions")  # what people made comes first
    made = next((k for k in kinds if any(each.values.get(k) for each in records)), "JSON-MIN")
    documents = []
    for record in records:
        data = record.values.get("data")
        task = replace(record, values=data) if isinstance(data, dict) else record
        regions = _minimal(task, options) if task is record else _chosen(record, made, counts)
        if regions is None and options.gold:
            counts["unannotated"] += 1
            continue
        key = key_of(
            path, options, "text_key", [task.values], "^text$", lambda v: isinstance(v, str)
        )
        marked = _marked(record, regions or [], counts) if options.gold else []
        id_ = str(record.values.get("id", ""))
        documents.append(Document(path, record.line, task.get(key, str), marked, id_))
    for kind in counts:
        if counts[kind]:
            log.warning("%s: %d %s", path, counts[kind], _WARNINGS[kind])
    units = ("characters", "utf16", "CRLF as one")
    found = resolve(path, documents, options, ["exclusive"], units)
    return replace(found, notes=(f"read: {made}", *found.notes), counts={**found.counts, **counts})


def _chosen(record: Record, made: str, counts: Counter[str]) -> list[Any] | None:
    """The regions of the annotation to read; None: there is none."""
    found = [each for each in record.values.get(made) or () if not each.get("was_cancelled")]
    counts["several_annotations"] += len(found) > 1
    found.sort(key=lambda each: str(each.get("updated_at") or each.get("created_at") or ""))
    found.sort(key=lambda each: bool(each.get("ground_truth")))
    return list(replace(record, values=found[-1]).get("result", list)) if found else None


def _minimal(task: Record, options: Options) -> list[Any] | None:
    """The regions of JSON-MIN, whose key is the name of the labels' tag; None: there is none."""
    for key, value in task.values.items():
        regions = value if isinstance(value, list) and isinstance((value or [0])[0], dict) else []
        if regions and "start" in regions[0] and options.entities_key in (None, key):
            return regions
    return None


def _marked(record: Record, regions: list[Any], counts: Counter[str]) -> list[Marked]:
    """The entities of the regions; one of several labels is several."""
    found = []
    for region in regions:
        value = region.get("value", region if "labels" in region else {})
        labels, start = value.get(region.get("type", "labels")), value.get("start")
        if labels is None or not isinstance(start, int):
            counts["other_regions"] += "start" in value
            continue  # a relation, a choice of the whole text; a place in HTML or sound
        mention = value.get("text")
        mention = mention.replace("\\n", "\n") if isinstance(mention, str) else None
        end = record.number(value.get("end"))
        found += [Marked(start, end, str(label), mention, record.line) for label in labels]
    return found


FORMAT = Format(_read, ("text_key", "entities_key", "units"))
