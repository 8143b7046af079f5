"""The same sentences through an endpoint and locally: float32, one at a time, the same answers."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from socket import create_connection, socket
from typing import Any

import pytest

from chmed_ner.backbone.completions import CompletionStore, generate
from chmed_ner.model.asking import Request
from chmed_ner.run.config import option

PROGRAM = Path(__file__).with_name("model_server.py")
STOP = ("\n\n", "。")
ENDPOINTS = ("chat", "completions")
Answers = dict[str, tuple[str, str, int]]


@contextmanager
def running(*program: str) -> Iterator["subprocess.Popen[str]"]:
    """A program for the length of a block."""
    offline = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "NO_PROXY": "127.0.0.1"}
    with subprocess.Popen(
        [sys.executable, *program], stdout=subprocess.PIPE, text=True, env={**os.environ, **offline}
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def requests(sentences: list[str]) -> list[Request]:
    """The question about each sentence."""
    prompts = [f"句子：{sentence}\n医疗实体：\n" for sentence in sentences]
    return [Request(f"s{n:03d}", "test", "FT", each, 24) for n, each in enumerate(prompts)]


def asked(backbone: Any, sentences: list[str], path: Path) -> Answers:
    """Text, stop and prompt tokens of every sentence."""
    generator = backbone.generator(stop=STOP, seed=13)
    try:
        done = generate(generator, requests(sentences), CompletionStore(path))
    finally:
        generator.close()
    return {id_: (each.text, each.stop, each.prompt_tokens) for id_, each in done.items()}


def locally(model: Path, sentences: list[str], path: Path, endpoint: str) -> Answers:
    """The answers of the model in this process, with its chat template or without."""
    chat = {"chat": "always", "completions": "never"}[endpoint]
    backbone = option(
        "backbone", "causal_lm", path=str(model), dtype="float32", device="cpu", batch_size=1,
        chat=chat,
    )  # fmt: skip
    return asked(backbone, sentences, path)


def test_an_endpoint_and_the_model_in_it_answer_alike(
    tiny_chat: Path, sample_sentences: list[str], tmp_path: Path
) -> None:
    sentences = sample_sentences[:8]
    with running(str(PROGRAM), str(tiny_chat)) as server:
        assert server.stdout is not None
        url = f"http://127.0.0.1:{int(server.stdout.readline())}/v1"
        for endpoint in ENDPOINTS:
            backbone = option(
                "backbone", "openai_compatible", base_url=url, model="tiny", endpoint=endpoint,
                concurrency=4, cache=None,
            )  # fmt: skip
            remote = asked(backbone, sentences, tmp_path / f"remote_{endpoint}.jsonl")
            path = tmp_path / f"local_{endpoint}.jsonl"
            assert remote == locally(tiny_chat, sentences, path, endpoint)
            assert len({text for text, _, _ in remote.values()}) > 4


def wait_for(port: int) -> None:
    """Until a server takes connections: a run ends where there is none."""
    end = time.monotonic() + 120
    while time.monotonic() < end:
        with suppress(OSError), create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.5)
    raise AssertionError(f"nobody listens on port {port}")


@pytest.mark.slow
def test_transformers_serve_and_the_model_in_it_answer_alike(
    tiny_chat: Path, sample_sentences: list[str], tmp_path: Path
) -> None:
    sentences = sample_sentences[:12]
    with socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with running(
        "-m", "transformers.cli.transformers", "serve", str(tiny_chat), "--port", str(port),
        "--host", "127.0.0.1", "--device", "cpu", "--dtype", "float32",
    ):  # fmt: skip
        wait_for(port)
        for endpoint in ENDPOINTS:
            backbone = option(
                "backbone", "openai_compatible", base_url=f"http://127.0.0.1:{port}/v1",
                model=str(tiny_chat), endpoint=endpoint, concurrency=4, attempts=60, cache=None,
            )  # fmt: skip
            remote = asked(backbone, sentences, tmp_path / f"remote_{endpoint}.jsonl")
            path = tmp_path / f"local_{endpoint}.jsonl"
            assert remote == locally(tiny_chat, sentences, path, endpoint)
