"""Settings that cannot work are refused before anything is asked, and keys are never shown."""

from typing import Any

import pytest

from chmed_ner.errors import InputError
from chmed_ner.run.config import build, compose, option

SETTINGS = {"name": "loopback", "base_url": "http://127.0.0.1:8000/v1/", "model": "tiny"}
KEY = "sk-a1b2c3-loopback"


def endpoint(**knobs: Any) -> Any:
    """An endpoint with these settings."""
    return option("backbone", "openai_compatible", **{**SETTINGS, **knobs})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"base_url": "127.0.0.1:8000"},
            r"backbone\.base_url=127\.0\.0\.1:8000: not a web address",
        ),
        ({"base_url": "http://[::1/v1"}, "not a web address"),
        ({"base_url": "http://h:99999/v1"}, "not a web address"),
        ({"base_url": "ftp://h/v1"}, "not a web address"),
        ({"endpoint": "responses"}, r"backbone\.endpoint=responses: give one of chat, compl"),
        ({"endpoint": "completions", "system": "你是医生"}, r"backbone\.system: .*endpoint=chat"),
        ({"extra_body": {"stream": True}}, r"backbone\.extra_body\.stream"),
        ({"extra_body": {"max_tokens": 9}}, r"backbone\.extra_body\.max_tokens: not to be changed"),
        ({"max_tokens_field": "most", "extra_body": {"most": 9}}, r"backbone\.extra_body\.most"),
        ({"concurrency": 0}, r"backbone\.concurrency=0: give 1 or more"),
        ({"attempts": 0}, r"backbone\.attempts=0"),
        ({"timeout": 0.0}, r"backbone\.timeout=0\.0"),
        ({"timeout": float("nan")}, r"backbone\.timeout=nan"),
        ({"pause": 1.0}, r"backbone: .*pause"),
        ({"temperature": -0.1}, r"backbone\.temperature=-0\.1"),
        ({"budget_usd": 1.0}, r"backbone\.budget_usd=1\.0: .*backbone\.prompt_price"),
        ({"budget_usd": -1.0, "prompt_price": 1.0, "completion_price": 1.0}, r"budget_usd=-1\.0"),
        ({"api_key_env": None, "api_key_required": True}, r"backbone\.api_key_env=null"),
    ],
)
def test_bad_settings(change: dict[str, Any], said: str) -> None:
    with pytest.raises(InputError, match=said):
        endpoint(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"api_key_env": KEY},
        {"base_url": f"http://user:{KEY}@127.0.0.1:8000/v1"},
        {"base_url": f"http://{KEY}@127.0.0.1:8000/v1"},
        {"base_url": f"http://127.0.0.1:8000/v1?api-key={KEY}"},
        {"base_url": f"http://127.0.0.1:8000/v1#{KEY}"},
    ],
)
def test_a_key_in_the_configuration_is_refused_and_not_shown(change: dict[str, str]) -> None:
    with pytest.raises(InputError, match="api_key_env") as raised:
        endpoint(**change)
    assert KEY not in str(raised.value)


def test_a_key_that_is_needed_and_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    backbone = build(compose(["backbone=chatgpt_3_5"]).backbone, "backbone")
    with pytest.raises(InputError, match="no key; put it into the environment variable OPENAI_API"):
        backbone.check()
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    backbone.check()


@pytest.mark.parametrize("key", [f"{KEY}\nX-Header: 1", f"{KEY}钥"])
def test_a_key_that_cannot_be_sent(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with pytest.raises(InputError, match="OPENAI_API_KEY: holds characters that no key") as raised:
        endpoint().check()
    assert KEY not in str(raised.value)


def test_no_key_is_in_what_is_built(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", f" {KEY}\n")
    backbone = endpoint()
    assert KEY not in repr(vars(backbone))
    assert backbone.key() == KEY
    generator = backbone.generator(stop=[], seed=0)
    assert KEY not in repr({**vars(generator), **vars(generator.wording)})


def test_it_is_known_by_its_address_model_and_revision() -> None:
    backbones = [
        endpoint(**change)
        for change in (
            {}, {"model": "other"}, {"revision": "v2"}, {"base_url": "http://127.0.0.1:8001/v1"},
        )
    ]  # fmt: skip
    assert backbones[0].checksum() == "http://127.0.0.1:8000/v1 tiny@main"
    assert len({each.checksum() for each in backbones}) == 4


def test_an_estimate_needs_no_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    words = ["backbone=chatgpt_3_5", "regime=zero_shot"]
    with pytest.raises(InputError, match="OPENAI_API_KEY"):
        build(compose(words).backbone, "backbone").check()
    build(compose([*words, "backbone.estimate_only=true"]).backbone, "backbone").check()


def test_an_endpoint_cannot_be_tuned() -> None:
    with pytest.raises(InputError, match=r"use regime=zero_shot"):
        endpoint().tunable()


def test_the_paper_s_row_is_a_configuration() -> None:
    config = compose(["backbone=chatgpt_3_5"]).backbone
    assert config.model.startswith("gpt-3.5-turbo")
    assert config.base_url == "https://api.openai.com/v1"
    assert (config.prompt_price, config.completion_price) == (0.5, 1.5)
    assert config.budget_usd >= 3.45
    assert config.temperature == 0
    assert config.api_key_required
