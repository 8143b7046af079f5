"""`predictions.jsonl` is read as it was written, and only so."""

import json
from pathlib import Path
from types import MappingProxyType

import pytest
from hypothesis import given, strategies as st

from chmed_ner.data.predictions import read_predictions, write_predictions
from chmed_ner.entities.types import Prediction, Span
from chmed_ner.errors import InputError


def prediction(id_: str = "a", split: str = "test", text: str = "胃痛。") -> Prediction:
    """A prediction of one entity and one problem."""
    spans = (Span(0, 2, "SYMP"),) if len(text) > 1 else ()
    return Prediction(id_, split, "FT", text, spans, MappingProxyType({"repeated_line": 1}))


@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\n\0"), min_size=1))
def test_what_was_written_comes_back(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    folder = tmp_path_factory.mktemp("predictions")
    listed = [prediction(text=text), prediction("a", "validation"), prediction("b")]
    write_predictions(folder, listed)
    found = read_predictions(folder / "predictions.jsonl")
    assert found == [
        Prediction(p.id, p.split, p.genre, p.text, p.entities, dict(p.problems)) for p in listed
    ]


def changed(**changes: object) -> str:
    """A line with other values; a key whose value is None is left out."""
    record = {
        "id": "b", "split": "test", "genre": "FT", "sentence": "胃痛。",
        "entities": [{"start": 0, "end": 2, "type": "SYMP", "mention": "胃痛"}], "problems": {},
    }  # fmt: skip
    return json.dumps({k: v for k, v in {**record, **changes}.items() if v is not None})


def entity(**changes: object) -> list[dict[str, object]]:
    """A list of one entity with other values."""
    return [{"start": 0, "end": 2, "type": "SYMP", "mention": "胃痛", **changes}]


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ("{", "Expecting"),
        ("[]", "TypeError"),
        ("\xff", "utf-8"),
        (changed(sentence=None), "KeyError: 'sentence'"),
        (changed(sentence=7), "TypeError"),
        (changed(extra=1), "another"),
        (changed(entities=entity(mention="胃")), "another"),
        (changed(entities=entity(start="0")), "TypeError"),
        (changed(entities=entity(end=4)), "is not inside a sentence of 3"),
        (changed(entities=entity() + entity(start=1, end=3, mention="痛。")), "overlaps"),
        (changed(entities=entity() + entity()), "overlaps"),
        (changed(id="a"), "sentence a occurs twice"),
        ("", "Expecting"),
        ("[" * 100_000, "recursion"),
    ],
)
def test_a_broken_line_is_refused_by_its_number(tmp_path: Path, line: str, problem: str) -> None:
    write_predictions(tmp_path, [prediction()])
    file = tmp_path / "predictions.jsonl"
    file.write_bytes(file.read_bytes() + line.encode("latin-1", "ignore") + b"\n")
    with pytest.raises(InputError) as caught:
        read_predictions(file)
    assert f"{file}, line 2: not a prediction (" in str(caught.value)
    assert problem in str(caught.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file"):
        read_predictions(tmp_path / "predictions.jsonl")
