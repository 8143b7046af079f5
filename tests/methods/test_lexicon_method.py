"""`method=lexicon` from its command line to its predictions."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import chmed_ner


def columns(*sentences: str) -> str:
    """Column files from `頭[痛|SYMP]。`: the bracketed characters are an entity."""
    lines: list[str] = []
    for sentence in sentences:
        rest = sentence
        while rest:
            if rest[0] == "[":
                words, _, tail = rest[1:].partition("]")
                mention, _, type_ = words.partition("|")
                lines += [f"{c} {'I' if at else 'B'}-{type_}" for at, c in enumerate(mention)]
                rest = tail
            else:
                lines.append(f"{rest[0]} O")
                rest = rest[1:]
        lines.append("")
    return "\n".join(lines) + "\n"


@pytest.fixture
def corpus(tmp_path: Path) -> Callable[..., list[str]]:
    """Writes a corpus and returns the words that choose it."""

    def write(train: list[str], validation: list[str], test: list[str]) -> list[str]:
        for name, content in (("train", train), ("validation", validation), ("test", test)):
            (tmp_path / f"{name}.txt").write_text(columns(*content), encoding="utf-8")
        return [
            "dataset=column_files", f"paths.data={tmp_path}", "dataset.train=train.txt",
            "dataset.validation=validation.txt", "dataset.test={FT: test.txt}",
        ]  # fmt: skip

    return write


TRAINING = [
    "[高血壓|DISE]會傷[血|BODY]管",
    "血流得快",
    "血流得慢",
    "[頭痛|SYMP]",
    "[頭痛|DISE]",
    "[頭痛|SYMP]了",
]
"""血 is an entity in 1 of 4 occurrences, 高血壓 and 頭痛 always; 頭痛 is SYMP by majority."""


@pytest.mark.parametrize(
    ("validation", "threshold", "found"),
    [
        (["[血|BODY]好", "[頭痛|SYMP]"], 0.25, [(0, 1, "BODY"), (3, 5, "SYMP"), (6, 9, "DISE")]),
        (["血好", "[頭痛|SYMP]"], 0.5, [(3, 5, "SYMP"), (6, 9, "DISE")]),
    ],
)
def test_the_threshold_is_chosen_on_validation_for_single_characters_too(
    run, corpus, validation: list[str], threshold: float, found: list[tuple[int, int, str]]
) -> None:
    words = corpus(TRAINING, validation, ["血，又[頭痛|TIME]，[高血壓|TIME]"])
    ran = run("method=lexicon", "method.thresholds=[0.25,0.5,1.0]", *words)
    assert ran.code == 0, ran.said
    (row,) = ran.rows()
    assert [(e["start"], e["end"], e["type"]) for e in row["entities"]] == found
    kept = json.loads((ran.directory / "model" / "lexicon.json").read_text(encoding="utf-8"))
    assert kept["threshold"] == threshold
    assert len(ran.rows("validation")) == len(validation)


def test_a_finished_lexicon_is_not_counted_again(run, lexicon_run, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(lexicon_run.directory, copy)
    path = copy / "model" / "lexicon.json"
    content = json.loads(path.read_text(encoding="utf-8"))
    content["entries"] = {}
    path.write_text(json.dumps(content), encoding="utf-8")
    ended = run("method=lexicon", f"resume={copy}")
    assert ended.code == 0, ended.said
    predictions = (copy / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    assert not any(json.loads(line)["entities"] for line in predictions)


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        '{"entries": [], "threshold": 0.1}',
        '{"entries": {"痛": ["SYMP"]}, "threshold": 0.1}',
    ],
)
def test_a_broken_lexicon_is_named(
    lexicon_run, tmp_path: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    from chmed_ner.cli import main

    copy = tmp_path / "copy"
    shutil.copytree(lexicon_run.directory, copy)
    (copy / "model" / "lexicon.json").write_text(content, encoding="utf-8")
    text = tmp_path / "text.txt"
    text.write_text("頭痛\n", encoding="utf-8")
    assert main(["predict", "--run", str(copy), str(text)]) == 2
    said = capsys.readouterr().err
    assert str(copy / "model" / "lexicon.json") in said
    assert "Traceback" not in said


def test_predict_gives_the_run_s_own_predictions(lexicon_run) -> None:
    rows = lexicon_run.rows()
    model = chmed_ner.load(lexicon_run.directory)
    found = model.predict([row["sentence"] for row in rows])
    model.close()
    assert [
        [{"start": s.start, "end": s.end, "type": s.type} for s in each.entities] for each in found
    ] == [[{k: e[k] for k in ("start", "end", "type")} for e in row["entities"]] for row in rows]
    assert any(row["entities"] for row in rows)


def test_predict_takes_any_text(lexicon_run) -> None:
    model = chmed_ner.load(lexicon_run.directory)
    word = next(e["mention"] for row in lexicon_run.rows() for e in row["entities"])
    empty, odd, emoji = model.predict(["", f"{word}\ud800", f"😀{word}"])
    assert (empty.entities, empty.text) == ((), "")
    assert dict(odd.problems) == {"unreadable_character": 1}
    assert [(s.start + 1, s.end + 1) for s in odd.entities] == [
        (s.start, s.end) for s in emoji.entities
    ]
    assert odd.entities


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["method.thresholds=[]"], ["method.thresholds=[]", "from 0 to 1"]),
        (["method.thresholds=[0.1,1.5]"], ["method.thresholds", "from 0 to 1"]),
        (["method.thresholds=[0.1,0.1]"], ["from 0 to 1, each once"]),
        (["method.thresholds=high"], ["method.thresholds=high"]),
        (["limit.validation=0"], ["15 settings", "a single setting"]),
    ],
    ids=" ".join,
)
def test_what_cannot_be_chosen_is_refused(run, words: list[str], says: list[str]) -> None:
    ended = run("method=lexicon", *words)
    assert ended.code == 2
    assert all(each in ended.said for each in says), ended.said
    assert "Traceback" not in ended.said


def test_a_single_threshold_needs_no_validation(run) -> None:
    ended = run("method=lexicon", "method.thresholds=[0.3]", "limit.validation=0", "limit.test=2")
    assert ended.code == 0, ended.said
    assert not ended.rows("validation")


def test_without_training_sentences_there_is_no_lexicon(run, tmp_path: Path) -> None:
    (tmp_path / "test.txt").write_text(columns("[頭痛|SYMP]"), encoding="utf-8")
    ended = run(
        "method=lexicon", "dataset=column_files", f"paths.data={tmp_path}",
        "dataset.test={FT: test.txt}",
    )  # fmt: skip
    assert ended.code == 2
    assert "dataset.train" in ended.said
