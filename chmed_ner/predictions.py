"""`predictions.jsonl` and the files in the official format."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from chmed_ner.bio import tags_of
from chmed_ner.data.columns import write_columns
from chmed_ner.files import write_json_lines
from chmed_ner.types import Prediction, Sentence, Span


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
