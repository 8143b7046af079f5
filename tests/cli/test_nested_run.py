"""A corpus with entities inside others, from its files to scores, page and predictions."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

SENTENCES = (
    "患儿有肺炎。|||3    3    bod|||3    4    dis|||",
    "肺部听诊有啰音|||0    1    bod|||0    6    sym|||5    6    sym|||",
    "应测血钠与血钾。|||2    2    bod|||2    3    ite|||5    5    bod|||5    6    ite|||",
    "手足口病由病毒引起。|||0    0    bod|||0    3    dis|||5    6    mic|||",
    "一切正常。",
    "肾功能检查|||0    0    bod|||0    2    ite|||0    4    pro|||",
)
DRY = ("tracking=dry", "limit.validation=4")


@pytest.fixture
def nested(tmp_path: Path, command: Callable[..., Any]) -> Callable[..., Path]:
    """Runs on the corpus; gives the run's directory."""
    for name, more in (("train", "诊断为"), ("validation", "查出"), ("test", "")):
        lines = [_moved(line, more) for line in SENTENCES * (1 if name == "test" else 4)]
        text = "".join(f"{line}\n" for line in lines)
        (tmp_path / f"{name}.txt").write_text(text, encoding="utf-8")

    def run(*words: str) -> Path:
        files = [
            f"dataset.{name}={tmp_path / name}.txt" for name in ("train", "validation", "test")
        ]
        corpus = ["dataset=column_files", "dataset.format=pipes", "labels=cmeee", *files]
        before = set(tmp_path.glob("runs/*"))
        ended = command("run", *corpus, *DRY, f"paths.output={tmp_path}", *words)
        assert ended.code == 0, ended.text
        (made,) = set(tmp_path.glob("runs/*")) - before
        assert isinstance(made, Path)
        return made

    return run


def _moved(line: str, more: str) -> str:
    """The line with `more` before its text."""
    text, *spans = line.split("|||")
    moved = [each.split() for each in spans if each]
    ends = [f"{int(a) + len(more)}    {int(b) + len(more)}    {type_}" for a, b, type_ in moved]
    return "|||".join([more + text, *ends, ""])


def metrics(run: Path) -> dict[str, float]:
    found = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


def predicted(run: Path) -> list[dict[str, Any]]:
    lines = (run / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    return [record for record in map(json.loads, lines) if record["split"] == "test"]


SCRIPTED = ("backbone=scripted", "regime=zero_shot", "backbone.noise=0")


def test_perfect_marks_are_perfect_spans(
    nested: Callable[..., Path], command: Callable[..., Any]
) -> None:
    run = nested(*SCRIPTED, "prompt=inline")
    found = metrics(run)
    names = ["test/f1", "nested/outermost/f1", "nested/inside/f1", "nested/inside/recall"]
    assert [found[name] for name in names] == [100] * 4
    assert found["restore/first/target_ceiling_f1"] < 100
    entities = predicted(run)[1]["entities"]
    assert [(e["start"], e["end"]) for e in entities] == [(0, 7), (0, 2), (5, 7)]
    assert not (run / "submission").exists()  # BIO tags cannot say it
    table = (run / "analysis" / "f1_by_nesting.csv").read_text(encoding="utf-8")
    assert "\nall,inside,8,8,8,100.0,100.0,100.0\n" in table.replace("\r", "")
    assert "inside another entity" in (run / "report.html").read_text(encoding="utf-8")
    again = command("compare", run, run)
    assert again.code == 0, again.text
    ended = command("rescore", run, "restoration=in_order")
    assert ended.code == 0, ended.text


@pytest.mark.parametrize(
    ("prompt", "policy", "least"),
    [
        (("prompt=extraction", "prompt.answer.order=text_order"), "in_order", 95),
        (("prompt=extraction",), "longest_first", 95),
        (("prompt=json",), "longest_first", 95),
    ],
)
def test_lists_find_entities_inside_others(
    nested: Callable[..., Path], prompt: tuple[str, ...], policy: str, least: float
) -> None:
    found = metrics(nested(*SCRIPTED, *prompt, f"restoration={policy}"))
    assert found["test/f1"] >= least
    assert found["nested/inside/recall"] >= least


@pytest.mark.parametrize("method", ["lexicon", "crf"])
def test_flat_methods_learn_the_outermost_and_say_so(
    nested: Callable[..., Path], method: str
) -> None:
    run = nested(f"method={method}")
    said = (run / "run.log").read_text(encoding="utf-8")
    assert said.count(f"method={method} learns no entities inside others: 32 of 60") == 1
    found = metrics(run)
    assert found["nested/inside/recall"] == 0
    assert found["nested/outermost/recall"] > 50


def test_runs_vote_on_nested_entities(nested: Callable[..., Path]) -> None:
    words = [*SCRIPTED, "prompt=inline", "validate=true"]
    runs = [nested(*words, f"backbone.seed={number}") for number in (1, 2)]
    run = nested("method=ensemble", f"method.runs=[{','.join(map(str, runs))}]")
    assert metrics(run)["nested/inside/recall"] == 100


def test_bio_is_refused(nested: Callable[..., Path]) -> None:
    with pytest.raises(AssertionError, match=r"prompt 'bio': .*labels 'cmeee' allow"):
        nested(*SCRIPTED, "prompt=bio")
