"""A server on loopback that speaks OpenAI's protocol, as a program of its own.

    python api_server.py '{"seconds": 0.2, "faults": ["429", "cut"], ...}'

It prints its port. `faults` is what happens to the first requests, one each (an object: that
status and body); every later one is answered with `answer` after `seconds`. `GET /seen` tells what
it was asked.
"""

import json
import ssl
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

SETTINGS: dict[str, Any] = {
    "seconds": 0.0,
    "faults": [],
    "fault_from": 0,  # the number of the first request that a fault meets
    "answer": "无",
    "retry_after": "1",
    "hang": 3.0,
    "usage": True,
    "finish_reason": "stop",
}
LOCK = threading.Lock()
SEEN: list[dict[str, Any]] = []


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *_: Any) -> None:
        """Nothing is logged."""

    def do_GET(self) -> None:
        """What was asked so far."""
        with LOCK:
            body = json.dumps(SEEN)
        self.say(200, body)

    def do_POST(self) -> None:
        """A question: the next fault, or an answer."""
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        prompt = asked["messages"][-1]["content"] if "messages" in asked else asked["prompt"]
        with LOCK:
            number = len(SEEN) - SETTINGS["fault_from"]
            faults = SETTINGS["faults"]
            fault = faults[number] if 0 <= number < len(faults) else ""
            entry = {
                "prompt": prompt, "fault": fault, "path": self.path, "body": asked,
                "key": self.headers["Authorization"], "began": time.time(), "ended": None,
                "headers": dict(self.headers), "connection": self.client_address[1],
            }  # fmt: skip
            SEEN.append(entry)
        if fault:
            self.fail(fault)
            return
        time.sleep(SETTINGS["seconds"])
        self.say(200, self.answer(prompt))
        entry["ended"] = time.time()

    def answer(self, prompt: str) -> str:
        """The JSON of a good answer; tokens are characters."""
        text, reason = SETTINGS["answer"], SETTINGS["finish_reason"]
        choice: dict[str, Any] = {"index": 0, "finish_reason": reason, "text": text}
        if self.path.endswith("/chat/completions"):
            message = {"role": "assistant", "content": text, "reasoning_content": "想一想"}
            choice = {"index": 0, "finish_reason": reason, "message": message}
        content: dict[str, Any] = {"id": "1", "object": "completion", "choices": [choice]}
        if SETTINGS["usage"]:
            content["usage"] = {"prompt_tokens": len(prompt), "completion_tokens": len(text)}
        return json.dumps(content)

    def fail(self, fault: Any) -> None:
        """What goes wrong; the key is echoed wherever a server might."""
        echo = f"the key is {self.headers['Authorization']}"
        if isinstance(fault, dict):
            self.say(fault["status"], json.dumps(fault["body"]))
        elif fault == "huge":
            self.say(200, json.dumps({"choices": [], "padding": "x" * 17 * 2**20}))
        elif fault == "hang":
            time.sleep(SETTINGS["hang"])
            self.close_connection = True
        elif fault == "cut":
            self.say(200, self.answer("")[:30], length=500)
        elif fault == "cut_without_length":
            self.say(200, self.answer("")[:30], length=None)
        elif fault == "not_json":
            self.say(200, f"<html>{echo}</html>")
        elif fault == "no_choices":
            self.say(200, json.dumps({"choices": [], "note": echo}))
        elif fault == "error_inside":
            self.say(200, json.dumps({"error": {"message": echo, "code": 502}}))
        elif fault.startswith("drip"):
            self.drip(*fault.split(":"))
        else:
            status, _, code = fault.partition(":")
            headers = {}
            if status in ("429", "503"):
                headers["Retry-After"] = SETTINGS["retry_after"]
            if status == "302":
                headers["Location"] = f"/elsewhere?{str(self.headers['Authorization']).split()[-1]}"
            error = {"error": {"message": echo, "code": code or None}}
            self.say(int(status), json.dumps(error), headers=headers)

    def drip(self, what: str, status: str = "200") -> None:
        """A body, or the headers, in pieces that come in slower than anybody waits."""
        self.send_response(int(status))
        self.send_header("Content-Length", "1000")
        if what == "drip_headers":
            self.flush_headers()
        else:
            self.end_headers()
        self.close_connection = True
        for _ in range(int(SETTINGS["hang"] / 0.1)):
            self.wfile.write(b" ")
            time.sleep(0.1)

    def say(
        self,
        status: int,
        body: str,
        length: int | None = -1,
        headers: dict[str, str] | None = None,
    ) -> None:
        """A whole answer, or one cut short: another `length`, or none and a closed connection."""
        data = body.encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if length is None:
            self.send_header("Connection", "close")
        else:
            self.send_header("Content-Length", str(len(data) if length < 0 else length))
        self.end_headers()
        self.wfile.write(data)
        if length is None or length >= 0:
            self.close_connection = True


class Server(ThreadingHTTPServer):
    """Many connections at once, none of which keeps the program from ending."""

    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: Any) -> None:
        """A client that went away is nothing to tell."""


if __name__ == "__main__":
    SETTINGS.update(json.loads(sys.argv[1]))
    with Server(("127.0.0.1", int(SETTINGS.get("port", 0))), Handler) as server:
        if "certificate" in SETTINGS:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(SETTINGS["certificate"], SETTINGS["certificate_key"])
            server.socket = context.wrap_socket(server.socket, server_side=True)
        print(server.server_address[1], flush=True)
        server.serve_forever()
