"""`method=file`: another system's official-format output as a run."""

from pathlib import Path
from typing import Any

import pytest

import chmed_ner
from chmed_ner.cli.score import score_files
from chmed_ner.errors import InputError
from chmed_ner.files import PACKAGE
from chmed_ner.run.config import compose, configure

SAMPLE = PACKAGE / "data" / "sample"
GENRES = ("FT", "SM", "WA")


@pytest.fixture
def submission(crf_run, tmp_path: Path) -> Path:
    """Another system's output: a folder with one file a genre."""
    folder = tmp_path / "theirs"
    folder.mkdir()
    for genre in GENRES:
        source = crf_run.directory / "submission" / f"{genre}.txt"
        (folder / f"{genre}.txt").write_bytes(source.read_bytes())
    return folder


def files(folder: Path, genres: tuple[str, ...] = GENRES) -> str:
    """The setting that names the files of a folder."""
    return "method.files={" + ", ".join(f"{g}: '{folder / g}.txt'" for g in genres) + "}"


def test_its_scores_are_those_of_the_system(run, crf_run, submission: Path) -> None:
    ended = run("method=file", files(submission), "limit.train=220")  # what counts as seen
    assert ended.code == 0, ended.said
    ours, theirs = ended.metrics(), crf_run.metrics()
    placed = [name for name in theirs if name.startswith(("test/", "error/"))]
    assert {name: ours[name] for name in placed} == {name: theirs[name] for name in placed}
    assert [_places(row) for row in ended.rows()] == [_places(row) for row in crf_run.rows()]
    for genre in GENRES:
        own = ended.directory / "submission" / f"{genre}.txt"
        assert own.read_bytes() == (submission / f"{genre}.txt").read_bytes()
    assert ended.record()["training_files"] == {}
    assert not ended.rows("validation")


def _places(row: dict[str, Any]) -> list[tuple[int, int, str]]:
    return [(each["start"], each["end"], each["type"]) for each in row["entities"]]


def test_scores_are_official_for_tags_that_are_not_bio(run, submission: Path) -> None:
    """Windows line ends, tabs, stray I- and the E-/S- tags of another scheme."""
    path = submission / "WA.txt"
    text = path.read_text(encoding="utf-8").replace(" B-DISE", "\tI-DISE").replace(" B-", " S-")
    path.write_text(text.replace("\n", "\r\n"), encoding="utf-8", newline="")
    ended = run("method=file", files(submission), "dataset.genres=[FT,SM,WA]")
    assert ended.code == 0, ended.said
    expected = score_files([("WA", SAMPLE / "test_WA.txt", path)])["WA"].overall
    assert ended.metrics()["test/WA/f1"] == pytest.approx(expected.f1, abs=1e-9)


def test_paths_are_taken_from_paths_data_and_limits_take_a_part(run, submission: Path) -> None:
    words = ("method=file", "method.files={WA: WA.txt}", "dataset.genres=[WA]")
    ended = run(*words, f"paths.data={submission}", "limit.test=7")
    assert ended.code == 0, ended.said
    assert len(ended.rows()) == 7


def test_other_files_make_another_run(submission: Path) -> None:
    experiment = configure(compose(["method=file", files(submission)]), {})
    before = experiment.identity(experiment.load())
    assert experiment.identity(experiment.load()) == before
    path = submission / "FT.txt"
    path.write_text(path.read_text("utf-8").replace("B-DISE", "B-SYMP"), encoding="utf-8")
    assert experiment.identity(experiment.load()) != before


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda lines: ["x O", *lines[1:]], "WA.txt, line 1: 'x'"),
        (lambda lines: [*lines[:3], "", *lines[3:]], "WA.txt, line 3: a sentence of 3 characters"),
        (lambda lines: lines[: lines.index("")], "the last of 1 sentences"),
        (lambda lines: [*lines, "多 O", ""], "sentences, but the corpus has"),
        (lambda lines: [lines[0][0] + " B-PAIN", *lines[1:]], "line 1: type 'PAIN'"),
        (lambda lines: [lines[0][0], *lines[1:]], "line 1"),
        (lambda lines: [lines[0][0] + " DISE", *lines[1:]], "neither 'O' nor PREFIX-TYPE"),
        (lambda lines: [], "WA.txt"),  # noqa: ARG005
    ],
    ids=["character", "cut", "short", "long", "type", "no tag", "bad tag", "empty"],
)
def test_a_file_of_another_text_is_refused_by_its_line(
    run, submission: Path, change, says: str
) -> None:
    path = submission / "WA.txt"
    lines = change(path.read_text(encoding="utf-8").split("\n"))
    path.write_text("\n".join(lines), encoding="utf-8")
    ended = run("method=file", files(submission))
    assert ended.code == 2
    assert says in ended.said
    assert str(path) in ended.said
    assert "Traceback" not in ended.said


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["method.files={FT: FT.txt}"], "genre SM has no file"),
        (["method.files={FT: FT.txt, XX: FT.txt}", "dataset.genres=[FT]"], "genre XX is not"),
        (["method.files={FT: nowhere.txt}", "dataset.genres=[FT]"], "method.files.FT=nowhere.txt"),
        (["method.files={}"], "method.files={}"),
        (["method.files=FT.txt"], "method.files=FT.txt"),
        ([], "method.files"),
        (["method.files={FT: FT.txt}", "dataset.genres=[FT]", "validate=true"], "validate=true"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else None,
)
def test_what_names_no_files_is_refused(run, submission: Path, words: list[str], says: str) -> None:
    ended = run("method=file", f"paths.data={submission}", *words)
    assert ended.code == 2
    assert says in ended.said
    assert "Traceback" not in ended.said


def test_there_is_no_model_behind_it(run, submission: Path) -> None:
    ended = run("method=file", files(submission), "limit.test=2")
    with pytest.raises(InputError, match="another system's files"):
        chmed_ner.load(ended.directory)


def test_the_organisers_reference_output(run, corpora_dir: Path) -> None:
    """What the official scorer prints for it: 67.05, 56.09, 61.08."""
    ended = run(
        "method=file", "dataset=rocling2023", "dataset.genres=[FT]", f"paths.data={corpora_dir}",
        "method.files={FT: rocling2023/reference_run/FT_result.txt}",
    )  # fmt: skip
    assert ended.code == 0, ended.said
    figures = [ended.metrics()[f"test/FT/{name}"] for name in ("precision", "recall", "f1")]
    assert [round(figure, 2) for figure in figures] == [67.05, 56.09, 61.08]
