"""Several processes over the same questions, and answers that are paid for in vain."""

import os
import subprocess
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.backbone.completions import CompletionStore, generate
from chmed_ner.errors import BudgetError, InputError, RunError
from chmed_ner.model.asking import Request
from chmed_ner.run.config import option

Start = Callable[..., Any]
COUNT = 100
CONCURRENCY = 8
PROGRAM = f"""
import pathlib, sys
from chmed_ner.backbone.completions import CompletionStore, generate
from chmed_ner.model.asking import Request
from chmed_ner.run.config import option
words = dict(base_url=sys.argv[1], model="tiny", concurrency={CONCURRENCY}, cache="cache")
backbone = option("backbone", "openai_compatible", **words)
requests = [Request(f"s{{n}}", "test", "FT", f"句子{{n}}", 40) for n in range({COUNT})]
generate(backbone.generator(stop=[], seed=0), requests, CompletionStore(pathlib.Path(sys.argv[2])))
"""
USAGE = {"prompt_tokens": 300, "completion_tokens": 700}
USELESS = {"status": 200, "body": {"choices": [], "usage": USAGE}}
Process = subprocess.Popen[str]


def start(server: Any, folder: Path, name: str) -> Process:
    """A process that asks all questions, with a file of its own and the cache of all."""
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM, server.base_url, name], cwd=folder, text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"}, stderr=subprocess.PIPE,
    )  # fmt: skip


def asked(server: Any) -> Counter[str]:
    """Prompt -> how often the server was asked."""
    return Counter(each["prompt"] for each in server.seen())


@pytest.mark.parametrize("count", [2, pytest.param(4, marks=pytest.mark.slow)])
def test_processes_that_share_questions_ask_each_once(
    api_server: Start, tmp_path: Path, count: int
) -> None:
    server = api_server(seconds=0.1)
    processes = [start(server, tmp_path, f"{n}.jsonl") for n in range(count)]
    said = [process.communicate(timeout=120)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * count, said
    assert asked(server) == {f"句子{n}": 1 for n in range(COUNT)}
    stores = [CompletionStore(tmp_path / f"{n}.jsonl") for n in range(count)]
    assert [len(store) for store in stores] == [COUNT] * count
    paid = Counter(each.id for store in stores for each in store if each.seconds)
    assert paid == {f"s{n}": 1 for n in range(COUNT)}
    assert not list((tmp_path / "cache").rglob("*.claim"))


def test_what_a_killed_process_was_asking_the_other_one_asks(
    api_server: Start, tmp_path: Path
) -> None:
    server = api_server(seconds=0.2)
    killed, other = (start(server, tmp_path, f"{n}.jsonl") for n in range(2))
    while len(server.seen()) < 40:
        assert killed.poll() is None
    killed.kill()
    killed.communicate()
    assert other.communicate(timeout=120)[1] is not None
    assert other.returncode == 0
    assert len(CompletionStore(tmp_path / "1.jsonl")) == COUNT
    assert set(asked(server)) == {f"句子{n}" for n in range(COUNT)}
    assert COUNT <= len(server.seen()) <= COUNT + CONCURRENCY


def ask(server: Any, folder: Path, count: int = 6, **settings: Any) -> tuple[Any, CompletionStore]:
    """The backbone and the store of a run, also of one that was stopped."""
    usual = {"cache": str(folder / "cache"), "concurrency": 1, "attempts": 3}
    backbone = option(
        "backbone", "openai_compatible", name="loopback", base_url=server.base_url, model="tiny",
        prompt_price=1000.0, completion_price=1000.0, **{**usual, **settings},
    )  # fmt: skip
    store = CompletionStore(folder / "completions.jsonl")
    requests = [Request(f"s{n}", "test", "FT", f"句子{n:04d}", 10) for n in range(count)]
    generate(backbone.generator(stop=[], seed=0), requests, store)
    return backbone, store


@pytest.mark.parametrize("cache", [True, False])
def test_useless_answers_are_booked(api_server: Start, tmp_path: Path, cache: bool) -> None:
    """An answer costs 6 + 4 tokens, a useless one 1,000: 1 USD."""
    server = api_server(faults=[USELESS, USELESS], fault_from=2, answer="头痛症状")
    settings = {} if cache else {"cache": None}
    backbone, store = ask(server, tmp_path, **settings)
    assert backbone.usd(store) == pytest.approx(6 * 0.01 + 2)
    assert len(server.seen()) == 8


def test_useless_answers_use_the_budget_up(api_server: Start, tmp_path: Path) -> None:
    server = api_server(faults=[USELESS] * 5, fault_from=1, answer="头痛症状")
    with pytest.raises(BudgetError, match=r"budget_usd=1\.5: 2\.01.* USD are spent.*5 are left"):
        ask(server, tmp_path, budget_usd=1.5)
    assert len(server.seen()) == 3
    with pytest.raises(BudgetError, match=r"2\.01.* USD are spent"):  # the next run knows
        ask(server, tmp_path, budget_usd=1.5)
    assert len(server.seen()) == 3
    backbone, store = ask(server, tmp_path, budget_usd=9.0, attempts=9)
    assert backbone.usd(store) == pytest.approx(6 * 0.01 + 5)
    assert not list((tmp_path / "cache").rglob("*.useless"))


def test_answers_that_cost_more_than_their_caps_are_expected_again(
    api_server: Start, tmp_path: Path
) -> None:
    """At most 52 tokens are set aside for an answer; each costs 1,000, 1 USD."""
    choice = {"message": {"content": "无"}, "finish_reason": "stop"}
    dear = {"status": 200, "body": {"choices": [choice], "usage": USAGE}}
    server = api_server(faults=[dear] * 20, seconds=0.05)
    with pytest.raises(BudgetError, match=r"budget_usd=5\.5: 5\.0.* USD are spent"):
        ask(server, tmp_path, count=20, budget_usd=5.5, concurrency=4)
    assert len(server.seen()) == 5


def test_what_failed_attempts_cost_is_paid_by_the_run_that_goes_on(
    api_server: Start, tmp_path: Path
) -> None:
    server = api_server(faults=[USELESS] * 3, fault_from=1, answer="头痛症状")
    with pytest.raises(RunError, match="no choices in it"):
        ask(server, tmp_path)
    backbone, store = ask(server, tmp_path)
    assert backbone.usd(store) == pytest.approx(6 * 0.01 + 3)
    _, store = ask(server, tmp_path)
    assert len(server.seen()) == 4 + 5


@pytest.mark.parametrize(
    ("usage", "tokens"),
    [
        ({"prompt_tokens": 7}, (7, 10)),
        ({"completion_tokens": 3}, (10 + 32, 3)),
        ({"prompt_tokens": 7, "completion_tokens": None}, (7, 10)),
        ({"prompt_tokens": 10**400, "completion_tokens": -3}, (10 + 32, 10)),
        ({"prompt_tokens": "7", "completion_tokens": True}, (10 + 32, 10)),
    ],
)
def test_half_a_usage_is_not_free(
    api_server: Start, tmp_path: Path, usage: dict[str, Any], tokens: tuple[int, int]
) -> None:
    """What is unknown counts as the most it can be."""
    choice = {"message": {"content": "无"}, "finish_reason": "stop"}
    server = api_server(faults=[{"status": 200, "body": {"choices": [choice], "usage": usage}}])
    _, store = ask(server, tmp_path, count=1)
    assert [(each.prompt_tokens, each.completion_tokens) for each in store] == [tokens]


def test_a_cache_that_cannot_be_written_is_noticed_first(api_server: Start, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file", encoding="utf-8")
    server = api_server()
    with pytest.raises(InputError, match=r"backbone\.cache: nothing can be written to"):
        ask(server, tmp_path)
    assert server.seen() == []


def test_an_answer_that_cannot_be_kept_is_used(
    api_server: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The folder of each answer is a file: the cache itself can be written."""
    (tmp_path / "cache" / "api").mkdir(parents=True)
    for number in range(256):
        (tmp_path / "cache" / "api" / f"{number:02x}").touch()
    server = api_server(answer="头痛症状")
    _, store = ask(server, tmp_path, count=3)
    assert [each.text for each in store] == ["头痛症状"] * 3
    assert "cannot be written" in caplog.text
    assert len(server.seen()) == 3


def test_no_answer_is_larger_than_the_cap(
    api_server: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, store = ask(api_server(faults=["huge"]), tmp_path, count=1)
    assert [each.text for each in store] == ["无"]
    assert f"an answer of more than {16 * 2**20} bytes" in caplog.text
