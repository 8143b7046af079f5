"""`chmed-ner compare`: two runs side by side, and every pair that cannot be compared."""

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

FIGURES = {"f1", "f1_low", "f1_high"}
ROW = {"sentences", "run_a", "run_b", "difference", "p_value"}


def metrics(folder: Path) -> dict[str, float]:
    """A folder's metrics."""
    content = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert isinstance(content, dict)
    return content


@pytest.fixture
def noisy(scripted, tmp_path: Path) -> Callable[..., Path]:
    """A finished run of another noise than the finished run's, and other words."""

    def run(*words: str, name: str = "noisy") -> Path:
        output = tmp_path / name
        ended = scripted("backbone.noise=0.5", f"paths.output={output}", *words)
        assert ended.code == 0, ended.text
        (folder,) = (output / "runs").iterdir()
        return folder

    return run


@pytest.fixture
def copy(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of the finished run."""
    shutil.copytree(finished_run, tmp_path / "copy")
    return tmp_path / "copy"


def edit(folder: Path, **changes: Any) -> None:
    """Other values in a run's record."""
    file = folder / "run.json"
    record = json.loads(file.read_text(encoding="utf-8"))
    file.write_text(json.dumps({**record, **changes}), encoding="utf-8")


def test_two_runs(command, finished_run: Path, noisy, tmp_path: Path) -> None:
    """Each figure and interval is the one of the run's own metrics, the difference is B - A."""
    other, file = noisy(), tmp_path / "compare.json"
    ended = command("compare", str(finished_run), str(other), "--json", str(file))
    assert ended.code == 0, ended.text
    found = json.loads(file.read_text(encoding="utf-8"))
    assert set(found) == {"run_a", "run_b", "macro", "genres", "resamples", "rounds", "seed"}
    assert (found["resamples"], found["rounds"], found["seed"]) == (1000, 10_000, 13)
    assert [found[run]["directory"] for run in ("run_a", "run_b")] == [
        str(finished_run), str(other),
    ]  # fmt: skip
    rows = {"test": found["macro"], **{f"test/{g}": row for g, row in found["genres"].items()}}
    assert list(rows) == ["test", "test/FT", "test/SM", "test/WA"]
    for name, row in rows.items():
        assert set(row) == ROW
        for run, folder in (("run_a", finished_run), ("run_b", other)):
            own = metrics(folder)
            assert row[run] == {
                key: pytest.approx(own[f"{name}/{key}"], abs=1e-9) for key in FIGURES
            }
        difference = row["difference"]
        assert difference["f1"] == pytest.approx(row["run_b"]["f1"] - row["run_a"]["f1"])
        assert difference["f1_low"] < difference["f1"] < difference["f1_high"] < 0
        assert 1 / 10_001 <= row["p_value"] < 0.05
    assert sum(row["sentences"] for row in found["genres"].values()) == 100
    assert found["macro"]["sentences"] == 100
    printed = {line.split()[0]: line for line in ended.out.splitlines() if line}
    for name, row in {"macro": found["macro"], **found["genres"]}.items():
        for shown in ("run_a", "run_b"):
            assert f"{row[shown]['f1']:.2f}" in printed[name]
        assert f"{row['difference']['f1']:+.2f}" in printed[name]
        assert f"{row['p_value']:.4f}" in printed[name]


def test_json_alone_and_the_same_again(command, finished_run: Path, noisy) -> None:
    other = noisy()
    first = command("compare", str(finished_run), str(other), "--json", "-")
    again = command("compare", "--json", "-", str(finished_run), str(other))
    turned = command("compare", str(other), str(finished_run), "--json", "-")
    assert first.out == again.out
    one, two = json.loads(first.out), json.loads(turned.out)
    assert one["macro"]["run_a"] == two["macro"]["run_b"]
    assert one["macro"]["difference"]["f1"] == -two["macro"]["difference"]["f1"]


def test_a_run_against_itself_and_its_rescoring(command, copy: Path) -> None:
    ended = command("compare", str(copy), str(copy), "--json", "-")
    found = json.loads(ended.out)["macro"]
    assert found["p_value"] == 1.0
    assert found["difference"] == {"f1": 0.0, "f1_low": 0.0, "f1_high": 0.0}
    assert command("rescore", str(copy), "restoration=first", "tracking=dry").code == 0
    (folder,) = (copy / "rescore").iterdir()
    ended = command("compare", str(copy), str(folder), "--json", "-")
    assert ended.code == 0, ended.text
    found = json.loads(ended.out)["macro"]
    assert found["run_b"]["f1"] == pytest.approx(metrics(copy)["restore/first/f1"], abs=1e-9)
    assert found["difference"]["f1"] < 0


@pytest.mark.parametrize("status", ["RUNNING", "FAILED", "KILLED"])
def test_an_unfinished_run_is_refused(command, finished_run: Path, copy: Path, status: str) -> None:
    edit(copy, status=status)
    for words in ((finished_run, copy), (copy, finished_run)):
        ended = command("compare", *map(str, words))
        assert ended.code == 2
        assert f"{copy}: the run is not finished ({status})" in ended.err
        assert ended.out == ""


@pytest.mark.parametrize(
    ("words", "first", "problem"),
    [
        (["dataset.genres=[FT,WA]"], "sample/test/SM/00000", "only .* was tested on it"),
        (["limit.test=5"], r"sample/test/FT/\d+", "only .* was tested on it"),
        (["limit.test=5", "seed=14"], r"sample/test/FT/\d+", "only .* was tested on it"),
    ],
)
def test_runs_on_other_sentences_are_refused(
    command, finished_run: Path, noisy, tmp_path: Path, words: list[str], first: str, problem: str
) -> None:
    target = tmp_path / "compare.json"
    ended = command("compare", str(finished_run), str(noisy(*words)), "--json", str(target))
    assert ended.code == 2
    assert re.search(f"the first difference is sentence {first}: {problem}", ended.err)
    assert not target.exists()
    assert "Traceback" not in ended.text


GOLD = "頭 B-SYMP\n痛 I-SYMP\n。 O\n\n胃 B-BODY\n藥 O\n\n"


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        (GOLD.replace("胃", "肺"), "own/test/FT/00001: its text at offset 0 is '胃', but '肺'"),
        (GOLD.replace("藥 O", "藥 O\n片 O"), "FT/00001: its text at offset 2 is at its end, but"),
        (
            GOLD.replace("痛 I-SYMP", "痛 B-SYMP"),
            "own/test/FT/00000: its gold at offset 1 is 'I-SYMP', but 'B-SYMP'",
        ),
        (GOLD + "好 O\n\n", "own/test/FT/00002: only"),
    ],
)
def test_another_text_or_gold_is_refused(
    command, noisy, tmp_path: Path, changed: str, problem: str
) -> None:
    runs = []
    for name, content in (("one", GOLD), ("two", changed)):
        file = tmp_path / f"{name}.txt"
        file.write_text(content, encoding="utf-8")
        words = ("dataset=column_files", "dataset.name=own", f"dataset.test={{FT: {file}}}")
        runs.append(str(noisy(*words, name=name)))
    ended = command("compare", *runs)
    assert ended.code == 2
    assert problem in ended.err


def test_gold_that_has_changed_since_is_refused(command, noisy, tmp_path: Path) -> None:
    file = tmp_path / "gold.txt"
    file.write_text(GOLD, encoding="utf-8")
    run = str(noisy("dataset=column_files", f"dataset.test={{FT: {file}}}"))
    assert command("compare", run, run).code == 0
    file.write_text(GOLD.replace("B-BODY", "O"), encoding="utf-8")
    ended = command("compare", run, run)
    assert ended.code == 2
    assert f"{file}: has changed since the run in {run}" in ended.err
    file.unlink()
    assert f"{file}: no such file" in command("compare", run, run).err


def without_the_first_line(content: str) -> str:
    """The same file, a sentence less."""
    return content.split("\n", 1)[1]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (without_the_first_line, "sentence sample/test/FT/00000 has no prediction"),
        (lambda content: content.replace("test/FT/00000", "x", 1), "FT/00000 has no prediction"),
        (lambda content: content + content.splitlines()[0] + "\n", "line 101: not a prediction"),
        (lambda content: content[: len(content) // 2], "not a prediction"),
        (lambda content: "{}\n" + content, "line 1: not a prediction"),
    ],
)
def test_broken_predictions_are_refused(
    command, finished_run: Path, copy: Path, change: Callable[[str], str], problem: str
) -> None:
    file = copy / "predictions.jsonl"
    file.write_text(change(file.read_text(encoding="utf-8")), encoding="utf-8")
    ended = command("compare", str(finished_run), str(copy))
    assert ended.code == 2
    assert str(file) in ended.err
    assert problem in ended.err


def test_predictions_of_another_text_are_refused(command, finished_run: Path, copy: Path) -> None:
    file = copy / "predictions.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    record = json.loads(lines[0])
    record["sentence"] += "啊"
    lines[0] = json.dumps(record) + "\n"
    file.write_text("".join(lines), encoding="utf-8")
    ended = command("compare", str(finished_run), str(copy))
    assert ended.code == 2
    assert f"sentence {record['id']} has another text than its gold file" in ended.err


def test_a_record_without_its_configuration_is_refused(
    command, finished_run: Path, copy: Path
) -> None:
    edit(copy, config={"seed": 13})
    ended = command("compare", str(copy), str(finished_run))
    assert ended.code == 2
    assert f"{copy / 'run.json'}: its configuration lacks 'dataset'" in ended.err


def test_what_is_no_run_and_what_is_no_target(command, finished_run: Path, tmp_path: Path) -> None:
    run = str(finished_run)
    assert f"RUN_B={tmp_path}: not a run directory" in command("compare", run, str(tmp_path)).err
    assert f"RUN_A={tmp_path}: not a run directory" in command("compare", str(tmp_path), run).err
    ended = command("compare", run, run, "--json", str(finished_run / "run.json"))
    assert "is one of the files that are read" in ended.err
    assert "is a folder" in command("compare", run, run, "--json", str(tmp_path)).err
    assert command("compare", run).code == 2


def test_the_page_of_two_runs(command, finished_run: Path, noisy, tmp_path: Path) -> None:
    """Every test sentence with both runs' completions; bad targets are refused before that."""
    other, file = noisy(), tmp_path / "pages" / "compare.html"
    ended = command("compare", str(finished_run), str(other), "--html", str(file))
    assert ended.code == 0, ended.text
    page = file.read_text(encoding="utf-8")
    begun = page.partition('<script type="application/json" id="data">')[2]
    data = json.loads(begun.partition("</script>")[0])
    assert len(data["rows"]) == 100
    assert {tuple(name for name, *_ in row[5]) for row in data["rows"]} == {
        ("output of A", "output of B")
    }
    assert {item[0] for row in data["rows"] for item in row[4]} == {0, 1, 2, 3}
    run = str(finished_run)
    for words in (["--html", str(tmp_path)], ["--html", "x", "--json", "x"]):
        assert command("compare", run, run, *words).code == 2
    ended = command("compare", run, run, "--html", str(finished_run / "run.json"))
    assert (ended.code, "--html" in ended.err) == (2, True)
