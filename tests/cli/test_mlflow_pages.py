"""What MLflow's users look for: sweeps with their cells, models with scores, `chmed-ner ui`."""

import json
import os
import shutil
import signal
import socket
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.run import cell_command, sweep_of
from chmed_ner.run.commands import question
from tests.cli.conftest import succeed

SWEEP = ("run", "-m", "method=lexicon", "seed=1,2", "limit.test=5", "experiment=seeds")


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """The output directory of a sweep of two cells."""
    folder = tmp_path_factory.mktemp("swept")
    shutil.copy(empty_store, folder / "mlflow.db")
    succeed(*SWEEP, f"paths.output={folder}")
    return folder


@pytest.fixture(scope="module")
def client(output: Path) -> Any:
    """A client of its store."""
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{output / 'mlflow.db'}")


def runs_of(client: Any) -> list[Any]:
    """The runs of the sweep's experiment, the oldest first."""
    experiment = client.get_experiment_by_name("seeds")
    return list(client.search_runs([experiment.experiment_id], order_by=["start_time ASC"]))


def test_a_sweep_is_a_parent_and_its_cells(client: Any, output: Path) -> None:
    runs = runs_of(client)
    cells = [run for run in runs if "mlflow.parentRunId" in run.data.tags]
    (parent,) = (run for run in runs if run not in cells)
    assert {run.data.tags["mlflow.parentRunId"] for run in cells} == {parent.info.run_id}
    assert {run.data.params["seed"] for run in cells} == {"1", "2"}
    assert (parent.info.run_name, parent.info.status) == ("sweep over seed", "FINISHED")
    assert f"{' '.join(SWEEP[1:])} paths.output={output}" in parent.data.tags["mlflow.note.content"]
    assert not parent.data.metrics
    from chmed_ner.track import Store, TrackedRuns

    assert len(TrackedRuns(Store(f"sqlite:///{output / 'mlflow.db'}")).all()) == 2


def test_a_fitted_model_is_listed_once_with_its_scores(client: Any, output: Path) -> None:
    for run in runs_of(client):
        models = run.outputs.model_outputs if run.outputs else []
        if "mlflow.parentRunId" not in run.data.tags:
            assert not models
            continue
        (listed,) = models
        model = client.get_logged_model(listed.model_id)
        assert (model.status, model.source_run_id) == ("READY", run.info.run_id)
        assert model.params["method"] == model.model_type == "lexicon"
        assert (output / model.tags["files"]).is_dir()
        scores = {metric.key: metric.value for metric in model.metrics}
        assert scores["test/f1"] == run.data.metrics["test/f1"]
        assert len(client.get_metric_history(run.info.run_id, "test/f1")) == 1
        data = {tag.value: each.dataset for each in run.inputs.dataset_inputs for tag in each.tags}
        assert set(data) == {"train", "test"}
        (measured,) = [metric for metric in model.metrics if metric.key == "test/f1"]
        assert measured.dataset_digest == data["test"].digest


def test_the_page_shows_experiments_as_those_of_models(client: Any) -> None:
    tags = client.get_experiment_by_name("seeds").tags
    assert tags["mlflow.experimentKind"] == "custom_model_development"
    assert tags["mlflow.experiment.primaryMetric.name"] == "test/f1"
    view = json.loads(tags["mlflow.sharedViewState.scores"])
    assert view["orderByKey"] == view["selectedColumns"][0] == "metrics.`test/f1`"
    (best, second) = client.search_runs(
        [client.get_experiment_by_name("seeds").experiment_id],
        view["searchFilter"],
        order_by=[f"{view['orderByKey']} DESC"],
    )
    assert best.data.metrics["test/f1"] >= second.data.metrics["test/f1"]
    shown = {name.split("`")[1] for name in view["selectedColumns"]}
    assert shown <= {*best.data.metrics, *best.data.params}


def test_an_experiment_takes_the_question_of_its_grid(empty_store: Path, tmp_path: Path) -> None:
    from chmed_ner.track import Store

    asked = question("regimes")
    assert asked == "what does tuning add to the backbone as it is?"
    assert question("script").endswith("models lean to them; does it matter?")
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    store = Store(f"sqlite:///{tmp_path / 'mlflow.db'}", tmp_path / "mlartifacts")
    client = store.client()
    for text in ("", asked, "another"):
        store.experiment(client, "regimes", text)
    tags = client.get_experiment_by_name("regimes").tags
    assert tags["mlflow.note.content"] == asked


def test_the_same_command_is_the_same_sweep() -> None:
    words = ["-m", "seed=1,2", "method=crf"]
    one = sweep_of(words, {"seed"}, {"sweep": None})
    assert one["command"] == "chmed-ner run -m seed=1,2 method=crf"
    again = ["method=crf", "seed=1,2", "--multirun", "rerun=true", "hydra/launcher=joblib"]
    assert sweep_of(again, {"seed"}, {})["key"] == one["key"]
    assert sweep_of(["-m", "seed=1,3", "method=crf"], {"seed"}, {})["key"] != one["key"]
    cell = cell_command(["sweep=regimes", "dataset.genres=[FT,WA]"], {"sweep": "regimes"})
    assert cell == "chmed-ner run sweep=regimes 'dataset.genres=[FT,WA]' hydra.mode=RUN"


def test_ui_of_a_moved_folder_opens_where_the_runs_are(
    output: Path, client: Any, process: Callable[..., subprocess.Popen[str]], tmp_path: Path
) -> None:
    """The copy's own files are read: the folder that it came from has none of that name."""
    copy = tmp_path / "copied outputs"
    shutil.copytree(output, copy)
    (run, *_) = [each for each in runs_of(client) if each.outputs and each.outputs.model_outputs]
    (file,) = copy.glob(f"mlartifacts/*/{run.info.run_id}/artifacts/metrics.json")
    file.write_text(json.dumps({"of": "the copy"}), encoding="utf-8")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = process("ui", "--port", str(port), f'paths.output="{copy}"', cwd=tmp_path)
    try:
        said = _until(server, "Ctrl-C ends it")
        experiment = run.info.experiment_id
        base = f"http://127.0.0.1:{port}"
        page = f"{base}/#/experiments/{experiment}/runs?workflowType=machine_learning"
        assert f": {page}\n" in said
        assert f": {page}&viewStateShareKe%79=scores&compareRunsMode=CHART\n" in said
        address = f"{base}/get-artifact?path=metrics.json&run_uuid={run.info.run_id}"
        with urllib.request.urlopen(address, timeout=60) as page:
            assert json.load(page) == {"of": "the copy"}
        assert _memory(server.pid) < 0.8 * 2**30
        server.send_signal(signal.SIGTERM)
        assert server.wait(timeout=60) is not None
        with socket.socket() as gone:
            assert gone.connect_ex(("127.0.0.1", port))
    finally:
        for pid in [server.pid, *_below(server.pid)]:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        server.wait()


def _until(server: "subprocess.Popen[str]", word: str) -> str:
    """What it prints until a line holds the word."""
    said = ""
    assert server.stdout is not None
    for line in server.stdout:
        said += line
        if word in line:
            return said
    raise AssertionError(said)


def _below(pid: int) -> list[int]:
    """The processes that a process has started, and theirs."""
    try:
        found = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return []
    return [each for child in map(int, found) for each in (child, *_below(child))]


def _memory(pid: int) -> int:
    """Bytes that a process and those below it hold for themselves, shared ones divided."""
    time.sleep(1)
    files = [Path(f"/proc/{each}/smaps_rollup") for each in (pid, *_below(pid))]
    lines = [line.split() for file in files for line in file.read_text().splitlines()]
    return sum(1024 * int(line[1]) for line in lines if line[0] == "Pss:")
