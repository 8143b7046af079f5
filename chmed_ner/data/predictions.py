"""`predictions.jsonl` and the files in the official format."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from chmed_ner.data.columns import write_columns
from chmed_ner.data.lines import opened
from chmed_ner.entities.bio import tags_of
from chmed_ner.entities.types import Prediction, Sentence, Span
from chmed_ner.errors import InputError
from chmed_ner.files import write_json_lines


def as_record(prediction: Prediction, *, split: bool = True) -> dict[str, Any]:
    """The JSON object of a prediction; without split and genre when `split` is False."""
    text = prediction.text
    where = {"split": prediction.split, "genre": prediction.genre} if split else {}
    return {
        "id": prediction.id,
        **where,
        "sentence": text,
        "entities": [
            {"start": s.start, "end": s.end, "type": s.type, "mention": text[s.start : s.end]}
            for s in prediction.entities
        ],
        "problems": dict(prediction.problems),
    }


def predictions(
    sentences: Sequence[Sentence],
    spans: Mapping[str, Sequence[Span]],
    problems: Mapping[str, Mapping[str, int]],
) -> list[Prediction]:
    """One prediction a sentence, in corpus order."""
    return [
        Prediction(
            id=sentence.id,
            split=sentence.split,
            genre=sentence.genre,
            text=sentence.text,
            entities=tuple(spans[sentence.id]),
            problems=problems[sentence.id],
        )
        for sentence in sentences
    ]


def write_predictions(directory: Path, found: Iterable[Prediction]) -> None:
    """Write `predictions.jsonl`, and `submission/<GENRE>.txt` for the test split."""
    listed = list(found)
    write_json_lines(directory / "predictions.jsonl", map(as_record, listed))
    by_genre: dict[str, list[Prediction]] = {}
    for prediction in listed:
        if prediction.split == "test":
            by_genre.setdefault(prediction.genre, []).append(prediction)
    for genre, members in by_genre.items():
        rows = [(each.text, tags_of(each.entities, len(each.text))) for each in members]
        write_columns(directory / "submission" / f"{genre}.txt", rows)


def read_predictions(path: Path) -> list[Prediction]:
    """What `write_predictions` wrote to `path`, in its order.

    Raises InputError, naming the line, for anything else: spans outside their sentence, overlapping
    or with another mention, and a sentence that occurs twice, included.
    """
    found: dict[tuple[str, str], Prediction] = {}
    with opened(path) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                prediction = _prediction(json.loads(line))
                key = (prediction.split, prediction.id)
                if key in found:
                    raise ValueError(f"sentence {prediction.id} occurs twice")
            except (ValueError, RecursionError) as error:
                raise InputError(
                    f"{path}, line {number}: not a prediction ({error}); restore the file, or run "
                    "`chmed-ner rescore` on its run"
                ) from None
            found[key] = prediction
    return list(found.values())


def _prediction(record: Any) -> Prediction:
    """The prediction whose `as_record` is `record`; ValueError where there is none."""
    try:
        prediction = Prediction(
            id=record["id"],
            split=record["split"],
            genre=record["genre"],
            text=record["sentence"],
            entities=tuple(Span(e["start"], e["end"], e["type"]) for e in record["entities"]),
            problems=record["problems"],
        )
        tags_of(prediction.entities, len(prediction.text))
        same = as_record(prediction) == record
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None
    if not same:
        raise ValueError("an entity's mention or a key is another")
    return prediction
