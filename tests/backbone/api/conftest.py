"""Endpoints on loopback."""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

PROGRAM = Path(__file__).with_name("api_server.py")


@dataclass(frozen=True)
class ApiServer:
    """A running `api_server.py`."""

    port: int
    process: "subprocess.Popen[str]"

    @property
    def base_url(self) -> str:
        """What a user configures."""
        return f"http://127.0.0.1:{self.port}/v1"

    def seen(self) -> list[dict[str, Any]]:
        """Every request so far."""
        import requests

        seen: list[dict[str, Any]] = requests.get(
            f"http://127.0.0.1:{self.port}/seen", timeout=10
        ).json()
        return seen

    def stop(self) -> None:
        """No more answers; a connection is refused."""
        self.process.kill()
        self.process.wait()


@pytest.fixture
def api_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ApiServer]]:
    """Starts servers in processes of their own: `api_server(seconds=0.2, faults=["429"])`."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    running: list[ApiServer] = []

    def start(**settings: Any) -> ApiServer:
        process = subprocess.Popen(
            [sys.executable, str(PROGRAM), json.dumps(settings)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        server = ApiServer(int(process.stdout.readline()), process)
        running.append(server)
        return server

    yield start
    for server in running:
        server.stop()
        assert server.process.stdout is not None
        server.process.stdout.close()
