"""Predictions as files: `predictions.jsonl` and official columns."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import zip_longest
from pathlib import Path
from typing import Any

from chmed_ner.data.columns import BIO_TAG, ColumnFile, Row, opened, shown
from chmed_ner.entities import Prediction, Sentence, Span, check_nested, tags_of
from chmed_ner.errors import InputError
from chmed_ner.files import replacing, write_json_lines


def prediction_record(prediction: Prediction, *, split: bool = True) -> dict[str, Any]:
    """The JSON object of a prediction; without split and genre when `split` is False."""
    text = prediction.text
    where = {"split": prediction.split, "genre": prediction.genre} if split else {}
    return {
        "id": prediction.id,
        **where,
        "sentence": text,
        "entities": [
            {
                "start": span.start,
                "end": span.end,
                "type": span.type,
                "mention": text[span.start : span.end],
                **({} if span.confidence is None else {"confidence": span.confidence}),
            }
            for span in prediction.entities
        ],
        "problems": dict(prediction.problems),
    }


def predictions_of(
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


def write_predictions(
    directory: Path, found: Iterable[Prediction], *, nested: bool = False
) -> None:
    """Write `predictions.jsonl`, and `submission/<GENRE>.txt` for the test split; the latter not if
    entities may be `nested`, which BIO tags cannot say."""
    listed = list(found)
    write_json_lines(directory / "predictions.jsonl", map(prediction_record, listed))
    by_genre: dict[str, list[Prediction]] = {}
    for prediction in listed:
        if prediction.split == "test" and not nested:
            by_genre.setdefault(prediction.genre, []).append(prediction)
    for genre, members in by_genre.items():
        rows = [(each.text, tags_of(each.entities, len(each.text))) for each in members]
        write_columns(directory / "submission" / f"{genre}.txt", rows)


def read_predictions(path: Path) -> list[Prediction]:
    """What `write_predictions` wrote; InputError: anything else, or a sentence occurs twice."""
    found: dict[tuple[str, str], Prediction] = {}
    with opened(path) as stream:
        for number, line in enumerate(stream, start=1):
            try:
                prediction = parse_prediction(json.loads(line))
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


def parse_prediction(record: Any, *, split: bool = True) -> Prediction:
    """The prediction whose `prediction_record` is `record`; ValueError where there is none."""
    try:
        where = ("split", "genre") if split else ()
        for key in ("id", *where, "sentence"):
            if not isinstance(record[key], str):
                raise TypeError(f"{key} is {record[key]!r:.60}, no text")
        if not isinstance(record["problems"], dict):
            raise TypeError(f"problems is {record['problems']!r:.60}, no object")
        prediction = Prediction(
            id=record["id"],
            split=record["split"] if split else "predict",
            genre=record["genre"] if split else "",
            text=record["sentence"],
            entities=tuple(
                Span(e["start"], e["end"], e["type"], e.get("confidence"))
                for e in record["entities"]
            ),
            problems=record["problems"],
        )
        check_nested(prediction.entities, len(prediction.text))
        for span in prediction.entities:
            if span.confidence is not None and not 0 <= span.confidence <= 1:
                raise ValueError(f"confidence {span.confidence!r} is no number from 0 to 1")
        same = prediction_record(prediction, split=split) == record
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{type(error).__name__}: {error}") from None
    if not same:
        raise ValueError("an entity's mention or a key is another")
    return prediction


_UNWRITABLE = re.compile("[\n\0\ud800-\udfff]")


def write_columns(path: Path, rows: Iterable[tuple[str, Sequence[str]]]) -> None:
    """Write sentences (text, tags) in the official format, atomically.

    InputError: text that it cannot hold; ValueError: tags that do not fit the text, or are none.
    """
    with replacing(path) as file:
        for number, (text, tags) in enumerate(rows):
            bad = _UNWRITABLE.search(text)
            if bad or not text:
                held = f"the character {shown(bad.group())}" if bad else "no character"
                raise InputError(
                    f"{path}: sentence {number} ({shown(text)}) holds {held}, which a column file "
                    "cannot; correct the text"
                )
            for character, tag in zip(text, tags, strict=True):
                if not BIO_TAG.fullmatch(tag):
                    raise ValueError(f"{path}: sentence {number}: {shown(tag)} is not a BIO tag")
                file.write(f"{character} {tag}\n")
            file.write("\n")


SAME_CHARACTERS = (
    "a prediction must hold the gold file's characters, sentence by sentence, in the same order"
)
"""The cure: the organisers paste the prediction's tags next to the gold by row number."""


def check_same_characters(gold: ColumnFile, predicted: ColumnFile) -> None:
    """InputError naming the lines of both files where they first differ."""
    nothing: list[Row] = []
    both = zip_longest(gold.sentences, predicted.sentences, fillvalue=nothing)
    for number, (wanted, given) in enumerate(both, start=1):
        if [row.character for row in wanted] != [row.character for row in given]:
            problem = _difference(number, (gold, wanted), (predicted, given))
            raise InputError(f"{problem}; {SAME_CHARACTERS}")


def _difference(
    number: int, gold: tuple[ColumnFile, list[Row]], predicted: tuple[ColumnFile, list[Row]]
) -> str:
    """How the files differ in a sentence; one without rows is missing in its file."""
    for wanted, given in zip(gold[1], predicted[1], strict=False):
        if wanted.character != given.character:
            return (
                f"{_place(predicted[0], given)}: {given.character!r}, but "
                f"{_place(gold[0], wanted)} has {wanted.character!r}"
            )
    (file, rows), (longer, longer_rows) = sorted((gold, predicted), key=lambda side: len(side[1]))
    end = _place(file, (rows or file.sentences[-1])[-1])
    what = f"sentence {number}" if rows else f"the last of {number - 1} sentences"
    row = longer_rows[len(rows)]
    more = f"goes on with {row.character!r}" if rows else f"begins sentence {number}"
    if file is predicted[0]:
        return f"{end}: {what} ends, but {_place(longer, row)} {more}"
    return f"{_place(longer, row)}: {more}, but {what} ends at {end}"


def _place(file: ColumnFile, row: Row) -> str:
    return f"{file.path}, line {row.line}"
