"""llama.cpp's server, alone in its process: `python bench_llamacpp_side.py JOB.json RESULT.json`.

The server is the one in the package xllamacpp, asked over loopback HTTP by as many clients as keep
all slots busy. Nothing of torch is loaded.
"""

import http.client
import json
import os
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from chmed_ner.machine import peak_mib

GREEDY = {"temperature": 0.0, "samplers": ["temperature"], "cache_prompt": True}
"""Every question says this: no other sampler is run over the vocabulary, no penalty applies."""

CELLS = 256
"""A slot's context is a multiple of so many tokens."""


def started(job: Mapping[str, Any]) -> Any:
    """The server with the job's file and setting; returns when the model is loaded."""
    setting = job["setting"]
    if not setting["threads_awake"]:  # as a server that a person starts; read when it is loaded
        os.environ.pop("GOMP_SPINCOUNT", None)
    import xllamacpp

    told = xllamacpp.CommonParams()
    told.model.path = job["file"]
    told.n_parallel = setting["slots"]
    told.n_ctx = setting["slots"] * -(-job["context"] // CELLS) * CELLS
    told.cpuparams.n_threads = told.cpuparams_batch.n_threads = setting["threads"]
    told.n_batch, told.n_ubatch = setting["batch"], min(setting["batch"], setting["ubatch"])
    flash = f"LLAMA_FLASH_ATTN_TYPE_{setting['flash_attention'].upper()}"
    told.flash_attn_type = getattr(xllamacpp.llama_flash_attn_type, flash)
    told.kv_unified = setting["unified_cache"]
    guess = f"COMMON_SPECULATIVE_TYPE_{setting['guesses'].upper()}"
    told.speculative.types = [getattr(xllamacpp.common_speculative_type, guess)]
    told.cont_batching = told.cache_prompt = True
    told.n_threads_http = setting["slots"] + 4  # a thread waits for each answer
    told.fit_params = False  # no memory of a GPU to fit into
    told.verbosity = 1
    return xllamacpp.Server(told)


class Clients:
    """Ask the server at `address`, two questions more at a time than it has slots."""

    def __init__(self, address: str, slots: int) -> None:
        self.place = urlsplit(address).netloc
        self.count = slots + 2
        self.own = threading.local()

    def answers(self, asked: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The answers to all questions, in their order."""
        with ThreadPoolExecutor(self.count) as pool:
            return list(pool.map(self._answer, asked))

    def _answer(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        if not hasattr(self.own, "connection"):
            self.own.connection = http.client.HTTPConnection(self.place, timeout=600)
        body = {"prompt": asked["prompt"], "n_predict": asked["most"], "stop": asked["stop"]}
        content = json.dumps({**body, **GREEDY}).encode()
        kind = {"Content-Type": "application/json"}
        self.own.connection.request("POST", "/completion", content, kind)
        response = self.own.connection.getresponse()
        said = response.read()
        if response.status != 200:
            raise RuntimeError(f"the server answers {response.status}: {said[:500]!r}")
        found = json.loads(said)
        return {
            "text": found["content"],
            "stop": "length" if found["stop_type"] == "limit" else "end",
            "prompt_tokens": found["tokens_evaluated"],
            "completion_tokens": found["tokens_predicted"],
        }


def main() -> None:
    """Do the job and write its result."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    server = started(job)
    import xllamacpp

    clients = Clients(server.listening_address, job["setting"]["slots"])
    clients.answers(job["warm_up"])
    began = time.perf_counter()
    answers = clients.answers(job["asked"])
    seconds = time.perf_counter() - began
    found = {
        "seconds": seconds,
        "answers": answers,
        "peak_mib": peak_mib(),
        "version": xllamacpp.__version__,
        "built_with": xllamacpp.get_system_info().strip(" |"),
    }
    Path(sys.argv[2]).write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
