"""Bad input: one message that names file, line, value and cure, no traceback, the exit code."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

GOOD = "頭 B-SYMP\n痛 I-SYMP\n。 O\n\n"


def assert_refused(ended: Any, *words: str, code: int = 2) -> None:
    """The command ended with `code` and an error that holds `words`."""
    assert ended.code == code, ended.text
    assert "error" in ended.text
    assert "Traceback" not in ended.text
    for word in words:
        assert word in ended.text


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    """A folder with a good training and a good test file."""
    folder = tmp_path / "corpus"
    folder.mkdir()
    (folder / "train.txt").write_text("胃 B-BODY\n痛 O\n\n" + GOOD * 3, encoding="utf-8")
    (folder / "test.txt").write_text("頭 B-SYMP\n昏 I-SYMP\n。 O\n\n", encoding="utf-8")
    return folder


def own(corpus: Path) -> tuple[str, ...]:
    """The overrides for that corpus."""
    return (
        "dataset=column_files",
        f"paths.data={corpus}",
        "dataset.train=train.txt",
        "dataset.test={FT: test.txt}",
        f"paths.output={corpus.parent / 'outputs'}",
    )


def test_the_corpus_itself_is_fine(scripted, corpus: Path) -> None:
    ended = scripted(*own(corpus))
    assert ended.code == 0, ended.text


# ---------------------------------------------------------------- corpora


@pytest.mark.parametrize("dataset", ["healthner", "rocling2022", "rocling2023"])
def test_a_missing_corpus(scripted, tmp_path: Path, dataset: str) -> None:
    nowhere = tmp_path / "nowhere"
    ended = scripted(f"dataset={dataset}", f"paths.data={nowhere}", f"paths.output={tmp_path}")
    assert_refused(
        ended, f"{nowhere}/{dataset}", f"chmed-ner data fetch {dataset}", "CHMED_NER_DATA"
    )


@pytest.mark.parametrize(
    ("file", "content", "line", "says"),
    [
        ("test.txt", GOOD + "頭 B-SY", 5, "cut short"),
        ("test.txt", GOOD + "頭", 5, "no tag"),
        ("test.txt", "頭 B-SYMP\n痛\n\n", 2, "no tag in '痛'"),
        ("test.txt", "頭 B-SYMP\n痛 I-NONE\n\n", 2, "'NONE' is not in the label scheme"),
        ("train.txt", GOOD + "痛 B-PAIN\n\n", 5, "'PAIN' is not in the label scheme"),
        ("train.txt", "頭 SYMP\n\n", 1, "invalid tag 'SYMP'"),
    ],
)
def test_a_bad_line(scripted, corpus: Path, file: str, content: str, line: int, says: str) -> None:
    (corpus / file).write_text(content, encoding="utf-8")
    assert_refused(scripted(*own(corpus)), f"{corpus / file}, line {line}", says)


@pytest.mark.parametrize("content", ["", "\n\n\n"])
def test_an_empty_test_split(scripted, corpus: Path, content: str) -> None:
    (corpus / "test.txt").write_text(content, encoding="utf-8")
    assert_refused(scripted(*own(corpus)), str(corpus / "test.txt"), "no annotated text")


def test_an_unknown_genre_names_the_choices(scripted, tmp_path: Path) -> None:
    ended = scripted("dataset.genres=[FT,XX]", f"paths.output={tmp_path}")
    assert_refused(ended, "dataset.genres", "'XX'", "FT, SM, WA")


def test_a_genre_that_no_metric_name_can_hold_is_refused_before_anything_is_asked(
    scripted, corpus: Path
) -> None:
    words = [word for word in own(corpus) if not word.startswith("dataset.test=")]
    ended = scripted(*words, "dataset.test={the forum: test.txt}")
    assert_refused(ended, "'the forum'", "use letters, digits")
    assert not list(corpus.parent.glob("outputs/runs/*/completions.jsonl"))


# ---------------------------------------------------------------- settings


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["dataset=rocling2024"], ["dataset/rocling2024", "rocling2023", "sample"]),
        (["restoration=longest"], ["restoration/longest", "longest_first", "in_order"]),
        (["backbone=gpt9"], ["backbone/gpt9", "gemma3_270m"]),
        (["preset=paper"], ["preset/paper", "paper_lora"]),
        (["sweep=tables"], ["sweep/tables", "regimes"]),
        (["sed=1"], ["sed:", "nearest: seed"]),
        (["+sed=1"], ["sed: is not a key", "seed"]),
        (["+limit.tests=1"], ["limit.tests: is not a key", "test"]),
        (["~seed"], ["seed: is missing"]),
        (["backbone.nose=0.1"], ["backbone.nose"]),
        (["regime.rank=8"], ["regime.rank"]),
        (["+regime.rank=8"], ["regime", "'rank'", "takes: nothing"]),
        (["+restoration.order=first"], ["restoration", "'order'", "policy"]),
        (["+decoding.beams=4"], ["decoding", "'beams'", "spare_tokens"]),
        (["backbone._target_=os.system"], ["backbone._target_=os.system", "inside chmed_ner"]),
        (["prompt.answer._target_=subprocess.run"], ["prompt.answer._target_=subprocess.run"]),
        (
            ["script._target_=chmed_ner.entities.Pinyin"],
            ["script._target_", "no such class"],
        ),
        (["restoration.policy=longest"], ["restoration.policy='longest'", "longest_first"]),
        (["prompt.answer.order=random"], ["prompt.answer.order=random", "text_order"]),
        (["prompt.answer=null"], ["prompt.answer=null"]),
        (["script=null"], ["Config group override"]),
        (["~prompt"], ["prompt=null", "needs a prompt"]),
        (["seed=many"], ["seed", "many"]),
        (["limit.test=-3"], ["limit.test=-3"]),
        (["limit.test=2.5"], ["limit.test", "2.5"]),
        (["backbone.batch_size=0"], ["backbone.batch_size=0", "1 or more"]),
        (["backbone.batch_size=2.5"], ["backbone.batch_size=2.5", "a whole number"]),
        (["backbone.seconds=long"], ["backbone.seconds=long", "a number"]),
        (["backbone.noise=true"], ["backbone.noise=True", "a number"]),
        (["backbone.noise=1.5"], ["backbone.noise=1.5", "from 0 to 1"]),
        (["name=a/b"], ["name=a/b"]),
        (["name=../../up"], ["name=../../up"]),
        (["regime=adapter"], ["regime.path"]),
        (["regime=adapter", "regime.path=nowhere"], ["regime.path=nowhere"]),
        (["regime=lora"], ["backbone=scripted has no weights to tune", "regime=zero_shot"]),
        (["tracking=server"], ["tracking.uri"]),
        (["dataset=column_files"], ["dataset.test"]),
        (["resume=nowhere"], ["resume=nowhere", "not a run directory"]),
        (["hydra.foo=1"], ["hydra.foo"]),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else None,
)
def test_a_bad_setting(
    scripted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], says: list[str]
) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    assert_refused(scripted(f"paths.output={tmp_path}", *words), *says)
    assert not list(tmp_path.glob("runs/*/run.json"))


@pytest.mark.parametrize("words", [[], ["-m", "seed=1,2"]], ids=["single", "multirun"])
def test_an_unwritable_output_directory(scripted, tmp_path: Path, words: list[str]) -> None:
    (tmp_path / "file").write_text("a file, not a folder")
    output = tmp_path / "file" / "outputs"
    ended = scripted(f"paths.output={output}", *words)
    assert_refused(ended, f"paths.output={output}", "cannot be written")


@pytest.mark.parametrize(
    ("word", "cure"),
    [
        ("name=高血压", """'name="高血压"'"""),
        ("experiment=高血壓，研究（一）", """'experiment="高血壓，研究（一）"'"""),
        ("dataset.test={FT: /資料/文件.txt}", """'dataset.test={FT: "/資料/文件.txt"}'"""),
        ("labels@dataset.labels=我的", """'labels@dataset.labels="我的"'"""),
        ("name=a(b", """'name="a(b"'"""),
        ("dataset.test={FT: /資料/a (1).txt}", "quote each text"),
        ("dataset.test.小說=x.txt", "YAML file of your own"),
        ("dataset.test={小說: x.txt}", "YAML file of your own"),
        ("name=7e12345", """7e12345 would be read as inf; quote it: 'name="7e12345"'"""),
        ("experiment=true", """'experiment="true"'"""),
        ("resume=1_000", """'resume="1_000"'"""),
    ],
)
def test_words_that_hydra_misreads_are_refused_with_their_quoting(
    command, word: str, cure: str
) -> None:
    for name in ("run", "stats"):
        ended = command(name, word)
        assert_refused(ended, word, cure)
        assert "LexerNoViableAlt" not in ended.text


def test_the_quoting_that_is_named_is_right(scripted, tmp_path: Path) -> None:
    ended = scripted(
        'name="高血压（一）"', 'experiment="7e12345"', "limit.test=1", f"paths.output={tmp_path}"
    )
    assert ended.code == 0, ended.text
    (run,) = (tmp_path / "runs").iterdir()
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    assert (record["name"], record["experiment"]) == ("高血压（一）", "7e12345")


def test_a_hash_that_looks_like_a_number_is_refused_with_its_quoting(command) -> None:
    words = ("run", "backbone=causal_lm", "backbone.path=/nowhere", "tracking=dry")
    for hash_ in ("7e12345", "1234567"):
        ended = command(*words, f"backbone.revision={hash_}")
        assert_refused(ended, """quote text that looks so: 'backbone.revision="..."'""")


def test_a_label_file_in_another_encoding_or_with_a_tag_that_is_no_text(
    scripted, corpus: Path
) -> None:
    folder = corpus / "conf" / "labels"
    folder.mkdir(parents=True)
    words = ("--config-dir", f"{corpus / 'conf'}", *own(corpus), "labels@dataset.labels=mine")
    content = "name: mine\ntypes:\n  NO: {traditional: 症狀}\n"
    (folder / "mine.yaml").write_text(content, encoding="utf-8")
    assert_refused(scripted(*words), "type False: False is not text", 'such as "NO"')
    (folder / "mine.yaml").write_text(content, encoding="big5")
    assert_refused(scripted(*words), str(folder / "mine.yaml"), "iconv -f BIG5 -t UTF-8")
    good = content.replace("NO", "BODY:\n  SYMP")
    (folder / "mine.yaml").write_text(good, encoding="utf-8-sig")
    ended = scripted(*words)
    assert ended.code == 0, ended.text


@pytest.mark.parametrize("command_name", ["stats", "prompts"])
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["dataset=rocling2024"], "rocling2024"),
        (["dataset.genre=FT"], "dataset.genre"),
        (["script=null"], "Config group override"),
        (["dataset.genres=[XX]"], "'XX'"),
        (["dataset=healthner", "dataset.healthner_part=test"], "healthner_part"),
    ],
)
def test_the_other_commands_refuse_bad_settings_too(
    command, command_name: str, words: list[str], says: str
) -> None:
    assert_refused(command(command_name, *words), says)


@pytest.mark.parametrize("words", [("runs",), ("compare ",), ("--verbose",)])
def test_an_unknown_command_names_the_commands(command, words: tuple[str, ...]) -> None:
    assert_refused(command(*words), repr(words[0]), "run", "score", "predict")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("predict", "--run", "nowhere"), "RUN=nowhere"),
        (("rescore", "nowhere"), "RUN=nowhere"),
        (("data", "verify", "nothing"), "nothing"),
        (("prompts", "--show", "-1"), "--show -1"),
        (("prompts", "--format", "csv"), "alpaca"),
        (("predict", "some.txt"), "--run"),
    ],
)
def test_commands_with_bad_arguments(command, words: tuple[str, ...], says: str) -> None:
    assert_refused(command(*words), says)


def test_no_command_shows_the_overview(command) -> None:
    ended = command()
    assert ended.code == 2
    assert "usage: chmed-ner COMMAND" in ended.out


# ---------------------------------------------------------------- a failure once a run is open


@pytest.fixture
def stopped(finished_run: Path, tmp_path: Path) -> Path:
    """A copy of a finished run that has lost its place in MLflow, to be resumed."""
    run = tmp_path / "outputs" / "runs" / "stopped"
    shutil.copytree(finished_run, run)
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    record.update(mlflow_run_id=None, mlflow_tracking_uri=None, key="another", status="RUNNING")
    (run / "run.json").write_text(json.dumps(record), encoding="utf-8")
    return run


def status_of(run: Path, store: Path) -> tuple[str, str]:
    """The run's status in run.json and in MLflow."""
    from mlflow import MlflowClient

    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    client = MlflowClient(f"sqlite:///{store / 'mlflow.db'}")
    return record["status"], client.get_run(record["mlflow_run_id"]).info.status


def test_a_failure_inside_a_run_marks_it_failed(
    command, stopped: Path, finished: tuple[Path, Any]
) -> None:
    store, _ = finished
    words = (
        "run", "backbone=scripted", "regime=zero_shot", f"paths.output={stopped.parents[1]}",
        f"tracking.store={store}", f"resume={stopped}",
    )  # fmt: skip
    completions = stopped / "completions.jsonl"
    good = completions.read_text(encoding="utf-8").splitlines(keepends=True)

    # input that turns out to be bad once MLflow is open
    completions.write_text("".join([*good[:4], "{broken\n", *good[5:]]), encoding="utf-8")
    assert_refused(command(*words), f"{completions}, line 5", "start a new run")
    assert status_of(stopped, store) == ("FAILED", "FAILED")

    # a file that cannot be written, like a full disk
    completions.write_text("".join(good[:8]), encoding="utf-8")
    predictions = stopped / "predictions.jsonl"
    predictions.unlink(missing_ok=True)
    predictions.mkdir()
    assert_refused(command(*words), str(predictions), code=1)
    assert status_of(stopped, store) == ("FAILED", "FAILED")

    # and the same command goes on from there
    predictions.rmdir()
    assert command(*words).code == 0
    assert status_of(stopped, store) == ("FINISHED", "FINISHED")
    assert completions.read_text(encoding="utf-8").startswith("".join(good[:8]))


def test_a_run_that_another_store_does_not_know_gets_a_new_one_there(
    command, finished_run: Path, stopped: Path, tmp_path: Path
) -> None:
    shutil.copy(finished_run / "run.json", stopped / "run.json")
    elsewhere = tmp_path / "elsewhere"
    ended = command(
        "run", "backbone=scripted", "regime=zero_shot", f"paths.output={tmp_path}",
        f"tracking.store={elsewhere}", f"resume={stopped}",
    )  # fmt: skip
    assert ended.code == 0, ended.text
    assert f"{elsewhere / 'mlflow.db'} has no run" in ended.text
    assert status_of(stopped, elsewhere) == ("FINISHED", "FINISHED")


def test_what_is_said_of_a_corpus_is_said_once(scripted, tmp_path: Path) -> None:
    gold = tmp_path / "data" / "rocling2022" / "ROCLING22_CHNER_truth.txt"
    gold.parent.mkdir(parents=True)
    gold.write_text(GOOD, encoding="utf-8")
    places = (f"paths.data={tmp_path / 'data'}", f"paths.output={tmp_path}")
    ended = scripted("dataset=rocling2022", *places)
    assert ended.code == 0, ended.text
    assert ended.text.count("not the published file") == 1
