"""Original checkpoints by hub id, from a hub on loopback: only the files that are needed."""

import hashlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

COMMIT = "0123456789abcdef0123456789abcdef01234567"
REPOSITORY = "someone/tiny"
PROGRAM = """
import json, sys
from chmed_ner.backbone import load_causal_lm
from chmed_ner.errors import InputError
try:
    model, tokenizer = load_causal_lm(sys.argv[1], dtype="float32", device="cpu", revision="v2")
    print(json.dumps([type(model).__name__, len(tokenizer)]))
except InputError as error:
    print(json.dumps(str(error)))
"""


class Hub(BaseHTTPRequestHandler):
    """The part of the hub's protocol that its client uses to list and fetch a repository."""

    folder: Path
    asked: list[str]

    def do_HEAD(self) -> None:
        self._serve(body=False)

    def do_GET(self) -> None:
        self._serve(body=True)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def _serve(self, *, body: bool) -> None:
        path = self.path.partition("?")[0]
        if path.startswith(f"/api/models/{REPOSITORY}"):
            listing: Any = {"id": REPOSITORY, "sha": COMMIT, "tags": [], "private": False}
            if "/tree/" in path:
                listing = [
                    {"type": "file", "path": file.name, "size": file.stat().st_size, "oid": "0"}
                    for file in sorted(self.folder.iterdir())
                ]
            self._answer(json.dumps(listing).encode(), "listing", body=body)
            return
        file = self.folder / Path(path).name
        if not path.startswith(f"/{REPOSITORY}/resolve/") or not file.is_file():
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if body:
            self.asked.append(file.name)
        data = file.read_bytes()
        self._answer(data, hashlib.sha256(data).hexdigest(), body=body)

    def _answer(self, data: bytes, tag: str, *, body: bool) -> None:
        self.send_response(200)
        self.send_header("ETag", f'"{tag}"')
        self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[tuple[str, type[Hub]]]:
    """Its address, and what it serves and was asked for."""
    served = type("Served", (Hub,), {"folder": tmp_path / "repository", "asked": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), served)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", served
    server.shutdown()
    server.server_close()


def load(address: str, tmp_path: Path, **changes: str) -> Any:
    """What a process that knows the hub by `address` loads."""
    environment = {
        key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")
    }
    environment |= {
        "HF_ENDPOINT": address,
        "HF_HOME": str(tmp_path / "hub"),
        "HF_HUB_DISABLE_XET": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "CHMED_NER_CACHE": str(tmp_path / "cache"),
        "OMP_NUM_THREADS": "1",
        **changes,
    }
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, REPOSITORY],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )
    assert "Retrying" not in done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("also_safe", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_what_is_needed_is_fetched(
    chatglm2: Any, hub: tuple[str, type[Hub]], tmp_path: Path, also_safe: bool
) -> None:
    address, served = hub
    folder = chatglm2.write(tmp_path / "repository", pickled=True)
    if also_safe:
        chatglm2.write(folder)
    for name in ("modeling_chatglm.py", "README.md", "training_args.bin"):
        (folder / name).write_text("raise SystemExit('was run')\n", encoding="utf-8")
    assert load(address, tmp_path) == ["GlmForCausalLM", 1005]
    weights = "model.safetensors" if also_safe else "pytorch_model.bin"
    assert sorted(served.asked) == sorted(
        ["config.json", "tokenizer.model", "tokenizer_config.json", weights]
    )


@pytest.mark.slow
def test_without_a_hub_an_earlier_download_serves_if_it_is_whole(
    baichuan: Any, hub: tuple[str, type[Hub]], tmp_path: Path
) -> None:
    address, _ = hub
    baichuan.write(tmp_path / "repository")
    assert load(address, tmp_path) == ["LlamaForCausalLM", 1040]
    assert load(address, tmp_path, HF_HUB_OFFLINE="1") == ["LlamaForCausalLM", 1040]
    weights = next((tmp_path / "hub").rglob("snapshots/*/model.safetensors"))
    weights.unlink()
    said = load(address, tmp_path, HF_HUB_OFFLINE="1")
    assert isinstance(said, str)
    assert f"{REPOSITORY}: cannot be fetched" in said


def test_a_hub_that_is_away_is_named_after_one_try(tmp_path: Path) -> None:
    said = load("http://127.0.0.1:9", tmp_path, HF_HUB_OFFLINE="0")
    assert isinstance(said, str)
    for word in (REPOSITORY, "http://127.0.0.1:9 cannot be reached", "HF_ENDPOINT", "a folder"):
        assert word in said
    assert "folder" in said
