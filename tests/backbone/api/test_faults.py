"""A server that fails in every way: nothing is lost, nothing that was answered is asked again."""

import logging
import socket
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.backbone.api.client import Client
from chmed_ner.backbone.completions import CompletionStore, generate
from chmed_ner.errors import InputError, RunError
from chmed_ner.model.asking import Request
from chmed_ner.run.config import option

Start = Callable[..., Any]
KEY = "a1b2c3-loopback-key"
FAULTS = (
    "429", "500", "503", "408", "hang", "cut", "cut_without_length", "not_json", "no_choices",
    "error_inside", "drip", "drip_headers",
)  # fmt: skip


def questions(count: int) -> list[Request]:
    """Prompts that all differ."""
    return [Request(f"s{n:04d}", "test", "FT", f"句子{n}：头痛\n", 40) for n in range(count)]


def ask(
    base_url: str, folder: Path, count: int = 30, cache: bool = True, **settings: Any
) -> CompletionStore:
    """A run's generation against `base_url`; settings are the backbone's."""
    usual = {"timeout": 0.5, "concurrency": 8, "cache": str(folder / "cache") if cache else None}
    backbone = option(
        "backbone", "openai_compatible", name="loopback", base_url=base_url, model="tiny",
        **{**usual, **settings},
    )  # fmt: skip
    backbone.check()
    generator = backbone.generator(stop=["\n\n"], seed=0)
    store = CompletionStore(folder / "completions.jsonl")
    try:
        generate(generator, questions(count), store)
    finally:
        generator.close()
    return CompletionStore(folder / "completions.jsonl")


def good(seen: list[dict[str, Any]]) -> Counter[str]:
    """Prompt -> how often it was answered."""
    return Counter(each["prompt"] for each in seen if not each["fault"])


@pytest.mark.parametrize("first", [0, 12])
def test_every_passing_fault_is_survived(
    api_server: Start,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    first: int,
) -> None:
    """Faults that meet the first question, and faults in the middle."""
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server = api_server(
        seconds=0.02,
        faults=FAULTS,
        fault_from=first,
        hang=1.5,
        retry_after="0.2",
        answer="头痛-症状",
    )
    store = ask(server.base_url, tmp_path)
    seen = server.seen()
    assert {(each.text, each.stop) for each in store} == {("头痛-症状", "end")}
    assert sorted(each.id for each in store) == [each.id for each in questions(30)]
    assert good(seen) == {each.prompt: 1 for each in questions(30)}
    assert Counter(each["fault"] for each in seen if each["fault"]) == Counter(FAULTS)
    assert len(seen) == 30 + len(FAULTS)
    assert "attempt 1 of 8" in caplog.text
    assert KEY not in caplog.text


@pytest.mark.parametrize(
    ("fault", "error", "said"),
    [
        ("400", InputError, "check backbone.model, backbone.endpoint and backbone.extra_body"),
        ("401", InputError, "valid key in the environment variable that backbone.api_key_env"),
        ("402", RunError, "the account has no credit"),
        ("403", InputError, "the key may not use this model"),
        ("404", InputError, "check backbone.base_url"),
        ("422", InputError, "check backbone.extra_body"),
        ("302", InputError, r"points to /elsewhere\?\[key\]; correct backbone.base_url"),
        ("429:insufficient_quota", RunError, "the account has no credit"),
    ],
)
def test_a_final_status_costs_one_request(
    api_server: Start,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    fault: str,
    error: type[Exception],
    said: str,
) -> None:
    """It is named with its cure, and without the key that the server repeats."""
    monkeypatch.setenv("LOOPBACK_KEY", KEY)
    server = api_server(faults=[fault] * 50)
    with pytest.raises(error, match=said) as raised:
        ask(server.base_url, tmp_path, api_key_env="LOOPBACK_KEY")
    assert f"answers {fault[:3]}" in str(raised.value)
    assert KEY not in str(raised.value)
    assert "[key]" in str(raised.value)
    assert [each["key"] for each in server.seen()] == [f"Bearer {KEY}"]


@pytest.mark.parametrize("cache", [True, False])
def test_what_is_under_way_when_a_final_status_comes_is_kept(
    api_server: Start, tmp_path: Path, cache: bool
) -> None:
    server = api_server(seconds=0.2, faults=["401"], fault_from=12, answer="无")
    with pytest.raises(InputError, match="401"):
        ask(server.base_url, tmp_path, cache=cache)
    before = server.seen()
    kept = CompletionStore(tmp_path / "completions.jsonl")
    assert 12 <= len(kept) == len(before) - 1 < 30
    assert len(ask(server.base_url, tmp_path, cache=cache)) == 30
    assert good(server.seen()) == {each.prompt: 1 for each in questions(30)}


def test_attempts_are_counted_and_used_up(api_server: Start, tmp_path: Path) -> None:
    server = api_server(faults=["500"] * 100)
    with pytest.raises(RunError, match=r"500.*\(backbone\.attempts=3\).*resume"):
        ask(server.base_url, tmp_path, attempts=3, concurrency=1)
    assert len(server.seen()) == 3


def test_a_server_that_is_not_there(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with caplog.at_level(logging.WARNING), pytest.raises(RunError, match="ConnectionRefused"):
        ask(f"http://127.0.0.1:{port}/v1", tmp_path, attempts=8)
    assert not [each for each in caplog.records if "attempt" in each.message]


def test_a_pause_that_is_asked_for_is_kept_by_all(api_server: Start, tmp_path: Path) -> None:
    """After a 429 nobody sends anything until its `Retry-After` is over."""
    server = api_server(seconds=0.05, faults=["429"], fault_from=9, retry_after="1")
    ask(server.base_url, tmp_path, count=40)
    times = sorted((each["began"], each["fault"]) for each in server.seen())
    busy = next(began for began, fault in times if fault)
    later = [began for began, _ in times if began > busy + 0.1]  # else it was on its way already
    assert later
    assert min(later) >= busy + 1
    assert len(times) == 41


def test_a_pause_that_is_too_long_ends_the_run(api_server: Start, tmp_path: Path) -> None:
    server = api_server(faults=["503"], retry_after="3600")
    began = time.monotonic()
    with pytest.raises(RunError, match=r"503 .*, Retry-After: 3600 .*resume"):
        ask(server.base_url, tmp_path, concurrency=1)
    assert time.monotonic() - began < 5
    assert len(server.seen()) == 1


@pytest.mark.parametrize("code", ["content_filter", "data_inspection_failed"])
def test_a_filtered_question_is_a_refused_answer(
    api_server: Start, tmp_path: Path, code: str
) -> None:
    server = api_server(faults=[f"400:{code}"], fault_from=3)
    stops = Counter(each.stop for each in ask(server.base_url, tmp_path))
    assert stops == {"end": 29, "refused": 1}
    ask(server.base_url, tmp_path)
    assert len(server.seen()) == 30


@pytest.mark.parametrize("fault", ["hang", "drip", "drip_headers", "drip:401", "drip:500"])
def test_what_drips_in_or_hangs_is_not_waited_for(
    api_server: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture, fault: str
) -> None:
    """Every piece comes in time, the whole does not."""
    server = api_server(faults=[fault], hang=30)
    began = time.monotonic()
    assert len(ask(server.base_url, tmp_path, count=2)) == 2
    assert time.monotonic() - began < 10
    assert [each["fault"] for each in server.seen()].count(fault) == 1
    assert "no whole answer in time (backbone.timeout)" in caplog.text


def test_passwords_of_other_programs_are_not_sent(
    api_server: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The HTTP library would take them from ~/.netrc where no key is given."""
    netrc = tmp_path / "netrc"
    netrc.write_text(f"machine 127.0.0.1 login someone password {KEY}\n", encoding="utf-8")
    monkeypatch.setenv("NETRC", str(netrc))
    server = api_server()
    ask(server.base_url, tmp_path, count=2, api_key_env=None)
    assert [each["key"] for each in server.seen()] == [None, None]


def test_keys_are_taken_out_of_what_servers_say(monkeypatch: pytest.MonkeyPatch) -> None:
    def cleaned(text: str, key: str) -> str:
        monkeypatch.setenv("LOOPBACK_KEY", key)
        endpoint = option(
            "backbone", "openai_compatible", base_url="http://127.0.0.1:9/v1", model="tiny",
            api_key_env="LOOPBACK_KEY",
        )  # fmt: skip
        return Client(endpoint, lambda answer: answer)._cleaned(text)

    assert cleaned("Bearer abc is wrong", "abc") == "Bearer [key] is wrong"
    assert cleaned("Incorrect API key provided: sk-proj-12****7890.", "").endswith(": [key]")
    assert cleaned("头痛", "") == "头痛"
