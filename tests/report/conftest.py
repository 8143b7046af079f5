"""A page in headless Chromium, driven over its debugging pipe: real parsing, keys and clicks."""

import base64
import json
import os
import shutil
import subprocess
from collections.abc import Iterator
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
        """Load a file and wait for it."""
        self.events.clear()
        self.call("Page.navigate", url=path.as_uri())
        while not any(each.get("method") == "Page.loadEventFired" for each in self.events):
            self.events.append(self._next())

    def run(self, expression: str) -> Any:
        """The value of an expression in the page, awaited."""
        answer = self.call(
            "Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True
        )
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def run_in_frame(self, expression: str) -> Any:
        """The value of an expression in the only frame of the page, in a world of our own."""
        frames = self.call("Page.getFrameTree")["frameTree"].get("childFrames", [])
        if frames:
            frame = frames[0]["frame"]["id"]
            world = self.call("Page.createIsolatedWorld", frameId=frame)["executionContextId"]
            found = self.call("Runtime.evaluate", expression=expression, contextId=world)
            return found["result"].get("value")
        (target,) = [
            each
            for each in self.call("Target.getTargets")["targetInfos"]
            if each["type"] == "iframe"
        ]
        attached = self.call("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        page, self._session = self._session, attached["sessionId"]
        try:
            return self.run(expression)
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
