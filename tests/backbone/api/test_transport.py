"""What the official client sends: what we wrote, where we said, by the environment's proxy."""

import asyncio
import json
import logging
import select
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from typing import Any, ClassVar

import pytest

from chmed_ner.backbone.completions import CompletionStore, generate
from chmed_ner.errors import InputError, RunError
from chmed_ner.model.asking import Request
from chmed_ner.run.config import option

Start = Callable[..., Any]
KEY = "a1b2c3-loopback-key"
OTHERS = {
    "OPENAI_API_KEY": "another-key",
    "OPENAI_ADMIN_KEY": "an-admin-key",
    "OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
    "OPENAI_ORG_ID": "an-organisation",
    "OPENAI_PROJECT_ID": "a-project",
    "OPENAI_WEBHOOK_SECRET": "a-secret",
    "OPENAI_CUSTOM_HEADERS": "X-Custom: custom\nauthorization: Bearer custom\nUser-Agent: custom",
    "OPENAI_LOG": "debug",
}
"""What the official client would take from the environment."""


def ask(base_url: str, folder: Path, *prompts: str, **settings: Any) -> CompletionStore:
    """Questions put as a run puts them; the key is in LOOPBACK_KEY, if anywhere."""
    more = {"api_key_env": "LOOPBACK_KEY", "timeout": 5.0, **settings}
    backbone = option(
        "backbone", "openai_compatible", name="loopback", base_url=base_url, model="tiny",
        cache=str(folder / "cache"), **more,
    )  # fmt: skip
    requests = [
        Request(f"s{n}", "test", "FT", prompt, 40) for n, prompt in enumerate(prompts or ["头痛"])
    ]
    store = CompletionStore(folder / "completions.jsonl")
    generate(backbone.generator(stop=["\n\n"], seed=0), requests, store)
    return store


@pytest.mark.parametrize("key", [KEY, None])
def test_nothing_of_the_environment_is_sent(
    api_server: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, key: str | None
) -> None:
    for name, value in OTHERS.items():
        monkeypatch.setenv(name, value)
    if key:
        monkeypatch.setenv("LOOPBACK_KEY", key)
    server = api_server()
    ask(server.base_url, tmp_path)
    (seen,) = server.seen()
    headers = {name.lower(): value for name, value in seen["headers"].items()}
    assert headers.pop("authorization", None) == (f"Bearer {key}" if key else None)
    assert headers.pop("user-agent") == "chmed-ner"
    assert headers.pop("content-type") == "application/json"
    assert headers.keys() <= {
        "host", "accept", "accept-encoding", "connection", "content-length",
    }  # fmt: skip


@pytest.mark.parametrize(("endpoint", "path"), [("chat", "chat/completions"), ("completions",) * 2])
def test_what_is_kept_is_what_was_sent(
    api_server: Start, tmp_path: Path, endpoint: str, path: str
) -> None:
    """Fields that the official client does not know and half a character included."""
    server = api_server()
    extra = {"top_k": 3, "chat_template_kwargs": {"enable_thinking": False}, "logprobs": None}
    ask(server.base_url, tmp_path, "头痛 \ud800", endpoint=endpoint, extra_body=extra)
    (kept,) = (json.loads(each.read_text("utf-8")) for each in tmp_path.rglob("cache/**/*.json"))
    (seen,) = server.seen()
    assert seen["body"] == kept["request"]
    assert seen["prompt"] == "头痛 \ud800"
    assert seen["body"]["top_k"] == 3
    assert "logprobs" not in seen["body"]
    assert seen["path"] == f"/v1/{path}"
    assert kept["url"] == f"{server.base_url}/{path}"


def test_each_thread_has_one_connection(api_server: Start, tmp_path: Path) -> None:
    server = api_server(seconds=0.02)
    ask(server.base_url, tmp_path, *(f"句子{n}" for n in range(60)), concurrency=6)
    assert len(server.seen()) == 60
    assert 2 <= len({each["connection"] for each in server.seen()}) <= 6


@pytest.mark.parametrize("scheme", ["http://", "http://someone:password@", ""])
def test_the_proxy_of_the_environment_is_used(
    api_server: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    """The loopback server plays it: a proxy is sent the whole address."""
    server = api_server()
    monkeypatch.setenv("http_proxy", f"{scheme}127.0.0.1:{server.port}")
    ask("http://nowhere.invalid/v1", tmp_path)
    (seen,) = server.seen()
    assert seen["path"] == "http://nowhere.invalid/v1/chat/completions"
    assert ("Proxy-Authorization" in seen["headers"]) is ("password" in scheme)
    monkeypatch.setenv("no_proxy", "127.0.0.1,nowhere.invalid")
    with pytest.raises(RunError, match="no answer or a cut one"):
        ask("http://nowhere.invalid/v1", tmp_path, "头痛", "胃痛", attempts=1)
    assert len(server.seen()) == 1


@pytest.mark.parametrize(
    "proxy", ["ftp://127.0.0.1", "socks5://u:password@127.0.0.1:9", "http://127.0.0.1:port"]
)
def test_a_proxy_that_cannot_be_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("http_proxy", proxy)
    monkeypatch.setitem(sys.modules, "socksio", None)
    with pytest.raises(InputError, match="names a proxy that cannot be used") as raised:
        ask("http://nowhere.invalid/v1", tmp_path)
    assert "password" not in str(raised.value)


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that nobody has signed, and its key."""
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    names = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(names, critical=False)
        .sign(key, hashes.SHA256())
    )
    pem, secret = folder / "certificate.pem", folder / "key.pem"
    pem.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return pem, secret


@pytest.mark.parametrize("variable", ["SSL_CERT_FILE", "REQUESTS_CA_BUNDLE"])
def test_certificates(
    api_server: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, variable: str
) -> None:
    """Those of the environment are trusted; one that nobody trusts ends the run at once."""
    for name in ("SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    pem, secret = certificate(tmp_path)
    server = api_server(certificate=str(pem), certificate_key=str(secret))
    url = f"https://127.0.0.1:{server.port}/v1"
    with pytest.raises(InputError, match=r"CERTIFICATE_VERIFY_FAILED.*or set REQUESTS_CA_BUNDLE"):
        ask(url, tmp_path)
    monkeypatch.setenv(variable, str(pem))
    assert [each.text for each in ask(url, tmp_path)] == ["无"]
    monkeypatch.setenv(variable, str(tmp_path / "nothing.pem"))
    with pytest.raises(InputError, match="no certificates there"):
        ask(url, tmp_path, "头痛", "胃痛")


class Tunnel(BaseRequestHandler):
    """A proxy that is asked to CONNECT; what it was asked is in `asked`."""

    asked: ClassVar[list[str]] = []

    def handle(self) -> None:
        """Pass bytes both ways until one side ends."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            head += self.request.recv(1)
        self.asked.append(head.decode())
        host, port = head.split()[1].split(b":")
        with socket.create_connection((host.decode(), int(port)), 10) as other:
            self.request.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
            pairs = {self.request: other, other: self.request}
            while True:
                for ready in select.select(list(pairs), [], [], 10)[0]:
                    if not (piece := ready.recv(1 << 16)):
                        return
                    pairs[ready].sendall(piece)


def test_https_goes_through_a_proxy_unread(
    api_server: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And what drips in is not waited for there either."""
    pem, secret = certificate(tmp_path)
    server = api_server(certificate=str(pem), certificate_key=str(secret), faults=["drip"], hang=30)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(pem))
    monkeypatch.delenv("NO_PROXY")
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    with ThreadingTCPServer(("127.0.0.1", 0), Tunnel) as tunnel:
        tunnel.daemon_threads = True
        threading.Thread(target=tunnel.serve_forever, daemon=True).start()
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{tunnel.server_address[1]}")
        store = ask(f"https://127.0.0.1:{server.port}/v1", tmp_path, timeout=1.0)
        tunnel.shutdown()
    assert [each.text for each in store] == ["无"]
    assert len(Tunnel.asked) == 2  # the first connection was given up
    assert KEY not in "".join(Tunnel.asked)


def test_no_line_is_logged_for_a_request(
    api_server: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The client's libraries would, at DEBUG with the server's headers; asyncio has one a loop."""
    with caplog.at_level(logging.DEBUG):
        ask(api_server().base_url, tmp_path)
    assert {each.name.split(".")[0] for each in caplog.records} <= {"chmed_ner", "asyncio"}


def test_it_asks_inside_a_running_event_loop(api_server: Start, tmp_path: Path) -> None:
    """A notebook has one."""

    async def cell() -> CompletionStore:
        return ask(server.base_url, tmp_path)

    server = api_server()
    assert [each.text for each in asyncio.run(cell())] == ["无"]


def test_the_client_is_loaded_when_a_question_is_due() -> None:
    program = (
        "import sys\n"
        "from chmed_ner.run.config import option\n"
        "words = dict(base_url='http://127.0.0.1:9/v1', model='tiny')\n"
        "backbone = option('backbone', 'openai_compatible', **words)\n"
        "backbone.generator(stop=[], seed=0)\n"
        "assert not {'openai', 'httpx2', 'requests'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
