"""What is sent to an endpoint, and what its answers mean."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from chmed_ner.backbone.api.messages import Wording
from chmed_ner.model.asking import Request, cut_at_stop
from chmed_ner.run.config import option

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["choices", "message", "content", "text", "usage", "finish_reason", "error", "type"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


def wording(*stop: str, **knobs: Any) -> Wording:
    """The wording of an endpoint with these settings."""
    usual = {"base_url": "http://127.0.0.1:9/v1", "model": "tiny", "seed": None}
    return Wording(option("backbone", "openai_compatible", **{**usual, **knobs}), stop)


def body(prompt: str, found: Wording) -> dict[str, Any]:
    """What is sent for a prompt whose answer is cut at 40 tokens."""
    return found.body(Request("s", "test", "FT", prompt, 40))


def answer(content: Any = "头痛-症状", reason: Any = "stop", **message: Any) -> dict[str, Any]:
    """An endpoint's JSON for a chat question."""
    return {
        "choices": [{"message": {"content": content, **message}, "finish_reason": reason}],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3},
    }


def test_the_body_of_a_chat_question() -> None:
    assert body("句子：头痛", wording("\n\n", system="你是医生", seed=13)) == {
        "model": "tiny",
        "messages": [
            {"role": "system", "content": "你是医生"},
            {"role": "user", "content": "句子：头痛"},
        ],
        "max_tokens": 40,
        "temperature": 0.0,
        "n": 1,
        "seed": 13,
    }


def test_the_body_of_a_completion() -> None:
    """Stop strings are for base models alone."""
    assert body("句子：头痛", wording("\n\n", endpoint="completions")) == {
        "model": "tiny", "prompt": "句子：头痛", "max_tokens": 40, "temperature": 0.0, "n": 1,
        "stop": ["\n\n"],
    }  # fmt: skip


def test_extra_fields_are_added_and_a_null_takes_one_out() -> None:
    extra = {"temperature": None, "seed": 5, "chat_template_kwargs": {"enable_thinking": False}}
    field = "max_completion_tokens"
    sent = body("头痛", wording(seed=13, max_tokens_field=field, extra_body=extra))
    assert "temperature" not in sent
    assert "max_tokens" not in sent
    assert sent["max_completion_tokens"] == 40
    assert sent["seed"] == 5
    assert sent["chat_template_kwargs"] == {"enable_thinking": False}


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("stop", "end"), (None, "end"), ("eos_token", "end"), ("length", "length"),
        ("content_filter", "refused"), ("", "end"), ("STOP", "end"), ("end_turn", "end"),
        ("stop_sequence", "end"), ("MAX_TOKENS", "length"), ("max_output_tokens", "length"),
        ("model_context_window_exceeded", "length"), ("repetition", "length"),
        ("repetition_truncation", "length"), ("sensitive", "refused"), ("SAFETY", "refused"),
        ("RECITATION", "refused"), ("PROHIBITED_CONTENT", "refused"), ("SPII", "refused"),
        ("content_filter: PROHIBITED_CONTENT", "refused"), ("content_filter_xyz", "refused"),
        ("refusal", "refused"), ("guardrail_intervened", "refused"), ({"type": "stop"}, "end"),
        ({"type": "length"}, "length"),
    ],
)  # fmt: skip
def test_why_an_answer_ended(reason: Any, stop: str, caplog: pytest.LogCaptureFixture) -> None:
    reply = wording().read(answer(reason=reason))
    assert (reply.text, reply.stop) == ("头痛-症状", stop)
    assert (reply.prompt_tokens, reply.completion_tokens) == (7, 3)
    assert not caplog.records


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("tool_calls", "end"), ("OTHER", "end"), ("something_new", "end"), (7, "end"),
        ("insufficient_system_resource", "length"), ("abort", "length"), ("error", "length"),
    ],
)  # fmt: skip
def test_an_unknown_reason_with_a_text_is_taken_and_told_once(
    reason: Any, stop: str, caplog: pytest.LogCaptureFixture
) -> None:
    found = wording()
    for _ in range(3):
        reply = found.read(answer(reason=reason))
        assert (reply.text, reply.stop) == ("头痛-症状", stop)
    assert caplog.text.count("finish_reason") == 1


@pytest.mark.parametrize(
    ("choice", "stop"),
    [
        ({"finish_reason": "content_filter", "index": 0}, "refused"),
        ({"finish_reason": "content_filter", "message": None}, "refused"),
        ({"finish_reason": "sensitive", "message": {"content": ""}}, "refused"),
        ({"finish_reason": "MAX_TOKENS", "message": {"role": "assistant"}}, "length"),
        ({"finish_reason": "stop", "message": {"content": None, "reasoning": "想"}}, "end"),
        ({"finish_reason": "stop", "message": {"content": None, "tool_calls": []}}, "end"),
    ],
)
def test_a_choice_without_a_text(choice: dict[str, Any], stop: str) -> None:
    reply = wording().read({"choices": [choice]})
    assert (reply.text, reply.stop) == ("", stop)


def test_a_refusal_of_the_model() -> None:
    reply = wording().read(answer(content=None, refusal="不能回答"))
    assert (reply.text, reply.stop) == ("不能回答", "refused")


def test_the_text_of_a_completion() -> None:
    said = {"choices": [{"text": " 头痛-症状", "finish_reason": "length"}]}
    reply = wording(endpoint="completions").read(said)
    assert (reply.text, reply.stop) == (" 头痛-症状", "length")
    assert (reply.prompt_tokens, reply.completion_tokens) == (0, 0)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (None, ""),
        ("", ""),
        ([{"type": "text", "text": "头痛"}, {"type": "text", "text": "-症状"}], "头痛-症状"),
        ([{"type": "reasoning", "text": "想"}, {"type": "text", "text": "无"}], "无"),
        ([{"text": "头痛-症状"}], "头痛-症状"),
        (["头痛", "-症状"], "头痛-症状"),
        ({"text": "头痛-症状"}, "头痛-症状"),
        ([{"type": "output_text", "text": "头痛-症状", "annotations": []}], "头痛-症状"),
        ([{"type": "text", "text": {"value": "头痛-症状"}}], "头痛-症状"),
        ([{"type": "message", "content": [{"type": "output_text", "text": "无"}]}], "无"),
        (
            [{"type": "thinking", "thinking": [{"type": "text", "text": "想"}]}, {"text": "无"}],
            "无",
        ),
        ([{"type": "reasoning_text", "text": "想"}, {"type": "tool_use", "input": {}}], ""),
        ([{"text": "想", "thought": True}, {"text": "无"}], "无"),
        ("\n\n头痛-症状\n\n胃痛-症状", "\n\n头痛-症状\n\n胃痛-症状"),
        ("<think>\n头痛是症状\n</think>\n\n头痛-症状",) * 2,
        ("头痛-症状\n<think>", "头痛-症状\n<think>"),
    ],
)
def test_contents_of_many_shapes(content: Any, text: str) -> None:
    assert wording().read(answer(content, reasoning_content="想")).text == text


def test_an_answer_in_another_field() -> None:
    assert wording().read(answer(None, output_text="头痛-症状")).text == "头痛-症状"
    choice = {"text": "头痛-症状", "finish_reason": "stop"}
    assert wording().read({"choices": [choice]}).text == "头痛-症状"


def test_a_stop_string_that_the_server_did_not_heed() -> None:
    found = wording("\n\n", "\n句子：", endpoint="completions")
    text = "头痛-症状\n句子：胃痛\n\n无"
    reply = found.read({"choices": [{"text": text, "finish_reason": "length"}]})
    assert (reply.text, reply.stop, reply.cut) == ("头痛-症状", "end", "\n句子：胃痛\n\n无")
    reply = found.read({"choices": [{"text": "头痛-症状\n\n \n", "finish_reason": "length"}]})
    assert (reply.text, reply.stop, reply.cut) == ("头痛-症状", "end", "")


@given(st.text("ab\n", max_size=12), st.lists(st.text("ab\n", min_size=1, max_size=3), max_size=3))
def test_a_cut_leaves_no_stop_string(text: str, stop: list[str]) -> None:
    kept, ended, lost = cut_at_stop(text, stop)
    assert text.startswith(kept)
    assert not lost or text == kept + lost
    assert not any(each in kept for each in stop)
    assert ended == any(each in text for each in stop)
    assert ended or kept == text


@pytest.mark.parametrize(
    "said",
    [
        None, [], "无", {}, {"choices": []}, {"choices": ["无"]}, {"choices": [{}]},
        {"choices": [{"message": "无", "finish_reason": "stop"}]},
        answer("", reason="insufficient_system_resource"), answer(None, reason="abort"),
        answer(content=7), {**answer(), "error": {"code": 502}},
    ],
)  # fmt: skip
def test_what_is_no_answer(said: Any) -> None:
    with pytest.raises(ValueError, match=r".+"):
        wording().read(said)


@given(JSON, st.sampled_from(["chat", "completions"]))
def test_nothing_but_a_value_error_comes_of_any_json(said: Any, endpoint: str) -> None:
    for content in (said, {"choices": [said]}, {"choices": [{"message": said}]}):
        try:
            reply = wording(endpoint=endpoint).read(content)
        except ValueError:
            continue
        assert isinstance(reply.text, str)
        assert reply.stop in ("end", "length", "refused")
        assert reply.prompt_tokens >= 0
