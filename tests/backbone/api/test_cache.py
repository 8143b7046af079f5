"""Answers that were paid for are kept, found again, and counted once."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.backbone.api.cost import AnswerCache, request_key
from chmed_ner.backbone.completions import CompletionStore, generate
from chmed_ner.model.asking import Reply, Request
from chmed_ner.run.config import option

Start = Callable[..., Any]
KEY = "a1b2c3-loopback-key"


def questions(*prompts: str) -> list[Request]:
    """A question a prompt."""
    return [Request(f"s{n}", "test", "FT", prompt, 10) for n, prompt in enumerate(prompts)]


def ask(
    server: Any, folder: Path, prompts: list[str], run: str = "run", **settings: Any
) -> tuple[Any, CompletionStore]:
    """The generation of a run, which has a store of its own and shares the cache."""
    usual = {
        "base_url": server.base_url, "model": "tiny", "prompt_price": 1.0, "completion_price": 1.0,
        "cache": str(folder / "cache"),
    }  # fmt: skip
    backbone = option("backbone", "openai_compatible", **{**usual, **settings})
    store = CompletionStore(folder / f"{run}.jsonl")
    generate(backbone.generator(stop=["\n\n"], seed=0), questions(*prompts), store)
    return backbone, store


def files(folder: Path) -> list[Path]:
    """What the cache holds."""
    return sorted(path for path in (folder / "cache").rglob("*") if path.is_file())


def test_another_run_finds_the_answers(
    api_server: Start, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    server, prompts = api_server(answer="头痛-症状"), [f"句子{n}" for n in range(300)]
    backbone, first = ask(server, tmp_path, prompts)
    _, second = ask(server, tmp_path, prompts, run="second")
    assert len(server.seen()) == 300
    assert [each.text for each in second] == ["头痛-症状"] * 300
    assert all(each.seconds > 0 for each in first)
    assert all(each.seconds == 0 for each in second)
    assert backbone.usd(first) > 0 == backbone.usd(second)
    assert len(files(tmp_path)) == 300
    assert not [path for path in files(tmp_path) if "unrecorded" in path.name]
    assert KEY not in "".join(path.read_text(encoding="utf-8") for path in files(tmp_path))


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"}, {"temperature": 0.5}, {"seed": 14}, {"system": "你是医生"},
        {"extra_body": {"top_p": 1}}, {"endpoint": "completions"}, {"revision": "v2"},
        {"max_tokens_field": "max_completion_tokens"}, {"cache": None},
    ],
    ids=lambda change: next(iter(change)),
)  # fmt: skip
def test_whatever_decides_the_answer_is_part_of_the_question(
    api_server: Start, tmp_path: Path, change: dict[str, Any]
) -> None:
    server = api_server()
    ask(server, tmp_path, ["头痛", "胃痛"])
    ask(server, tmp_path, ["头痛", "胃痛"], run="second", **change)
    assert len(server.seen()) == 4


def test_what_does_not_decide_it_is_no_part(api_server: Start, tmp_path: Path) -> None:
    server = api_server()
    ask(server, tmp_path, ["头痛", "胃痛"])
    ask(
        server, tmp_path, ["胃痛", "头痛"], run="second", concurrency=1, timeout=9.0, attempts=1,
        completion_price=2.0, budget_usd=1.0, api_key_env=None,
    )  # fmt: skip
    assert len(server.seen()) == 2


def test_sentences_that_ask_the_same_share_an_answer(api_server: Start, tmp_path: Path) -> None:
    server = api_server(seconds=0.05)
    _, store = ask(server, tmp_path, ["头痛", "胃痛", "头痛", "头痛"])
    assert len(server.seen()) == 2
    assert len(store) == 4
    assert sorted(each.seconds > 0 for each in store) == [False, False, True, True]


def test_without_a_cache_every_sentence_asks(api_server: Start, tmp_path: Path) -> None:
    server = api_server()
    ask(server, tmp_path, ["头痛", "胃痛", "头痛"], cache=None)
    assert len(server.seen()) == 3
    assert files(tmp_path) == []


@pytest.mark.parametrize("content", ["", "{", "[]", '{"reply": {"text": "无"}}'])
def test_a_broken_file_is_reported_and_asked_anew(
    api_server: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture, content: str
) -> None:
    server = api_server()
    ask(server, tmp_path, ["头痛"])
    (broken,) = files(tmp_path)
    broken.write_text(content, encoding="utf-8")
    _, store = ask(server, tmp_path, ["头痛"], run="second")
    assert f"{broken}: not an answer" in caplog.text
    assert [each.text for each in store] == ["无"]
    assert len(server.seen()) == 2
    ask(server, tmp_path, ["头痛"], run="third")
    assert len(server.seen()) == 2


def test_an_answer_that_no_run_recorded_is_paid_for_by_the_run_that_finds_it(
    api_server: Start, tmp_path: Path
) -> None:
    """A process was killed between the answer and the line in completions.jsonl."""
    server = api_server()
    backbone, first = ask(server, tmp_path, ["头痛"])
    (path,) = files(tmp_path)
    path.rename(path.with_name(f"{path.stem}.unrecorded.json"))
    _, second = ask(server, tmp_path, ["头痛"], run="second")
    _, third = ask(server, tmp_path, ["头痛"], run="third")
    assert len(server.seen()) == 1
    assert backbone.usd(first) == backbone.usd(second) > 0 == backbone.usd(third)


def test_a_kept_answer_says_what_it_answers(tmp_path: Path) -> None:
    cache, body = AnswerCache(tmp_path), {"prompt": "头痛 \ud800", "seed": 13}
    key = request_key("http://127.0.0.1/v1/completions", body, None)
    assert cache.get(key) is None
    cache.put(key, "http://127.0.0.1/v1/completions", body, Reply("无 \ud800", "end", 4, 1), 0.25)
    (path,) = tmp_path.rglob("*.json")
    content = json.loads(path.read_text(encoding="utf-8"))
    assert content["request"] == body
    assert content["url"] == "http://127.0.0.1/v1/completions"
    kept = cache.get(key)
    assert kept is not None
    assert (kept.reply, kept.seconds) == (Reply("无 \ud800", "end", 4, 1), 0.25)
    cache.record(key)
    cache.record(key)
    kept = cache.get(key)
    assert kept is not None
    assert kept.seconds == 0


def test_everything_in_the_cache_is_for_its_owner_alone(tmp_path: Path) -> None:
    cache, keys = AnswerCache(tmp_path), ["ab1", "ab2", "cd3"]
    for key in keys:
        assert cache.claims.take(key)
        cache.add_useless(key, (1, 1))
    cache.put(keys[0], "url", {}, Reply("a", "end", 1, 1), 1.0)
    cache.put(keys[1], "url", {}, Reply("a", "end", 1, 1), 1.0)
    cache.record(keys[1])
    found = [tmp_path / "api", *(tmp_path / "api").rglob("*")]
    assert {path.suffixes[-1] for path in found if path.is_file()} == {
        ".json",
        ".useless",
        ".claim",
    }
    assert len([path for path in found if path.is_file()]) == 5
    for path in found:
        assert path.stat().st_mode & 0o777 == (0o700 if path.is_dir() else 0o600), path
