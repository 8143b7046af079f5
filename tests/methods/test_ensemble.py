"""`method=ensemble`: which runs may vote, and what comes out."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import chmed_ner
from chmed_ner.data import prediction_record
from chmed_ner.entities import Span
from chmed_ner.errors import InputError
from chmed_ner.files import PACKAGE
from chmed_ner.run.config import compose, configure
from chmed_ner.run.export import save_model

SAMPLE = PACKAGE / "data" / "sample"


def vote(run, *members: Any, words: tuple[str, ...] = ()) -> Any:
    """An ensemble of the runs given."""
    runs = ",".join(str(getattr(member, "directory", member)) for member in members)
    return run("method=ensemble", f"method.runs=[{runs}]", *words)


def changed(source: Path, target: Path, change) -> Path:
    """A copy of a run whose prediction rows went through `change` (None: left out)."""
    shutil.copytree(source, target)
    path = target / "predictions.jsonl"
    rows = [change(json.loads(line)) for line in path.read_text("utf-8").splitlines()]
    lines = [json.dumps(row, ensure_ascii=False) + "\n" for row in rows if row is not None]
    path.write_text("".join(lines), encoding="utf-8")
    return target


def test_runs_vote_and_the_thresholds_are_kept(run, lexicon_run, crf_run, validated_run) -> None:
    ended = vote(run, lexicon_run, crf_run, validated_run)
    assert ended.code == 0, ended.said
    content = json.loads((ended.directory / "model" / "ensemble.json").read_text("utf-8"))
    assert set(content["thresholds"]) == {
        "BODY", "SYMP", "INST", "EXAM", "CHEM", "DISE", "DRUG", "SUPP", "TREAT", "TIME",
    }  # fmt: skip
    alone = [each["validation_f1"] for each in content["runs"]]
    assert content["validation_f1"] > sorted(alone)[1] > 50
    members = (lexicon_run, crf_run, validated_run)
    votes = {
        (split, row["id"]): [
            {(e["start"], e["end"], e["type"]) for e in member_row["entities"]}
            for member_row in rows
        ]
        for split in ("test", "validation")
        for row, *others in zip(*(each.rows(split) for each in members), strict=True)
        for rows in [[row, *others]]
    }
    for split in ("test", "validation"):
        for row in ended.rows(split):
            found = {(e["start"], e["end"], e["type"]) for e in row["entities"]}
            ballots = votes[split, row["id"]]
            assert found <= set.union(*ballots)
            assert set.intersection(*ballots) <= found
    assert len(ended.rows("validation")) == len(crf_run.rows("validation"))


def test_its_record_names_the_files_its_runs_were_trained_on(vote_run, crf_run) -> None:
    kept = vote_run.record()
    assert kept["training_files"] == crf_run.record()["training_files"]
    assert kept["training_files"]
    assert kept["name"] == "sample-ensemble-s13"


def test_its_record_names_the_files_of_runs_with_another_training_split(run) -> None:
    def corpus(train: str) -> tuple[str, ...]:
        return (
            "dataset=column_files", f"dataset.train={SAMPLE / train}",
            f"dataset.validation={SAMPLE / 'validation_WA.txt'}",
            f"dataset.test={{WA: '{SAMPLE / 'test_WA.txt'}'}}",
        )  # fmt: skip

    members = [run("method=lexicon", *corpus(f"train_{genre}.txt")) for genre in ("WA", "SM")]
    ended = vote(run, *members, words=corpus("train_FT.txt"))
    assert ended.code == 0, ended.said
    files = set(ended.record()["training_files"].values())
    for member in members:
        assert set(member.record()["training_files"].values()) < files
    assert len(files) == 4  # three training files and the validation file


def test_other_predictions_make_another_ensemble(lexicon_run, crf_run, tmp_path: Path) -> None:
    def emptied(row: dict[str, Any]) -> dict[str, Any]:
        return {**row, "entities": []} if row["split"] == "test" else row

    members = (lexicon_run.directory, shutil.copytree(crf_run.directory, tmp_path / "crf"))
    runs = f"method.runs=[{members[0]},{members[1]}]"
    experiment = configure(compose(["method=ensemble", runs, f"paths.output={tmp_path}"]), {})
    before = experiment.identity(experiment.load())
    assert experiment.identity(experiment.load()) == before
    other = changed(crf_run.directory, tmp_path / "other", emptied)
    shutil.copy(other / "predictions.jsonl", members[1] / "predictions.jsonl")
    assert experiment.identity(experiment.load()) != before


def test_a_good_run_is_trusted_where_runs_weigh_what_they_are_worth(
    run, lexicon_run, validated_run
) -> None:
    ended = vote(run, lexicon_run, validated_run, words=("method.weights=validation_f1",))
    assert ended.code == 0, ended.said
    content = json.loads((ended.directory / "model" / "ensemble.json").read_text("utf-8"))
    worse, better = content["runs"]
    assert (worse["weight"], better["weight"]) == (worse["validation_f1"], better["validation_f1"])
    assert content["validation_f1"] >= better["validation_f1"] > worse["validation_f1"]


def test_one_run_may_outweigh_the_others_in_two_stages(run, lexicon_run, crf_run) -> None:
    words = ("method.weights=[0.001,1]", "method.voting=two_stage")
    ended = vote(run, lexicon_run, crf_run, words=words)
    assert ended.code == 0, ended.said
    content = json.loads((ended.directory / "model" / "ensemble.json").read_text("utf-8"))
    assert content["validation_f1"] >= content["runs"][1]["validation_f1"]


def test_what_a_vote_is_worth_is_learnt(run, lexicon_run, crf_run, validated_run) -> None:
    ended = vote(run, lexicon_run, crf_run, validated_run, words=("method.voting=stacked",))
    assert ended.code == 0, ended.said
    content = json.loads((ended.directory / "model" / "ensemble.json").read_text("utf-8"))
    assert {"known", "run 0", "run 2, other boundaries"} < set(content["weights"])
    (threshold,) = set(content["thresholds"].values())
    assert threshold == pytest.approx(content["validation_f1"] / 200, abs=1e-3)
    assert content["validation_f1"] > max(each["validation_f1"] for each in content["runs"]) - 1
    again = vote(run, lexicon_run, crf_run, validated_run, words=("method.voting=stacked",))
    assert again.rows("test") == ended.rows("test")


def test_a_run_without_validation_predictions_is_sent_back(run, crf_run, scripted_run) -> None:
    ended = vote(run, crf_run, scripted_run)
    assert ended.code == 2
    assert "validate=true" in ended.said
    assert str(scripted_run.directory) in ended.said


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda row: None if row["id"].endswith("3") else row, "is not in its predictions"),
        (
            lambda row: {**row, "id": f"{row['id']}x"} if row["split"] == "validation" else row,
            "validation sentences",
        ),
        (
            lambda row: {**row, "sentence": "我" + row["sentence"], "entities": []},
            "every run needs the same corpus",
        ),
        (
            lambda row: {**row, "entities": [{**e, "type": "PAIN"} for e in row["entities"]]},
            "'PAIN' is not in the label scheme",
        ),
    ],
    ids=["fewer", "other ids", "other text", "other types"],
)
def test_other_sentences_are_refused(run, lexicon_run, crf_run, tmp_path, change, says) -> None:
    other = changed(crf_run.directory, tmp_path / "other", change)
    ended = vote(run, lexicon_run, other)
    assert ended.code == 2
    assert says in ended.said
    assert str(other) in ended.said


def test_runs_that_carved_other_validation_sentences_are_refused(run) -> None:
    corpus = (
        "dataset=column_files", f"dataset.train={SAMPLE / 'train_WA.txt'}",
        f"dataset.test={{WA: '{SAMPLE / 'test_WA.txt'}'}}", "method=lexicon",
    )  # fmt: skip
    first, second = run(*corpus), run(*corpus, "seed=14")
    assert (first.code, second.code) == (0, 0), first.said + second.said
    ended = vote(run, first, second, words=corpus[:-1])
    assert ended.code == 2
    assert "same dataset, seed and limit.validation" in ended.said


def test_seeds_with_one_split_seed_vote(run) -> None:
    corpus = (
        "dataset=column_files", f"dataset.train={SAMPLE / 'train_WA.txt'}",
        f"dataset.test={{WA: '{SAMPLE / 'test_WA.txt'}'}}", "dataset.split_seed=5", "limit.test=9",
    )  # fmt: skip
    members = [run("method=lexicon", *corpus, f"seed={seed}") for seed in (13, 14)]
    ended = vote(run, *members, words=(*corpus, "seed=15"))
    assert ended.code == 0, ended.said
    assert [row["id"] for row in ended.rows("validation")] == [
        row["id"] for row in members[1].rows("validation")
    ]


def test_a_run_that_was_trained_on_the_test_file_is_refused(run, lexicon_run, crf_run) -> None:
    ended = vote(
        run, lexicon_run, crf_run,
        words=("dataset=column_files", f"dataset.test={{FT: '{SAMPLE / 'train_FT.txt'}'}}",
               f"dataset.train={SAMPLE / 'train_WA.txt'}"),
    )  # fmt: skip
    assert ended.code == 2
    assert "was trained on" in ended.said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["method.runs=[{crf}]"], "two or more"),
        (["method.runs={crf}"], "two or more"),
        (["method.runs=[{crf},{crf}]"], "the same run"),
        (["method.runs=[{crf},nowhere]"], "method.runs=nowhere"),
        (["method.runs=[{crf},{lexicon}]", "method.voting=loud"], "span, two_stage"),
        (
            ["method.runs=[{crf},{lexicon}]", "method.voting=stacked", "method.weights=[1,2]"],
            "leave method.weights=equal",
        ),
        (["method.runs=[{crf},{lexicon}]", "method.weights=[1]"], "one number a run (2)"),
        (["method.runs=[{crf},{lexicon}]", "method.weights=[1,0]"], "above 0"),
        (["method.runs=[{crf},{lexicon}]", "method.weights=best"], "equal, validation_f1"),
        (["method.runs=[{crf},{lexicon}]", "limit.validation=0"], "validation sentences"),
        ([], "method.runs"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else None,
)
def test_what_cannot_vote_is_refused(
    run, crf_run, lexicon_run, words: list[str], says: str
) -> None:
    places = {"crf": crf_run.directory, "lexicon": lexicon_run.directory}
    ended = run("method=ensemble", *(word.format(**places) for word in words))
    assert ended.code == 2
    assert says in ended.said
    assert "Traceback" not in ended.said


def test_latest_is_one_run(run, lexicon_run, crf_run, tmp_path: Path) -> None:
    runs = tmp_path / "outputs" / "runs"
    shutil.copytree(lexicon_run.directory, runs / "lexicon")
    ended = vote(run, crf_run, "latest")
    assert ended.code == 0, ended.said
    content = json.loads((ended.directory / "model" / "ensemble.json").read_text("utf-8"))
    assert content["runs"][1]["name"] == "sample-lexicon-s13"
    twice = vote(run, "latest", "latest")
    assert twice.code == 2
    assert "the same run" in twice.said


def test_an_unfinished_run_cannot_vote(run, lexicon_run, crf_run, tmp_path: Path) -> None:
    shutil.copytree(crf_run.directory, tmp_path / "run")
    (tmp_path / "run" / "predictions.jsonl").unlink()
    ended = vote(run, lexicon_run, tmp_path / "run")
    assert ended.code == 2
    assert "resume=" in ended.said


def as_predicted(model: Any, rows: list[dict[str, Any]]) -> None:
    """The model finds in these sentences what the run found."""
    found = model.predict([row["sentence"] for row in rows])
    for row, prediction in zip(rows, found, strict=True):
        assert prediction_record(prediction)["entities"] == row["entities"]


@pytest.mark.parametrize("voting", ["two_stage", "stacked"])
def test_an_ensemble_reads_other_text_as_it_voted(
    run, lexicon_run, crf_run, voting: str, tmp_path: Path
) -> None:
    ended = vote(run, lexicon_run, crf_run, words=(f"method.voting={voting}",))
    assert ended.code == 0, ended.said
    with chmed_ner.load(ended.directory) as model:
        as_predicted(model, ended.rows("test")[:30])
        assert model.predict([]) == []
        text = ended.rows("test")[0]["sentence"]
        nowhere = Span(0, len(text), "TIME")
        (judged,) = model.model.judge([text], [[nowhere]])
        assert judged[0].confidence == 0
    with pytest.raises(InputError, match="export these"):
        save_model(ended.directory, tmp_path / "model")
    path = ended.directory / "model" / "ensemble.json"
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps({**content, "runs": [{"place": 0}]}), encoding="utf-8")
    with pytest.raises(InputError, match="not what an ensemble keeps"):
        chmed_ner.load(ended.directory)
