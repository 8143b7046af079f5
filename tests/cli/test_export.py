"""A run as an MLflow model: in a folder, in MLflow, and served over loopback."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import succeed

TEXT = "醫師說我有輕微的脂肪肝，需要吃藥嗎？\n又說脂肪肝不嚴重。"
SURE = pytest.approx(0.87, abs=0.05)  # calibrated on the sample's validation sentences
ENTITIES = [
    {"start": 8, "end": 11, "type": "DISE", "mention": "脂肪肝", "confidence": SURE},
    {"start": 21, "end": 24, "type": "DISE", "mention": "脂肪肝", "confidence": SURE},
]


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory, empty_store: Path) -> Path:
    """The output directory of a lexicon run that is in MLflow."""
    folder = tmp_path_factory.mktemp("lexicon")
    shutil.copy(empty_store, folder / "mlflow.db")
    succeed("run", "method=lexicon", f"paths.output={folder}", "limit.test=20")
    return folder


@pytest.fixture(scope="module")
def model(output: Path, process: Any) -> Path:
    """The run as a model in a folder."""
    words = ("export", "--run", "latest", "--runs-in", str(output), "--out", str(output / "model"))
    with process(*words, cwd=output) as running:
        out, err = running.communicate(timeout=200)
    assert running.returncode == 0, err
    assert out.splitlines() == [str(output / "model")]
    return output / "model"


def test_a_model_holds_code_and_weights_and_no_pickle(model: Path) -> None:
    files = {str(path.relative_to(model)) for path in model.rglob("*") if path.is_file()}
    assert {"pyfunc_model.py", "artifacts/run.json", "artifacts/model/lexicon.json"} <= files
    assert not [name for name in files if name.endswith((".pkl", ".pickle", ".joblib"))]
    assert "input_example.json" in files
    assert "start" in (model / "MLmodel").read_text(encoding="utf-8").split("signature:")[1]


def test_a_loaded_model_finds_entities_with_offsets(model: Path) -> None:
    from chmed_ner.track.store import quiet_mlflow

    quiet_mlflow()
    import mlflow.pyfunc

    found = mlflow.pyfunc.load_model(str(model)).predict([TEXT, "", "\ud800"])
    assert found[0] == {"id": "0", "sentence": TEXT, "entities": ENTITIES, "problems": {}}
    assert [each["problems"] for each in found[1:]] == [{}, {"unreadable_character": 1}]


def test_a_loaded_model_takes_a_table_of_one_column_alone(model: Path) -> None:
    from chmed_ner.track.store import quiet_mlflow

    quiet_mlflow()
    import mlflow.pyfunc
    import pandas

    loaded = mlflow.pyfunc.load_model(str(model))
    table = pandas.DataFrame({"id": ["n1"], "text": [TEXT]})
    assert loaded.predict(table[["text"]])[0]["entities"] == ENTITIES
    with pytest.raises(mlflow.MlflowException, match=r"columns id, text: give the column of texts"):
        loaded.predict(table)


def test_a_model_is_logged_to_its_run(command, output: Path, model: Path) -> None:  # noqa: ARG001
    from mlflow import MlflowClient

    ended = command("export", "--run", "latest", "--runs-in", str(output))
    assert ended.code == 0, ended.text
    (run,) = (output / "runs").iterdir()
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    client = MlflowClient(f"sqlite:///{output}/mlflow.db")
    logged = client.get_logged_model(ended.out.strip().removeprefix("models:/"))
    assert "mlflow.model.isExternal" not in logged.tags  # it was, until its files came
    assert (logged.source_run_id, logged.status) == (record["mlflow_run_id"], "READY")
    outputs = client.get_run(record["mlflow_run_id"])
    assert outputs.info.status == "FINISHED"
    assert [each.model_id for each in outputs.outputs.model_outputs] == [logged.model_id]
    place = Path(logged.artifact_location.removeprefix("file://"))
    assert (place / "artifacts" / "model" / "lexicon.json").is_file()
    assert output in place.parents


def test_what_cannot_be_exported_is_refused(command, output: Path, model: Path, tmp_path) -> None:
    run = ("export", "--run", "latest", "--runs-in", str(output))
    ended = command(*run, "--out", str(model))
    assert ended.code == 2
    assert f"{model}: is there already" in ended.err
    (directory,) = (output / "runs").iterdir()
    copy = tmp_path / "run"
    shutil.copytree(directory, copy)
    (copy / "model" / "lexicon.json").unlink()
    ended = command("export", "--run", str(copy), "--out", str(tmp_path / "model"))
    assert ended.code == 2
    assert "lexicon.json" in ended.err
    assert not (tmp_path / "model").exists()
    record = json.loads((copy / "run.json").read_text(encoding="utf-8"))
    (copy / "run.json").write_text(json.dumps({**record, "mlflow_run_id": None}))
    ended = command("export", "--run", str(copy))
    assert ended.code == 2
    assert "--out DIR" in ended.err


@pytest.mark.slow
def test_mlflow_serves_it_over_loopback(model: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    bin_ = Path(sys.executable).parent
    server = subprocess.Popen(
        [
            str(bin_ / "mlflow"), "models", "serve", "-m", str(model), "--env-manager", "local",
            "-h", "127.0.0.1", "-p", str(port),
        ],
        env={**os.environ, "PATH": f"{bin_}:{os.environ['PATH']}", "DO_NOT_TRACK": "true"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    try:
        answer = _asked(f"http://127.0.0.1:{port}/invocations", server)
    finally:
        os.killpg(server.pid, signal.SIGTERM)
        server.wait(timeout=60)
    assert [each["entities"] for each in answer["predictions"]] == [ENTITIES]


def _asked(url: str, server: subprocess.Popen[bytes]) -> Any:
    request = urllib.request.Request(
        url, json.dumps({"inputs": [TEXT]}).encode(), {"Content-Type": "application/json"}
    )
    end = time.monotonic() + 240
    while time.monotonic() < end and server.poll() is None:
        try:
            with urllib.request.urlopen(request, timeout=30) as response:
                return json.load(response)
        except urllib.error.HTTPError:
            raise
        except OSError:
            time.sleep(0.5)
    raise AssertionError(f"no answer from {url}")
