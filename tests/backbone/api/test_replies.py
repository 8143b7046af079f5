"""What servers and providers have been seen to say to one of several questions, in their words."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.backbone.api.verdicts import Verdict, verdict
from chmed_ner.backbone.completions import CompletionStore, generate
from chmed_ner.errors import InputError, RunError
from chmed_ner.model.asking import Request
from chmed_ner.run.config import option

Start = Callable[..., Any]
Reply = tuple[str, int, Any]
TEXT = "头痛-症状"


def error(status: int, message: str, code: Any = None, type_: Any = None, /, **more: Any) -> Any:
    """OpenAI's form of an error."""
    content = {"message": message, "type": type_, "param": None, "code": code, **more}
    return status, {"error": content}


def choice(reason: Any, message: Any = TEXT, **more: Any) -> Any:
    """An answer with this finish_reason."""
    said = message if isinstance(message, dict) else {"role": "assistant", "content": message}
    one = {"index": 0, "message": said, "finish_reason": reason}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    return 200, {"id": "x", "object": "chat.completion", "choices": [one], "usage": usage, **more}


FILTERED = {
    "deepseek": error(400, "Content Exists Risk", "invalid_request_error", "invalid_request_error"),
    "zhipu": (
        400,
        {
            "contentFilter": [{"level": 1, "role": "user"}],
            "error": {
                "code": "1301",
                "message": "系统检测到输入或生成内容可能包含不安全或敏感内容",
            },
        },
    ),
    "zhipu_words": error(400, "系统检测到输入或生成内容可能包含不安全或敏感内容", 1301),
    "moonshot": error(
        400, "The request was rejected because it was considered high risk", 400, "content_filter"
    ),
    "dashscope": error(
        400, "Input data may contain inappropriate content.", "data_inspection_failed",
        "data_inspection_failed",
    ),
    "dashscope_native": (
        400,
        {
            "code": "DataInspectionFailed",
            "message": "Output data may contain inappropriate content.",
            "request_id": "a",
        },
    ),
    "azure": error(
        400, "The response was filtered due to the prompt triggering Azure OpenAI's content "
        "management policy.", "content_filter", None, status=400,
        innererror={"code": "ResponsibleAIPolicyViolation", "content_filter_result": {"hate": {}}},
    ),
    "openai": error(
        400, "Invalid prompt: your prompt was flagged as potentially violating our usage policy.",
        "invalid_prompt", "invalid_request_error",
    ),
    "openai_image": error(
        400, "Your request was rejected as a result of our safety system.",
        "content_policy_violation", "invalid_request_error",
    ),
    "openrouter": error(
        403, "Input flagged", 403, metadata={"reasons": ["x"], "flagged_input": "欠费了"}
    ),
    "openrouter_words": error(
        403, 'openai/gpt-4o requires moderation. Your input was flagged for "self-harm".', 403
    ),
    "xai": (
        403,
        {
            "code": "The caller does not have permission to execute the specified operation",
            "error": "Content violates usage guidelines. Failed check: SAFETY_CHECK_TYPE_BIO",
        },
    ),
    "volcengine": error(
        400, "The request failed because the input text may contain sensitive information.",
        "InputTextSensitiveContentDetected", "BadRequest",
    ),
    "volcengine_risk": error(
        400, "The request failed because the output text may contain sensitive information.",
        "OutputTextSensitiveContentDetected.SevereViolation", "BadRequest",
    ),
    "minimax": (200, {"base_resp": {"status_code": 1026, "status_msg": "input new_sensitive"}}),
    "minimax_output": (
        200,
        {"choices": None, "base_resp": {"status_code": 1027, "status_msg": "output new_sensitive"}},
    ),
    "huawei": (
        400,
        {
            "error_code": "ModelArts.81011",
            "error_msg": "May contain sensitive information, please try again.",
        },
    ),
    "spark": (200, {"code": 10013, "message": "input content audit not passed", "sid": "x"}),
    "anthropic": error(
        400, "Output blocked by content filtering policy", None, "invalid_request_error"
    ),
    "gemini": (200, {"promptFeedback": {"blockReason": "PROHIBITED_CONTENT"}}),
    "error_inside": (200, {"error": {"message": "Provider returned error", "code": 400,
                                     "metadata": {"raw": '{"code":"data_inspection_failed"}',
                                                  "reasons": ["violence"]},
                                     "type": "content_filter"}}),
    "gateway_500": error(500, "bad response", "content_filter", "upstream_error"),
    "legal_reasons": error(451, "Unavailable for legal reasons"),
    "finish_filter": choice("content_filter", None),
    "finish_filter_suffix": choice("content_filter: SAFETY", {"role": "assistant"}),
    "finish_content_filter_xyz": choice("content_filter_xyz", ""),
    "finish_sensitive": choice("sensitive", ""),
    "finish_safety": choice("SAFETY", None),
    "finish_recitation": choice("RECITATION", None),
    "finish_prohibited": choice("PROHIBITED_CONTENT", None),
    "finish_refusal": choice("refusal", ""),
    "filter_without_message": (
        200,
        {
            "choices": [{"finish_reason": "content_filter", "index": 0}],
            "usage": {"prompt_tokens": 3, "completion_tokens": 0},
        },
    ),
}  # fmt: skip
TOO_LONG = {
    "openai": error(
        400, "This model's maximum context length is 16385 tokens. However, your messages resulted "
        "in 20000 tokens. Please reduce the length of the messages.", "context_length_exceeded",
        "invalid_request_error", param="messages",
    ),
    "vllm": (
        400,
        {
            "object": "error",
            "message": "This model's maximum context length is 6048 tokens. However, you requested "
            "6616 tokens (568 in the messages, 6048 in the completion).",
            "type": "BadRequestError",
            "param": None,
            "code": 400,
        },
    ),
    "vllm_new": error(
        400, "'max_tokens' or 'max_completion_tokens' is too large: 2000. This model's maximum "
        "context length is 2048 tokens and your request has 500 input tokens", 400,
        "BadRequestError",
    ),
    "vllm_decoder": error(
        400, "The decoder prompt (length 2084) is longer than the maximum model length of 2048.",
        400, "BadRequestError",
    ),
    "vllm_old": error(400, "max_tokens must be at least 1, got -1200.", 400, "BadRequestError"),
    "sglang": (
        400,
        {
            "object": "error",
            "message": "The input (61709 tokens) is longer than the model's context length (40960 "
            "tokens).",
            "type": "BadRequestError",
            "code": 400,
        },
    ),
    "sglang_pool": (
        400,
        {
            "object": "error",
            "message": "Input length (160062 tokens) exceeds the maximum allowed length (59862 "
            "tokens).",
            "type": "BadRequestError",
            "code": 400,
        },
    ),
    "llama_cpp": error(
        400, "request (5000 tokens) exceeds the available context size (4096 tokens), try "
        "increasing it", 400, "exceed_context_size_error", n_prompt_tokens=5000, n_ctx=4096,
    ),
    "llama_cpp_old": error(
        500, "the request exceeds the available context size. try increasing the context size or "
        "enable context shift", 500, "server_error",
    ),
    "llama_cpp_python": error(400, "Requested tokens (2285) exceed context window of 2048"),
    "ollama": (400, {"error": "the input length exceeds the context length"}),
    "ollama_chat": error(500, "input exceeds context length", None, "api_error"),
    "ollama_cloud": (400, {"error": "prompt too long; exceeded max context length by 123 tokens"}),
    "lm_studio": (
        400,
        {
            "error": "The number of tokens to keep from the initial prompt is greater than the "
            "context length."
        },
    ),
    "tgi": (
        422,
        {
            "error": "Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. "
            "Given: 5000 `inputs` tokens and 100 `max_new_tokens`",
            "error_type": "validation",
        },
    ),
    "dashscope": error(
        400, "<400> InvalidParameter: Range of input length should be [1, 30720]",
        "invalid_parameter_error", "invalid_request_error",
    ),
    "moonshot": error(
        400, "Invalid request: Your request exceeded model token limit: 8192", None,
        "invalid_request_error",
    ),
    "zhipu": error(400, "Prompt 超长", "1261"),
    "volcengine": error(
        400, "Total tokens of image and text exceed max message tokens", "InvalidParameter",
        "BadRequest",
    ),
    "mistral": (
        400,
        {
            "object": "error",
            "message": "Prompt contains 40000 tokens and 0 draft tokens, too large for model with "
            "32768 maximum context length",
            "type": "invalid_request_error",
            "code": "3051",
        },
    ),
    "anthropic": error(
        400, "prompt is too long: 208310 tokens > 200000 maximum", None, "invalid_request_error"
    ),
    "gemini": (
        400,
        [
            {
                "error": {
                    "code": 400,
                    "message": "The input token count (1200000) exceeds the maximum number of "
                    "tokens allowed (1048576).",
                    "status": "INVALID_ARGUMENT",
                }
            }
        ],
    ),
    "xai": (
        400,
        {
            "code": "Client specified an invalid argument",
            "error": "This model's maximum prompt length is 131072 but the request contains 200000 "
            "tokens.",
        },
    ),
    "groq": error(
        413, "Request too large for model `llama` on tokens per minute (TPM): Limit 6000, "
        "Requested 12000, please reduce your message size and try again.", "rate_limit_exceeded",
        "tokens",
    ),
    "openai_tpm": error(
        429, "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 40000. "
        "The input or output tokens must be reduced in order to run successfully.",
        "rate_limit_exceeded", "tokens",
    ),
    "chinese": error(400, "输入内容过长，超出模型上下文限制", "InvalidParameterValue"),
}  # fmt: skip
NO_CREDIT = {
    "openai": error(
        429, "You exceeded your current quota, please check your plan and billing details.",
        "insufficient_quota", "insufficient_quota",
    ),
    "openai_type_alone": error(
        429, "You exceeded your current quota, please check your plan and billing details.", None,
        "insufficient_quota",
    ),
    "openai_inactive": error(
        429, "Your account is not active, please check your billing details on our website.",
        "billing_not_active", "billing_not_active",
    ),
    "zhipu": error(429, "您的账户已欠费，请充值后重试", "1113"),
    "zhipu_words": error(429, "余额不足或无可用资源包,请充值。", None),
    "deepseek": error(402, "Insufficient Balance", "invalid_request_error", "unknown_error"),
    "moonshot": error(
        429, "Your account org-1 <ak-1> is suspended due to insufficient balance, please recharge "
        "your account or check your plan and billing details", None, "exceeded_current_quota_error",
    ),
    "dashscope": error(
        400, "Access denied, please make sure your account is in good standing.", "Arrearage",
        "Arrearage",
    ),
    "dashscope_free": error(
        403, "The free tier of the model has been exhausted.", "AllocationQuota.FreeTierOnly"
    ),
    "openrouter": error(402, "This request requires more credits, or fewer max_tokens.", 402),
    "openrouter_inside": (200, {"error": {"message": "Insufficient credits", "code": 402}}),
    "openrouter_key": error(403, "Key limit exceeded (total limit).", 403),
    "opencode": error(
        429, "Error from provider: Provider returned error", 429,
        metadata={"raw": '{"error":{"message":"Your account is suspended due to insufficient '
                  'balance","type":"exceeded_current_quota_error"}}'},
    ),
    "anthropic": error(
        400, "Your credit balance is too low to access the Anthropic API. Please go to Plans & "
        "Billing to upgrade or purchase credits.", None, "invalid_request_error",
    ),
    "siliconflow": (
        403, {"code": 30001, "message": "Sorry, your account balance is insufficient", "data": None}
    ),
    "volcengine": error(
        403, "The request failed because your account has an overdue balance.",
        "AccountOverdueError", "Forbidden",
    ),
    "minimax": (200, {"base_resp": {"status_code": 1008, "status_msg": "insufficient balance"}}),
    "xai": (
        403,
        {
            "code": "The caller does not have permission to execute the specified operation",
            "error": "Your newly created team doesn't have any credits yet.",
        },
    ),
    "litellm": error(
        400, "Budget has been exceeded! Current cost: 10.0, Max budget: 5.0", "400",
        "budget_exceeded",
    ),
    "one_api": error(403, "用户额度不足, 剩余额度: ¥0.00", "insufficient_user_quota"),
    "gateway_500": error(500, "账户余额不足", None),
    "insufficient_balance": error(400, "no", "insufficient_balance"),
    "payment_required": (402, "Payment Required"),
}  # fmt: skip
TAKEN = {
    "empty_string": choice(""),
    "STOP": choice("STOP"),
    "end_turn": choice("end_turn"),
    "unknown": choice("something_new"),
    "MAX_TOKENS": choice("MAX_TOKENS"),
    "repetition": choice("repetition"),
    "context": choice("model_context_window_exceeded"),
    "parts_without_type": choice("stop", [{"text": TEXT}]),
    "output_text": choice("stop", [{"type": "output_text", "text": TEXT}]),
    "beside_reasoning": choice("stop", {"content": TEXT, "reasoning_content": "胃痛-症状"}),
}
LENGTHS = ("MAX_TOKENS", "repetition", "context")
OTHER = {
    "bad_key": error(401, "Incorrect API key provided", "invalid_api_key"),
    "no_model": error(404, "The model `x` does not exist", "model_not_found"),
    "data_policy": error(404, "No endpoints found matching your data policy"),
    "parameter": error(400, "Unsupported parameter: 'max_tokens'", "unsupported_parameter"),
    "max_tokens": error(
        400, "max_tokens is too large: 5000. This model supports at most 4096 completion tokens",
        "invalid_value",
    ),
    "dashscope_max": error(
        400, "Range of max_tokens should be [1, 8192]", "invalid_parameter_error"
    ),
    "deepseek_max": error(400, "Invalid max_tokens value, the valid range is [1, 8192]"),
    "suspended": error(403, "Your account was suspended for violating our usage policies"),
    "rate": error(429, "Rate limit reached for gpt-4 on requests per min. Please try again in 20s. "
                  "You can increase it by adding a payment method to your account."),
    "gemini_rate": error(
        429, "You exceeded your current quota, please check your plan and billing details. Quota "
        "exceeded for metric: requests, limit: 15. Please retry in 36s.", 429,
        status="RESOURCE_EXHAUSTED",
    ),
    "busy": error(503, "The engine is currently overloaded, please try again later"),
    "deadline": error(500, "error message: context deadline exceeded"),
    "page": (403, "<html>Sorry, you have been blocked: unsafe content</html>"),
    "repeats_the_question": (
        422, {"detail": [{"type": "missing", "msg": "Field required", "input": "余额 敏感 违规"}]}
    ),
}  # fmt: skip
DEEP: Any = {"message": "x"}
for _ in range(500):
    DEEP = {"error": DEEP}


def questions(count: int) -> list[Request]:
    """Prompts that all differ."""
    return [Request(f"s{n}", "test", "FT", f"句子{n}：头痛\n", 40) for n in range(count)]


def ask(server: Any, folder: Path, count: int = 4, **settings: Any) -> CompletionStore:
    """A run's generation; the second question meets what the server is told to say."""
    backbone = option(
        "backbone", "openai_compatible", name="loopback", base_url=server.base_url, model="tiny",
        cache=str(folder / "cache"), concurrency=1, **settings,
    )  # fmt: skip
    generator = backbone.generator(stop=["\n\n"], seed=0)
    store = CompletionStore(folder / "completions.jsonl")
    generate(generator, questions(count), store)
    return CompletionStore(folder / "completions.jsonl")


def told(api_server: Start, replies: list[Any]) -> Any:
    """A server that says these to its second and the later questions."""
    faults = [{"status": status, "body": body} for status, body in replies]
    return api_server(faults=faults, fault_from=1, answer=TEXT)


@pytest.mark.parametrize("name", sorted(FILTERED.keys() | TOO_LONG.keys()))
def test_what_servers_refuse_in_words_and_codes(name: str) -> None:
    for replies in (FILTERED, TOO_LONG):
        if name in replies and "choices" not in replies[name][1]:
            assert verdict(*replies[name]) is Verdict.REFUSED


@pytest.mark.parametrize("name", OTHER)
def test_what_another_question_would_meet_too_is_no_refusal(name: str) -> None:
    assert verdict(*OTHER[name]) is Verdict.OTHER


@pytest.mark.parametrize(
    "body", [None, 7, "", [], {}, [[]], {"error": None}, {"error": [7]}, {"detail": [[], 7]}, DEEP]
)
def test_no_body_is_too_odd(body: Any) -> None:
    assert verdict(400, body) is Verdict.OTHER


def test_refusals_are_answers_and_the_run_goes_on(
    api_server: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """All kinds in one run; each question is asked once, also by the run that is resumed."""
    replies = [*FILTERED.values(), *TOO_LONG.values()]
    server, count = told(api_server, replies), len(replies) + 3
    store = ask(server, tmp_path, count)
    assert Counter(each.stop for each in store) == {"refused": len(replies), "end": 3}
    assert len(server.seen()) == count
    ask(server, tmp_path, count)
    assert len(server.seen()) == count
    assert caplog.text.count("count as refused, the run goes on") == 1


@pytest.mark.parametrize("name", NO_CREDIT)
def test_without_credit_the_run_stops_and_goes_on_when_there_is_some(
    api_server: Start, tmp_path: Path, name: str
) -> None:
    server = told(api_server, [NO_CREDIT[name]])
    with pytest.raises(RunError, match="the account has no credit; top it up and resume") as raised:
        ask(server, tmp_path)
    assert "\n" not in str(raised.value)
    assert len(server.seen()) == 2
    assert {each.text for each in ask(server, tmp_path)} == {TEXT}
    assert len(server.seen()) == 5


def test_what_has_a_text_is_taken_and_never_asked_again(
    api_server: Start, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    server = told(api_server, list(TAKEN.values()))
    store = ask(server, tmp_path, len(TAKEN) + 1)
    assert {each.text for each in store} == {TEXT}
    assert Counter(each.stop for each in store)["length"] == len(LENGTHS)
    assert len(server.seen()) == len(TAKEN) + 1
    assert caplog.text.count("finish_reason 'something_new'") == 1


@pytest.mark.parametrize(
    "message",
    [
        {"content": None, "reasoning_content": "头痛-症状"},
        {"content": "", "reasoning": "头痛-症状"},
        {"content": " \n"},
        {"content": [{"type": "thinking", "thinking": "头痛-症状"}]},
    ],
)
def test_an_empty_answer_is_counted_and_not_kept_for_others(
    api_server: Start, tmp_path: Path, message: dict[str, Any]
) -> None:
    server = told(api_server, [choice("stop", message)])
    store = ask(server, tmp_path)
    assert sorted(each.text.strip() for each in store) == ["", TEXT, TEXT, TEXT]
    kept = [json.loads(path.read_text("utf-8")) for path in tmp_path.rglob("cache/**/*.json")]
    assert [each["reply"]["text"] for each in kept] == [TEXT] * 3
    ask(server, tmp_path)
    assert len(server.seen()) == 4
    (tmp_path / "completions.jsonl").unlink()
    assert {each.text for each in ask(server, tmp_path)} == {TEXT}
    assert len(server.seen()) == 5


def test_settings_are_still_to_blame(api_server: Start, tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"check backbone\.model"):
        ask(told(api_server, [OTHER["parameter"]]), tmp_path)


def test_log_probabilities_are_those_that_a_server_gives(api_server: Start, tmp_path: Path) -> None:
    """Of a chat, of a completion; none for tokens that do not spell the answer, or without them."""
    tokens, chances = ["头", "痛-", "症状", "<|im_end|>"], [-0.5, -0.25, 0.0, -0.1]
    chat = [
        {"token": token, "logprob": chance, "bytes": list(token.encode())}
        for token, chance in zip(tokens, chances, strict=True)
    ]
    given = [
        {"content": chat},
        {"tokens": tokens, "token_logprobs": chances},
        {"content": [{"token": "胃痛", "logprob": -1.0}]},
        None,
    ]
    replies = [choice("stop") for _ in given]
    for (_, answer), logprobs in zip(replies, given, strict=True):
        answer["choices"][0]["logprobs"] = logprobs
    server = told(api_server, replies)
    spelt = ((1, -0.5), (2, -0.25), (2, 0.0))
    expected = {"s0": (), "s1": spelt, "s2": spelt, "s3": (), "s4": ()}
    for _ in range(2):  # the second time from the cache
        found = {each.id: each.logprobs for each in ask(server, tmp_path, len(expected))}
        assert found == expected
        (tmp_path / "completions.jsonl").unlink()
    assert len(server.seen()) == len(expected)
