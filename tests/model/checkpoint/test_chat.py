"""Chat templates: whether and how a prompt is wrapped, and what ends an answer."""

from pathlib import Path
from typing import Any

import pytest

from chmed_ner.backbone import load_tokenizer
from chmed_ner.errors import InputError
from chmed_ner.model import asking
from chmed_ner.model.asking import wrapping


def test_the_template_is_used_where_there_is_one_unless_told_otherwise(
    tiny_chat: Path, tiny_llama: Path
) -> None:
    chat, base = load_tokenizer(tiny_chat), load_tokenizer(tiny_llama)
    assert [wrapping(chat, mode, {}).template for mode in ("auto", "always", "never")] == [
        True,
        True,
        False,
    ]
    assert not wrapping(base, "auto", {}).template
    assert wrapping(chat, "never", {}).prompt_ids("头痛") == base.encode("头痛")
    assert wrapping(chat, "never", {}).end_id() == chat.eos_token_id
    with pytest.raises(InputError, match=r"backbone\.chat=always: .*no chat template"):
        wrapping(base, "always", {})


def test_options_reach_the_template(tiny_chat: Path) -> None:
    tokenizer = load_tokenizer(tiny_chat)
    tokenizer.chat_template = "{% if thinking %}思{% endif %}{{ messages[0].content }}"
    assert wrapping(tokenizer, "auto", {"thinking": True}).prompt_ids("头") == tokenizer.encode(
        "思头"
    )
    assert wrapping(tokenizer, "auto", {"thinking": False}).prompt_ids("头") == tokenizer.encode(
        "头"
    )


@pytest.mark.parametrize(
    ("template", "options"),
    [
        ("{{ messages[0].content }}", {"tokenize": True}),
        ("{{ raise_exception('no such role') }}", {}),
        ("{% if %}", {}),
        ("{{ 1 // 0 }}", {}),
        ("{% for i in range(10 ** 9) %}-{% endfor %}", {}),
        ("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", {}),
        ("{% for i in range(9 ** 5) %}{% for j in range(9 ** 5) %}{% endfor %}{% endfor %}", {}),
        ("{{ 1 | round(10 ** 8, 'ceil') }}", {}),
        ("{{ '-' * 2000000 }}", {}),
    ],
)
def test_a_template_that_cannot_be_filled_or_takes_for_ever_is_named(
    tiny_chat: Path, template: str, options: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "TEMPLATE_SECONDS", 1.0)
    tokenizer = load_tokenizer(tiny_chat)
    tokenizer.chat_template = template
    with pytest.raises(InputError, match=r"backbone\.chat_options=.*backbone\.chat=never"):
        wrapping(tokenizer, "auto", options)
    assert not wrapping(tokenizer, "never", options).template


@pytest.mark.parametrize(
    ("behind_the_answer", "expected"),
    [("</turn>\n", "</turn>"), (" </turn>", "</turn>"), ("\n", "<eos>"), ("", "<eos>")],
)
def test_an_answer_ends_at_the_first_special_token_behind_it(
    tiny_chat: Path, behind_the_answer: str, expected: str
) -> None:
    tokenizer = load_tokenizer(tiny_chat)
    tokenizer.chat_template = (
        "{% for message in messages %}<turn>{{ message.content }}{% endfor %}" + behind_the_answer
    )
    assert wrapping(tokenizer, "auto", {}).end_id() == tokenizer.convert_tokens_to_ids(expected)


def test_a_template_that_drops_answers_ends_at_the_end_of_the_text(tiny_chat: Path) -> None:
    tokenizer = load_tokenizer(tiny_chat)
    tokenizer.chat_template = "<turn>{{ messages[0].content }}</turn>"
    assert wrapping(tokenizer, "auto", {}).end_id() == tokenizer.eos_token_id
