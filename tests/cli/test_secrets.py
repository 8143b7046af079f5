"""Forty secrets, planted in many ways: no file and no line holds eight characters of one."""

import json
import random
import stat
import string
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

ODD = "@/:#?&%+=~!.-_"


def secret(number: int) -> str:
    """Letters and digits; every other one also has what divides an address."""
    drawn = random.Random(number)
    letters = string.ascii_letters + string.digits
    text = [drawn.choice(letters) for _ in range(drawn.randint(12, 64))]
    if number % 2:
        for place in range(4, len(text), 9):
            text[place] = drawn.choice(ODD)
    return "".join(text)


class Echo(BaseHTTPRequestHandler):
    """Says the key that it was sent: in an answer, or where it is cut in the words of a refusal."""

    def do_POST(self) -> None:
        """Answer."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        key = f"{self.headers['Authorization']} {asked.get('api_key', '')}"
        message = {"role": "assistant", "content": f"头痛-症状\n{key}-疾病"}
        if asked["model"] == "unread":
            message["content"] = f"抱歉 {key}"
        content: Any = {"choices": [{"message": message, "finish_reason": "stop"}]}
        status = {"refused": 401, "filtered": 400}.get(asked["model"], 200)
        if status != 200:
            content = {"error": {"code": "content_filter", "message": f"{'x' * 280}{key}{key}"}}
        body = json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Nothing is logged."""


@pytest.fixture(scope="module")
def echo() -> Iterator[str]:
    """The server's address."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Echo)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/v1"
    server.shutdown()


def asked(model: str, *words: str) -> list[str]:
    """The words of a run on the echoing server."""
    return [
        "backbone=openai_compatible", "backbone.base_url=ECHO", f"backbone.model={model}",
        "tracking=dry", "regime=zero_shot", *words,
    ]  # fmt: skip


def tracked(address: str, *words: str) -> list[str]:
    """The words of a scripted run that is tracked at a dead address."""
    return [
        "backbone=scripted", "regime=zero_shot", "tracking=server", f"tracking.uri='{address}'",
        *words,
    ]  # fmt: skip


WAYS: dict[str, tuple[str, list[str]]] = {
    "a password": ("", tracked("http://user:SECRET@127.0.0.1:1")),
    "after a user with an at": ("", tracked("http://user:a@SECRET@127.0.0.1:1")),
    "after a slash": ("", tracked("http://user:x/SECRET@127.0.0.1:1")),
    "in a query": ("", tracked("http://127.0.0.1:1/?token=SECRET")),
    "in a sweep": ("", tracked("http://user:SECRET@127.0.0.1:1", "backbone.noise=0.1", "-m")),
    "in a sweep that fails": ("", tracked("http://u:SECRET@h", "-m", "script=simplified,none")),
    "in the environment": ("MLFLOW_TRACKING_URI=http://me:SECRET@127.0.0.1:1", tracked("")[:3]),
    "in a refused address": ("", asked("m", "backbone.base_url='http://u:SECRET@h/v1'")),
    "in a refused query": ("", asked("m", "backbone.base_url='http://h/v1?api_key=SECRET'")),
    "in the body": ("", asked("m", "+backbone.extra_body.api_key='SECRET'")),
    "in a header": ("", asked("m", "+backbone.extra_body.x={Authorization:'Bearer SECRET'}")),
    "echoed in an answer": ("OPENAI_API_KEY=SECRET", asked("m")),
    "echoed at a cut": ("OPENAI_API_KEY=SECRET", asked("refused")),
    "in an unread answer": ("OPENAI_API_KEY=SECRET", asked("unread")),
    "in a filter's words": ("OPENAI_API_KEY=SECRET", asked("filtered")),
    "under another name": ("MINE=SECRET", asked("refused", "backbone.api_key_env=MINE")),
    "in a proxy": ("HTTP_PROXY=ftp://u:SECRET@h", asked("m")),
    "misspelt": ("", asked("m", "trackin.password='SECRET'")),
    "in broken grammar": ("", asked("m", "tracking.uri=http://u:SECRET@[h")),
    "as a name": ("HF_TOKEN=SECRET", asked("m", "name='SECRET'")),
    "in a path": ("HF_TOKEN=SECRET", asked("m", "paths.data='/dev/null/SECRET'")),
    "in a file": ("", ["backbone=scripted", "regime=zero_shot", "tracking=mine"]),
}


def test_a_shown_configuration_hides_what_its_files_hold(command: Any, tmp_path: Path) -> None:
    folder, hidden = tmp_path / "backbone", secret(100)
    folder.mkdir()
    text = (
        f"defaults: [chatgpt_3_5, _self_]\nextra_body: {{x: {{Authorization: Bearer {hidden}}}}}\n"
    )
    (folder / "mine.yaml").write_text(text, encoding="utf-8")
    for option in (("--cfg", "job"), ("--info", "config")):
        ended = command("run", "--config-dir", str(tmp_path), "backbone=mine", *option)
        assert "Authorization: Bearer [key]" in ended.out
        assert "api_key_env: OPENAI_API_KEY" in ended.out
        assert not [at for at in range(len(hidden) - 7) if hidden[at : at + 8] in ended.text]


def test_what_is_public_is_no_secret() -> None:
    from chmed_ner.errors import note_secrets, without_secrets

    paths = {
        "SSH_KEY": f"{Path.home()}/.ssh/id",
        "A_TOKEN": "--------",
        "MY_PASSWORD": "chmed_ner.",
    }
    note_secrets(paths)
    said = (
        f"{Path.home()}/runs http://host:8000/users@v2 file:///home/me@work chmed_ner.run ---------"
    )
    assert without_secrets(said) == said


CASES = [
    pytest.param(way, number, marks=() if number < len(WAYS) else pytest.mark.slow)
    for number, way in enumerate([*WAYS, *WAYS, *WAYS][:40])
]


@pytest.mark.parametrize(("way", "number"), CASES)
def test_no_secret_is_written_or_said(
    way: str,
    number: int,
    command: Callable[..., Any],
    echo: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    hidden = secret(number)
    variable, words = WAYS[way]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    if way != "in a proxy":
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    if variable:
        name, _, value = variable.partition("=")
        monkeypatch.setenv(name, value.replace("SECRET", hidden))
    if way == "in a file":
        monkeypatch.setenv("MLFLOW_HTTP_REQUEST_TIMEOUT", "2")
        text = f"defaults: [server, _self_]\nuri: 'http://u:{hidden}@127.0.0.1:1'\n"
        (tmp_path / "conf" / "tracking").mkdir(parents=True)
        mine = tmp_path / "conf" / "tracking" / "mine.yaml"
        mine.write_text(text, encoding="utf-8")
        words = ["--config-dir", str(tmp_path / "conf"), *words]
    filled = [word.replace("SECRET", hidden).replace("ECHO", echo) for word in words]
    output = tmp_path / "output"
    places = (f"paths.output={output}", f"paths.cache={output / 'cache'}")
    ended = command("run", *filled, "limit.test=1", *places)
    assert ended.text.strip()
    pieces = {hidden[place : place + 8] for place in range(len(hidden) - 7)}
    assert not [piece for piece in pieces if piece in ended.text], ended.text
    files = list(output.rglob("*")) if output.is_dir() else []
    for path in files:
        content = path.read_bytes() if path.is_file() else b""
        for piece in pieces:
            assert piece not in str(path), path
            assert piece.encode() not in content, path
    done = ("a password", "echoed in an answer", "in the body", "in a file", "as a name")
    if way in done and hidden.isalnum():
        assert ended.code == 0, ended.text
        assert len(files) > 20
    for path in (output / "cache" / "api").rglob("*"):
        assert stat.S_IMODE(path.stat().st_mode) == (0o700 if path.is_dir() else 0o600), path
