"""`chmed-ner ui`: MLflow's pages over our runs, by its smallest server, opened where runs are."""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from typing import Any

from chmed_ner.errors import InputError, RunError

HOST = "127.0.0.1"
PORT = 5000
SMALL = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONWARNINGS": "ignore"}
"""Jobs are for traces of chat programs; their processes take three times the server's memory."""
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))
"""No proxy stands between this machine and itself."""
AS_RUNS = "?workflowType=machine_learning"
"""Else MLflow may show an experiment as one of chat programs, without runs and charts."""
AS_VIEW = "viewStateShareKe%79"
"""viewStateShareKey, whose value our output would hide as that of a secret key."""


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--port", type=int, default=PORT, help=f"of this machine (default {PORT}), for itself alone"
    )
    parser.add_argument("overrides", nargs="*", help="paths.output=..., tracking.uri=...")


def execute(arguments: argparse.Namespace) -> int:
    """Start the server, print the address once it answers, stay until it is stopped."""
    from chmed_ner.run import build, compose, plain_config
    from chmed_ner.track import Away, MLflowTracking, quiet_mlflow

    content = plain_config(compose(arguments.overrides))
    tracking = build(content["tracking"], "tracking")
    if not isinstance(tracking, MLflowTracking):
        raise InputError("ui: tracking=dry keeps no runs; use tracking=mlflow or server")
    store = tracking.place
    if store.uri.startswith("http"):
        print(f"open {store.shown.rstrip('/')}/#/experiments{AS_RUNS}")
        return 0
    quiet_mlflow()
    try:
        store.check_there()
    except Away as error:
        raise RunError(f"{store.shown}: cannot be read now ({error}); try later") from None
    _check_free(arguments.port)
    base = f"http://{HOST}:{arguments.port}"
    files = ["--artifacts-destination", str(store.artifacts)] if store.artifacts else []
    words = ["--host", HOST, "--port", str(arguments.port), "--workers", "1", *files]
    print(f"the server starts, which takes some seconds: {store.shown}", flush=True)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with subprocess.Popen(
        [sys.executable, "-m", "mlflow", "server", *words, "--uvicorn-opts", "--log-level warning"],
        env={**os.environ, **SMALL, "MLFLOW_BACKEND_STORE_URI": store.uri},
        stdout=subprocess.DEVNULL,
    ) as server:
        try:
            _wait_for(base, server)
            _print_pages(base)
            return server.wait()
        finally:
            server.terminate()


def _check_free(port: int) -> None:
    """InputError where another program has the port."""
    try:
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((HOST, port))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise InputError(f"--port {port}: cannot be used ({reason}); give another one") from None


def _wait_for(base: str, server: "subprocess.Popen[bytes]") -> None:
    """Until the server answers; RunError: it has ended."""
    while server.poll() is None:
        try:
            with DIRECT.open(f"{base}/health", timeout=5):
                return
        except OSError:
            time.sleep(0.2)
    raise RunError(f"the server of MLflow has ended (exit code {server.returncode}); see above")


def _print_pages(base: str) -> None:
    """Print the addresses of the experiment that has the newest run."""
    from chmed_ner.track import VIEW

    known = _asked(base, "experiments", {"max_results": 1000}).get("experiments", [])
    where = {"experiment_ids": [each["experiment_id"] for each in known]}
    newest = {**where, "max_results": 1, "order_by": ["attributes.start_time DESC"]}
    runs = _asked(base, "runs", newest).get("runs", [])
    if runs:
        page = f"{base}/#/experiments/{runs[0]['info']['experiment_id']}/runs{AS_RUNS}"
        print(f"sweeps and runs, the newest first: {page}")
        print(f"scores, the best first: {page}&{AS_VIEW}={VIEW}")
        print(f"charts of the scores: {page}&{AS_VIEW}={VIEW}&compareRunsMode=CHART")
    else:
        print(f"no runs yet: {base}")
    print("Ctrl-C ends it", flush=True)


def _asked(base: str, what: str, question: Any) -> Any:
    request = urllib.request.Request(
        f"{base}/api/2.0/mlflow/{what}/search",
        json.dumps(question).encode(),
        {"Content-Type": "application/json"},
    )
    with DIRECT.open(request, timeout=60) as answer:
        return json.load(answer)
