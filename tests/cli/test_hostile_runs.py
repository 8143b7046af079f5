"""Directories of runs that a stranger made: opening one executes, overwrites and sends nothing."""

import json
import pickle
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.errors import InputError
from chmed_ner.track.store import Store
from chmed_ner.track.upload import send_artifacts

SECRET = "an-unrelated-secret-0123456789"


class Payload:
    """Pickled, it leaves a mark where it is read."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> Any:
        return Path.touch, (self.mark,)


class Listener:
    """A server on loopback that only counts who connects."""

    def __init__(self) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._socket.getsockname()[1]}"
        self.connections = 0
        threading.Thread(target=self._listen, daemon=True).start()

    def _listen(self) -> None:
        while True:
            try:
                self._socket.accept()[0].close()
            except OSError:
                return
            self.connections += 1

    def close(self) -> None:
        """Stop listening."""
        self._socket.close()


@pytest.fixture
def listener(monkeypatch: pytest.MonkeyPatch) -> Iterator[Listener]:
    """A stranger's server."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("UNRELATED", SECRET)
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)
    found = Listener()
    yield found
    found.close()


@pytest.fixture(scope="module")
def honest(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run without MLflow."""
    from chmed_ner.cli import main

    output = tmp_path_factory.mktemp("honest")
    words = ["backbone=scripted", "regime=zero_shot", "tracking=dry", "limit.test=1"]
    assert main(["run", *words, f"paths.output={output}"]) == 0
    (directory,) = (output / "runs").iterdir()
    return directory


@pytest.fixture
def victim(tmp_path: Path) -> Path:
    """A folder of the user's."""
    folder = tmp_path / "victim"
    folder.mkdir()
    (folder / "notes.txt").write_text("mine, without a last line end", encoding="utf-8")
    return folder


def seen(folder: Path) -> dict[str, bytes]:
    """Everything in a folder."""
    files = (path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


@dataclass
class Scene:
    """A run and its record, the user's folder, the stranger's address."""

    run: Path
    record: dict[str, Any]
    victim: Path
    url: str


Change = Callable[[Scene], None]
"""Makes the run hostile."""


def knob(key: str, value: Any) -> Change:
    """Another value in the record's configuration; `PICKLE`, `VICTIM` and `URL` are filled in."""

    def change(scene: Scene) -> None:
        text = json.dumps(value).replace("PICKLE", str(scene.run / "payload.pkl"))
        *path, last = key.split(".")
        node = scene.record["config"]
        for name in path:
            node = node[name]
        node[last] = json.loads(text.replace("VICTIM", str(scene.victim)).replace("URL", scene.url))

    return change


def link(name: str, target: str) -> Change:
    """A link out of the run."""

    def change(scene: Scene) -> None:
        path = scene.run / name
        if path.is_dir():
            shutil.rmtree(path)
        path.unlink(missing_ok=True)
        path.symlink_to(scene.victim / target)

    return change


def field(**changes: Any) -> Change:
    """Other fields of the record."""

    def change(scene: Scene) -> None:
        scene.record |= json.loads(json.dumps(changes).replace("URL", scene.url))

    return change


def note(scene: Scene) -> None:
    """A note that asks for the user's file to be sent to the stranger."""
    stolen = {"uri": scene.url, "reason": "", "artifacts": [str(scene.victim / "notes.txt")]}
    (scene.run / "unsent.json").write_text(json.dumps(stolen), encoding="utf-8")


CALLBACK = ["+hydra.callbacks.x._target_=pandas.read_pickle",
            "+hydra.callbacks.x.filepath_or_buffer=PICKLE"]  # fmt: skip
MAIN = {"_target_": "chmed_ner.cli.main", "arguments": ["run", *CALLBACK]}
READ = {"_target_": "pandas.read_pickle", "filepath_or_buffer": "PICKLE"}
WRITE = {"_target_": "chmed_ner.track.RunRecord.write", "self": 1, "directory": "VICTIM"}
ENDPOINT = {
    "_target_": "chmed_ner.backbone.OpenAICompatible", "name": "x", "base_url": "URL/v1",
    "model": "x", "endpoint": "chat", "system": None, "revision": None, "temperature": 0.0,
    "seed": 1, "max_tokens_field": "max_tokens", "grammar": None, "extra_body": {},
    "api_key_env": "UNRELATED", "api_key_required": False, "concurrency": 1, "timeout": 5.0,
    "attempts": 1, "prompt_price": None, "completion_price": None, "budget_usd": None,
    "estimate_only": False, "cache": "VICTIM",
}  # fmt: skip
MODULE = {"_target_": "chmed_ner.__main__.main"}
MLFLOW = {"_target_": "chmed_ner.track.MLflowTracking", "upload_adapter": False}
HUB = {
    "_target_": "chmed_ner.backbone.Gguf", "attention": "stranger/kernel", "name": "x",
    "path": None, "revision": None, "dtype": "auto", "device": "auto", "quantization": "none",
    "batch_size": 1, "chat": "auto", "chat_options": {}, "cache": None, "file": None,
    "sha256": None, "packages": [], "tied": True,
}  # fmt: skip
PREDICT, RESCORE = ("predict", "--run", "RUN", "TEXT"), ("rescore", "RUN", "restoration=first")
COMPARE, EXPORT = ("compare", "RUN", "RUN"), ("export", "--run", "RUN")
HOSTILE: dict[str, tuple[tuple[str, ...], Change, str]] = {
    "a command": (PREDICT, knob("regime", MAIN), "regime._target_=chmed_ner.cli.main"),
    "a nested command": (PREDICT, knob("prompt.answer", MAIN), "prompt.answer._target_="),
    "in a list": (PREDICT, knob("prompt.stop", [MAIN]), "prompt.stop[0]._target_="),
    "in a value": (PREDICT, knob("dataset.labels", MAIN), "dataset.labels._target_="),
    "a pickle": (PREDICT, knob("backbone", READ), "only targets inside chmed_ner"),
    "a method of a class": (PREDICT, knob("script", WRITE), "no such class"),
    "a module": (PREDICT, knob("script", MODULE), "no such class"),
    "another group": (PREDICT, knob("dataset._target_", "chmed_ner.methods.CRF"), "no chmed_ner"),
    "a partial": (PREDICT, knob("regime._partial_", True), "_partial_"),
    "arguments": (PREDICT, knob("script._args_", ["PICKLE"]), "_args_"),
    "no target": (PREDICT, knob("script", {"name": "simplified"}), "script._target_=None"),
    "callbacks": (PREDICT, knob("hydra", {"callbacks": {"x": READ}}), "hydra"),
    "an interpolation": (RESCORE, knob("prompt.name", "${oc.env:UNRELATED}"), "${...}"),
    "a resolver": (COMPARE, knob("dataset.genres", "${runs_directory:}"), "${...}"),
    "a kernel": (PREDICT, knob("backbone", HUB), "backbone.attention=stranger/kernel"),
    "compare": (COMPARE, knob("dataset", MAIN), "dataset._target_=chmed_ner.cli.main"),
    "rescore": (
        ("rescore", "RUN", "tracking=dry"), knob("restoration", MAIN), "restoration._target_=",
    ),
    "an endpoint": (PREDICT, knob("backbone", ENDPOINT), "--trust-endpoint"),
    "an exported endpoint": ((*EXPORT, "--out", "OUT"), knob("backbone", ENDPOINT), "--trust-end"),
    "a tracking server": (
        RESCORE, knob("tracking", {**MLFLOW, "uri": "URL", "store": None}), "--trust-endpoint",
    ),
    "a store": (
        RESCORE, knob("tracking", {**MLFLOW, "uri": None, "store": "VICTIM"}), "--trust-endpoint",
    ),
    "a server of models": (
        EXPORT, field(mlflow_run_id="1", mlflow_tracking_uri="URL"), "--trust-endpoint",
    ),
    "a link to write through": (RESCORE, link("rescore", ""), "leads out of the run"),
    "a link to cut": (RESCORE, link("completions.jsonl", "notes.txt"), "leads out of the run"),
    "an adapter elsewhere": (PREDICT, link("adapter", ""), "leads out of the run"),
    "a resumed link": (
        ("run", "resume=RUN", "paths.output=OUTPUT"), link(".hydra", ""), "leads out of the run",
    ),
    "a run elsewhere": (
        PREDICT,
        knob("regime", {"_target_": "chmed_ner.train.SavedAdapter", "path": "../victim"}),
        "regime.path=../victim",
    ),
    "a rerun": (("run", "--experimental-rerun", "RUN/payload.pkl"), field(), "a pickle"),
    "a note": (("report", "--sync", "paths.output=OUTPUT"), note, "--trust-endpoint"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_stranger_s_run_is_refused_in_one_line(
    name: str, command, honest: Path, listener: Listener, victim: Path, tmp_path: Path
) -> None:
    words, change, said = HOSTILE[name]
    run, mark = tmp_path / "runs" / "hostile", tmp_path / "executed"
    shutil.copytree(honest, run)
    (run / "payload.pkl").write_bytes(pickle.dumps(Payload(mark)))
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    change(Scene(run, record, victim, listener.url))
    (run / "run.json").write_text(json.dumps(record), encoding="utf-8")
    (tmp_path / "text").write_text("我頭痛\n", encoding="utf-8")
    places = {"RUN": run, "TEXT": tmp_path / "text", "OUTPUT": tmp_path, "OUT": tmp_path / "out"}
    before = seen(victim), seen(run)
    filled = []
    for word in words:
        for place in sorted(places, key=len, reverse=True):
            word = word.replace(place, str(places[place])) if place in word else word
        filled.append(word)
    ended = command(*filled)
    lines = [line for line in ended.text.splitlines() if said in line]
    assert ended.code in (1, 2), ended.text
    assert len(lines) == 1, ended.text
    assert "Traceback" not in ended.text
    assert SECRET not in ended.text
    if words[0] not in ("report", "run"):
        assert ended.text.count("\n") == 1, ended.text
    assert not mark.exists()
    assert (seen(victim), seen(run)) == before
    assert listener.connections == 0


def test_the_user_s_own_targets_are_as_open_as_before(scripted, tmp_path: Path) -> None:
    """Hydra's convention stays: a class of a room, in a file or on the command line."""
    folder = tmp_path / "conf"
    (folder / "script").mkdir(parents=True)
    text = "_target_: chmed_ner.entities.Traditional\n"
    (folder / "script" / "mine.yaml").write_text(text, encoding="utf-8")
    words = ("--config-dir", str(folder), "script=mine", "limit.test=1", f"paths.output={tmp_path}")
    target = "prompt.answer._target_=chmed_ner.prompt.formats.GroupedJson"
    ended = scripted(*words, "prompt=json", target)
    assert ended.code == 0, ended.text


def test_nothing_outside_a_run_is_uploaded(victim: Path, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()
    for name in ("../victim/notes.txt", str(victim / "notes.txt")):
        with pytest.raises(InputError, match="no part of the run"):
            send_artifacts(None, "1", run, [name])


@pytest.mark.parametrize("place", ["runs/hostile", "hostile"])
def test_a_stranger_s_output_directory_is_left_alone(
    place: str, command, honest: Path, victim: Path, empty_store: Path, tmp_path: Path
) -> None:
    """A run in the user's `runs/` is tracked there; one elsewhere claims that it is no copy."""
    run = tmp_path / place
    shutil.copytree(honest, run)
    shutil.copy(empty_store, tmp_path / "mlflow.db")
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    record["config"]["paths"]["output"] = str(victim)
    record["directory"] = str(run)
    (run / "run.json").write_text(json.dumps(record), encoding="utf-8")
    before = seen(victim)
    ended = command("rescore", str(run), "restoration=first", "tracking=mlflow")
    if place == "hostile":
        assert (ended.code, ended.text.count("\n")) == (2, 1), ended.text
        assert "--trust-endpoint" in ended.text
        assert not (run / "rescore").exists()
    else:
        assert ended.code == 0, ended.text
    assert seen(victim) == before


@pytest.mark.parametrize("name", ["..", ".", "../../x", ".hidden"])
def test_the_files_of_any_experiment_lie_in_the_store(
    name: str, empty_store: Path, tmp_path: Path
) -> None:
    from mlflow import MlflowClient

    uri = f"sqlite:///{shutil.copy(empty_store, tmp_path / 'mlflow.db')}"
    store, client = Store(uri, tmp_path / "mlartifacts"), MlflowClient(uri)
    place = client.get_experiment(store.experiment(client, name)).artifact_location
    assert Path(place.removeprefix("file://")).resolve().parent == tmp_path / "mlartifacts"
