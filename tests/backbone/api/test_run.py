"""Whole runs against an endpoint, started as a user starts them."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from itertools import accumulate
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.backbone.completions import CompletionStore, generate
from chmed_ner.model.asking import Request
from chmed_ner.run.config import option

Start = Callable[..., Any]
Run = Callable[..., tuple[int, str]]
KEY = "a1b2c3-loopback-key"
COUNT = 100
PROGRAM = """
import pathlib, sys
from chmed_ner.model.asking import Request
from chmed_ner.backbone.completions import generate
from chmed_ner.backbone.completions import CompletionStore
from chmed_ner.run.config import option
cache = sys.argv[3] if len(sys.argv) > 3 else None
words = dict(base_url=sys.argv[1], model="tiny", concurrency=8, cache=cache)
backbone = option("backbone", "openai_compatible", **words)
requests = [Request(f"s{n}", "test", "FT", f"句子{n}", 40) for n in range(100)]
generate(backbone.generator(stop=[], seed=0), requests, CompletionStore(pathlib.Path(sys.argv[2])))
"""


def words(server: Any, output: Path, *more: str) -> list[str]:
    """The words of a zero-shot run on the sample corpus, with prices."""
    return [
        "run", "backbone=openai_compatible", f"backbone.base_url={server.base_url}",
        "backbone.model=tiny", "regime=zero_shot", "backbone.prompt_price=10",
        "backbone.completion_price=10", f"paths.output={output}",
        f"paths.cache={output / 'cache'}", *more,
    ]  # fmt: skip


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Iterator[Run]:
    """A run inside this process, with the key in the environment: exit code, what was said."""
    from chmed_ner.cli import main

    def call(server: Any, output: Path, *more: str) -> tuple[int, str]:
        capsys.readouterr()
        code = main(words(server, output, *more))
        said = "".join(capsys.readouterr())
        assert "Traceback" not in said
        assert KEY not in said
        return code, said

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    handlers, level = list(logging.root.handlers), logging.root.level
    yield call
    logging.root.setLevel(level)
    for handler in [each for each in logging.root.handlers if each not in handlers]:
        logging.root.removeHandler(handler)
        handler.close()


def start(*program: str, cwd: Path) -> subprocess.Popen[str]:
    """A program in a process of its own, which can be killed."""
    return subprocess.Popen(
        [sys.executable, *program], cwd=cwd, env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip


def wait_for(count: int, server: Any, process: "subprocess.Popen[str]") -> None:
    """Until the server has been asked so often."""
    while len(server.seen()) < count:
        assert process.poll() is None
        time.sleep(0.02)


def directory(output: Path) -> Path:
    """The one run."""
    (found,) = (path.parent for path in (output / "runs").glob("*/run.json"))
    return found


def completions(output: Path) -> list[dict[str, Any]]:
    """What the run has been answered so far."""
    text = (directory(output) / "completions.jsonl").read_text(encoding="utf-8")
    return [json.loads(line) for line in text.splitlines()]


def mlflow_run(output: Path) -> Any:
    """The run in the SQLite store, which has it once."""
    from mlflow import MlflowClient

    client = MlflowClient(f"sqlite:///{output / 'mlflow.db'}")
    (found,) = client.search_runs([each.experiment_id for each in client.search_experiments()])
    return found


def price(found: list[dict[str, Any]]) -> float:
    """What completions cost at 10 USD per million tokens."""
    return sum(10e-6 * (each["prompt_tokens"] + each["completion_tokens"]) for each in found)


def assert_each_was_answered_once(server: Any, count: int = COUNT) -> None:
    """Good answers, by prompt."""
    answered = Counter(each["prompt"] for each in server.seen() if not each["fault"])
    assert len(answered) == count
    assert set(answered.values()) == {1}


def test_a_budget_stops_a_run_and_a_larger_one_finishes_it(
    api_server: Start, tmp_path: Path, run: Run
) -> None:
    server = api_server(seconds=0.01)
    code, said = run(server, tmp_path, "backbone.budget_usd=0.05")
    assert code == 3, said
    assert "backbone.budget_usd=0.05" in said
    assert "larger backbone.budget_usd" in said
    kept = completions(tmp_path)
    assert 0 < len(kept) == len(server.seen()) < COUNT
    assert price(kept) <= 0.05
    stopped = mlflow_run(tmp_path)
    assert stopped.info.status == "KILLED"
    assert stopped.data.metrics["cost/usd"] == pytest.approx(price(kept))
    assert json.loads((directory(tmp_path) / "run.json").read_text())["status"] == "KILLED"

    resume = f"resume={directory(tmp_path)}"
    code, said = run(server, tmp_path, "backbone.budget_usd=5", resume)
    assert code == 0, said
    assert_each_was_answered_once(server)
    metrics = json.loads((directory(tmp_path) / "metrics.json").read_text())
    assert metrics["cost/usd"] == pytest.approx(price(completions(tmp_path)))
    finished = mlflow_run(tmp_path)
    assert finished.info.run_id == stopped.info.run_id
    assert finished.info.status == "FINISHED"
    assert finished.data.metrics["cost/usd"] == metrics["cost/usd"]
    assert metrics["time/sentences_per_second"] > 0


def test_an_estimate_asks_nothing_and_is_no_failure(
    api_server: Start, tmp_path: Path, run: Run
) -> None:
    server = api_server()
    code, said = run(server, tmp_path, "backbone.estimate_only=true", "tracking=dry")
    assert code == 0, said
    assert f"{COUNT} requests, about " in said
    assert " USD" in said
    assert server.seen() == []
    assert json.loads((directory(tmp_path) / "run.json").read_text())["status"] == "KILLED"


def test_no_key_is_left_anywhere(api_server: Start, tmp_path: Path, run: Run) -> None:
    """The server repeats the key in its answer; runs, store, cache and output are searched."""
    faults = ["500", "not_json", *["401"] * 500]
    server = api_server(faults=faults, fault_from=20, seconds=0.02)
    code, said = run(server, tmp_path, "hydra.verbose=true", "backbone.concurrency=4")
    assert code == 2, said
    assert "[key]" in said
    assert {each["key"] for each in server.seen()} == {f"Bearer {KEY}"}
    assert len(completions(tmp_path)) >= 18
    assert mlflow_run(tmp_path).info.status == "FAILED"
    found = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {"run.json", "run.log", "mlflow.db", "config.yaml"} <= {path.name for path in found}
    assert "attempt 1 of 8" in (directory(tmp_path) / "run.log").read_text(encoding="utf-8")
    for path in found:
        assert KEY.encode() not in path.read_bytes(), path


def test_interrupted_in_the_middle_and_resumed(api_server: Start, tmp_path: Path, run: Run) -> None:
    """What is under way is waited for: requests in all are as many as sentences."""
    server = api_server(seconds=0.2)
    with start(
        "-m", "chmed_ner", *words(server, tmp_path, "tracking=dry"), cwd=tmp_path
    ) as process:
        wait_for(20, server, process)
        process.send_signal(signal.SIGINT)
        said = process.communicate(timeout=60)[0]
    assert process.returncode == 130, said
    assert "under way and waited for; interrupt again to give them up" in said
    assert "Traceback" not in said
    assert 20 <= len(completions(tmp_path)) == len(server.seen()) < COUNT
    assert json.loads((directory(tmp_path) / "run.json").read_text())["status"] == "KILLED"
    code, said = run(server, tmp_path, "tracking=dry", f"resume={directory(tmp_path)}")
    assert code == 0, said
    assert len(server.seen()) == COUNT
    assert_each_was_answered_once(server)
    metrics = json.loads((directory(tmp_path) / "metrics.json").read_text())
    assert metrics["cost/usd"] == pytest.approx(price(completions(tmp_path)))


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=["interrupt", "terminate"])
def test_either_signal_waits_for_what_is_under_way(
    api_server: Start, tmp_path: Path, number: signal.Signals
) -> None:
    """Without a cache, so that only the run's own file can have kept the answers."""
    server, path = api_server(seconds=0.2), tmp_path / "completions.jsonl"
    with start("-c", PROGRAM, server.base_url, str(path), cwd=tmp_path) as process:
        wait_for(20, server, process)
        process.send_signal(number)
        assert "KeyboardInterrupt" in process.communicate(timeout=60)[0]
    assert 20 <= len(CompletionStore(path)) == len(server.seen()) < COUNT
    with start("-c", PROGRAM, server.base_url, str(path), cwd=tmp_path) as process:
        process.communicate(timeout=60)
    assert process.returncode == 0
    assert len(CompletionStore(path)) == len(server.seen()) == COUNT


def on_disk(path: Path, cache: Path) -> set[str]:
    """The prompts whose answers a killed process has left, in its own file or in the cache."""
    kept = {f"句子{each.id[1:]}" for each in CompletionStore(path)}
    for file in cache.rglob("*.json"):
        body = json.loads(file.read_text(encoding="utf-8"))["request"]
        kept.add(body["messages"][-1]["content"])
    return kept


@pytest.mark.parametrize("cached", [True, False])
@pytest.mark.parametrize("count", [1, 30, 63])
def test_killed_without_notice_only_what_was_under_way_is_asked_again(
    api_server: Start, tmp_path: Path, count: int, cached: bool
) -> None:
    """Nothing whose answer is on disk, and no more questions than were under way."""
    server, path, cache = api_server(seconds=0.2), tmp_path / "completions.jsonl", tmp_path / "c"
    words = ["-c", PROGRAM, server.base_url, str(path), *([str(cache)] if cached else [])]
    with start(*words, cwd=tmp_path) as process:
        wait_for(count, server, process)
        process.kill()
        process.communicate()
    before, kept = [each["prompt"] for each in server.seen()], on_disk(path, cache)
    assert len(before) - 8 <= len(kept) < COUNT
    with start(*words, cwd=tmp_path) as process:
        process.communicate(timeout=60)
    assert process.returncode == 0
    after = [each["prompt"] for each in server.seen()][len(before) :]
    assert not kept & set(after)
    assert sorted(after) == sorted({f"句子{n}" for n in range(COUNT)} - kept)
    assert len(CompletionStore(path)) == COUNT <= len(server.seen()) <= COUNT + 8


def test_a_second_interruption_does_not_wait(api_server: Start, tmp_path: Path) -> None:
    server = api_server(seconds=30)
    with start("-c", PROGRAM, server.base_url, "c.jsonl", cwd=tmp_path) as process:
        wait_for(1, server, process)
        process.send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        process.communicate(timeout=20)
    assert process.returncode == -signal.SIGINT
    assert time.monotonic() - began < 5


def test_an_interruption_does_not_wait_for_the_next_attempt(
    api_server: Start, tmp_path: Path
) -> None:
    """A server that is busy asks for a pause of 90 seconds."""
    server = api_server(faults=["429"] * 100, retry_after="90")
    with start("-c", PROGRAM, server.base_url, "c.jsonl", cwd=tmp_path) as process:
        wait_for(1, server, process)
        time.sleep(0.5)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        assert "KeyboardInterrupt" in process.communicate(timeout=60)[0]
    assert time.monotonic() - began < 10
    assert len(server.seen()) == 1


@pytest.mark.parametrize(("answer", "share"), [("无", 0.0), ("没有医疗实体。", 1.0)])
def test_a_server_that_ignores_the_grammar_is_told_and_counted(
    api_server: Start, tmp_path: Path, run: Run, answer: str, share: float
) -> None:
    server = api_server(answer=answer)
    held = ["decoding=constrained", "backbone.grammar=vllm", "limit.test=4", "tracking=dry"]
    code, said = run(server, tmp_path, *held)
    assert code == 0, said
    assert all("structured_outputs" in each["body"] for each in server.seen())
    assert said.count("does not hold its answers to the grammar") == (1 if share else 0)
    metrics = json.loads((directory(tmp_path) / "metrics.json").read_text())
    assert metrics["parse/off_grammar_rate"] == share
    assert {each.get("off_grammar", False) for each in completions(tmp_path)} == {bool(share)}
    code, said = run(server, tmp_path, *held, "rerun=true")  # the cache remembers
    assert said.count("does not hold its answers to the grammar") == (1 if share else 0)


@pytest.mark.parametrize(("answer", "count"), [("抱歉，我不能回答。", 12), ("", 2)])
def test_answers_that_cannot_be_read_are_told_counted_and_not_kept(
    api_server: Start, tmp_path: Path, run: Run, answer: str, count: int
) -> None:
    server = api_server(answer=answer)
    code, said = run(server, tmp_path, f"limit.test={count}", "tracking=dry")
    assert code == 0, said
    asked = len(server.seen())
    assert f"{min(10, asked)} of the first {min(10, asked)} answers are empty, refused or" in said
    assert f"cannot be read, such as {answer!r}" in said
    assert "100.0% unread" in said
    metrics = json.loads((directory(tmp_path) / "metrics.json").read_text())
    assert metrics["parse/unread_rate"] == 1
    assert not list(tmp_path.rglob("cache/**/*.json"))
    code, said = run(server, tmp_path, f"limit.test={count}", "tracking=dry", "rerun=true")
    assert len(server.seen()) == 2 * asked


def test_a_chat_model_s_empty_lines_and_reasoning_cut_nothing(
    api_server: Start, tmp_path: Path, run: Run
) -> None:
    answer = "<think>\n头痛-疾病\n\n不对。\n</think>\n\n头痛-症状\n\n没有了。"
    code, said = run(api_server(answer=answer), tmp_path, "limit.test=4", "tracking=dry")
    assert code == 0, said
    assert {each["text"] for each in completions(tmp_path)} == {answer}
    predicted = (directory(tmp_path) / "predictions.jsonl").read_text(encoding="utf-8")
    assert '"type":"DISE"' not in predicted.replace(" ", "")
    metrics = json.loads((directory(tmp_path) / "metrics.json").read_text())
    assert metrics["parse/unread_rate"] == metrics["parse/empty_rate"] == 0


def test_predict_keeps_no_text_and_with_keep_answers_pays_for_none_twice(
    api_server: Start, tmp_path: Path, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    """It asks as the run did, so a sentence of the run comes from the cache if that is used."""
    from chmed_ner.cli import main

    server = api_server(answer="头痛-症状")
    code, said = run(server, tmp_path, "tracking=dry", "limit.test=3")
    assert code == 0, said
    asked = len(server.seen())
    path = directory(tmp_path) / "predictions.jsonl"
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    texts = tmp_path / "texts.txt"
    sentences = [each["sentence"] for each in lines]
    texts.write_text("\n".join([*sentences, "我昨天開始頭痛"]), encoding="utf-8")
    words = ["predict", "--trust-endpoint", "--run", str(directory(tmp_path)), str(texts)]
    files = sorted(each for each in tmp_path.rglob("*") if each.is_file())
    assert main(words) == 0
    private = capsys.readouterr().out
    assert len(server.seen()) == asked + len(sentences) + 1
    assert sorted(each for each in tmp_path.rglob("*") if each.is_file()) == files
    asked = len(server.seen())
    assert main([*words, "--keep-answers"]) == 0
    said = capsys.readouterr().out
    assert said == private
    found = [json.loads(line) for line in said.splitlines()]
    assert len(server.seen()) == asked + 1
    assert [each["entities"] for each in found][:-1] == [each["entities"] for each in lines]
    assert [each["mention"] for each in found[-1]["entities"]] == ["頭痛"]


def asked_at_once(api_server: Start, tmp_path: Path, *, seconds: float, count: int) -> Any:
    """What a server saw that answers after so many seconds, asked `count` sentences, 32 at once."""
    server = api_server(seconds=seconds)
    backbone = option(
        "backbone", "openai_compatible", base_url=server.base_url, model="tiny", concurrency=32,
        cache=str(tmp_path / "cache"),
    )  # fmt: skip
    generator = backbone.generator(stop=["\n\n"], seed=0)
    requests = [Request(f"s{n:04d}", "test", "FT", f"句子{n}", 40) for n in range(count)]
    generate(generator, requests, CompletionStore(tmp_path / "completions.jsonl"))
    assert len(server.seen()) == count
    return server.seen()


def test_it_asks_as_many_at_once_as_it_may(api_server: Start, tmp_path: Path) -> None:
    seen = asked_at_once(api_server, tmp_path, seconds=1, count=96)
    began = [each["began"] for each in seen]
    changes = sorted([(at, 1) for at in began] + [(at + 1, -1) for at in began])
    assert max(accumulate(change for _, change in changes)) == 32


@pytest.mark.slow
def test_throughput(api_server: Start, tmp_path: Path) -> None:
    """200 ms an answer: within 1.3 times the ideal, first request to last answer."""
    seen = asked_at_once(api_server, tmp_path, seconds=0.2, count=1000)
    taken = max(each["ended"] for each in seen) - min(each["began"] for each in seen)
    assert taken <= 1.3 * 1000 * 0.2 / 32
