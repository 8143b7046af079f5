"""A page in headless Chromium, driven over its debugging pipe: real parsing, keys and clicks."""

import base64
import json
import os
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.report.words import speaking


class Browser:
    """One tab of a headless Chromium."""

    def __init__(self, program: str, profile: Path) -> None:
        to_read, self._writing = os.pipe()
        reading, to_write = os.pipe()
        # Chromium reads commands from descriptor 3 and answers on descriptor 4.
        command = f'exec 3<&{to_read} 4>&{to_write}; exec "$@"'
        flags = ("--headless", "--no-sandbox", "--disable-gpu", "--remote-debugging-pipe")
        self._process = subprocess.Popen(
            ["bash", "-c", command, "-", program, *flags, f"--user-data-dir={profile}"],
            pass_fds=(to_read, to_write),
            stderr=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
        )
        os.close(to_read)
        os.close(to_write)
        self._answers = os.fdopen(reading, "rb")
        self._rest = b""
        self._number = 0
        self._session: str | None = None
        self.events: list[dict[str, Any]] = []
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        found = self.call("Target.attachToTarget", targetId=target, flatten=True)
        self._session = found["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.call(f"{domain}.enable")
        self.call("Page.setLifecycleEventsEnabled", enabled=True)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """What a method of the DevTools protocol answers."""
        self._number += 1
        message: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._writing, json.dumps(message).encode() + b"\0")
        while True:
            answer = self._next()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer
                return dict(answer["result"])
            self.events.append(answer)

    def open(self, path: Path) -> None:
        """Load a file and wait until it is drawn: what was never laid out has no `innerText`."""
        self.events.clear()
        loader = self.call("Page.navigate", url=path.as_uri())["loaderId"]
        while not any(_is_load(each, loader) for each in self.events):
            self.events.append(self._next())
        self.run("new Promise(r => requestAnimationFrame(() => requestAnimationFrame(r)))")

    def run(self, expression: str) -> Any:
        """The value of an expression in the page, awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def wait_for(self, condition: str) -> None:
        """Wait until an expression is true in the page, as what it does in answer to a click."""
        _until(lambda: self.run(condition), condition)

    def run_in_frame(self, path: Path, expression: str) -> Any:
        """The value of an expression in the frame that shows a file, once it has loaded."""
        found: list[Any] = []

        def look() -> bool:
            for evaluate in self._frames(path.as_uri()):
                if evaluate("document.readyState") == "complete":
                    found.append(evaluate(expression))
            return bool(found)

        _until(look, f"a frame of {path.name}")
        return found[0]

    def _frames(self, url: str) -> Iterator[Callable[[str], Any]]:
        """Frames of the page at an address: of its process, and of a process of their own."""
        for child in self.call("Page.getFrameTree")["frameTree"].get("childFrames", []):
            if child["frame"]["url"] == url:
                world = self.call("Page.createIsolatedWorld", frameId=child["frame"]["id"])
                number = world["executionContextId"]
                yield lambda expression, number=number: self.call(
                    "Runtime.evaluate", expression=expression, contextId=number
                )["result"].get("value")
        for target in self.call("Target.getTargets")["targetInfos"]:
            if target["type"] == "iframe" and target["url"] == url:
                attached = self.call(
                    "Target.attachToTarget", targetId=target["targetId"], flatten=True
                )
                page, self._session = self._session, attached["sessionId"]
                try:
                    yield self.run
                finally:
                    self._session = page

    def press(self, key: str) -> None:
        """Press and release a key."""
        text = {"text": key} if len(key) == 1 else {}
        codes = {"Enter": 13, "Escape": 27, "Tab": 9}
        code = {"windowsVirtualKeyCode": codes[key]} if key in codes else {}
        if key == "Enter":
            text = {"text": "\r"}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, **text, **code)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, **code)

    def choose(self, control: str, value: str) -> None:
        """Give a filter a value, as a user's choice does."""
        event = "input" if control == "search" else "change"
        self.run(
            f"(e => {{ e.value = {json.dumps(value)}; e.dispatchEvent(new Event('{event}')) }})"
            f"(document.getElementById('{control}'))"
        )

    def ids(self) -> list[str]:
        """The ids of the sentences that are drawn."""
        found = self.run(
            "[...document.querySelectorAll('#sentences code')].map(c => c.textContent)"
        )
        return list(found)

    def mishaps(self) -> list[dict[str, Any]]:
        """What the page threw, what its policy stopped, what it asked the network for."""
        bad = ("Runtime.exceptionThrown", "Log.entryAdded", "Page.javascriptDialogOpening")
        asked = [e for e in self.events if e.get("method") == "Network.requestWillBeSent"]
        fetched = [e for e in asked if not e["params"]["request"]["url"].endswith(".html")]
        return [e for e in self.events if e.get("method") in bad] + fetched

    def picture(self) -> bytes:
        """The window as a PNG."""
        return base64.b64decode(self.call("Page.captureScreenshot")["data"])

    def close(self) -> None:
        """End the browser."""
        os.close(self._writing)
        self._process.terminate()
        self._process.wait()
        self._answers.close()

    def _next(self) -> dict[str, Any]:
        while b"\0" not in self._rest:
            read = os.read(self._answers.fileno(), 1 << 16)
            assert read, "the browser has ended"
            self._rest += read
        message, _, self._rest = self._rest.partition(b"\0")
        return dict(json.loads(message))


def _is_load(event: dict[str, Any], loader: str) -> bool:
    told = event.get("params", {})
    kind = (event.get("method"), told.get("name"), told.get("loaderId"))
    return kind == ("Page.lifecycleEvent", "load", loader)


def _until(condition: Callable[[], Any], meant: str) -> None:
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end, f"waited a minute for {meant}"
        time.sleep(0.02)


@pytest.fixture(autouse=True)
def traditional_chinese() -> Iterator[None]:
    """The language of these tests, but where one chooses another."""
    with speaking("zh-Hant"):
        yield


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    """A browser; tests that need one are skipped without."""
    program = shutil.which("chromium") or shutil.which("google-chrome")
    if program is None:
        pytest.skip("no chromium on the path")
    opened = Browser(program, tmp_path_factory.mktemp("profile"))
    yield opened
    opened.close()
