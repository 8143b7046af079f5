"""What a server's error means for a run: no credit is left, one question is refused, or neither.

Providers share OpenAI's protocol, not its errors. The codes and words below are those of OpenAI,
Azure, Anthropic, Gemini, Mistral, xAI, Groq, OpenRouter, DeepSeek, Zhipu, Moonshot, DashScope,
Volcengine, MiniMax, SiliconFlow, Qianfan, Hunyuan and Spark, and of vLLM, SGLang, TGI, llama.cpp,
Ollama, LM Studio, LiteLLM and one-api.
"""

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from httpx2 import Response


class Verdict(Enum):
    """`REFUSED`: this question will never be answered, others may be; `OTHER`: neither is known."""

    NO_CREDIT = "no credit"
    REFUSED = "refused"
    OTHER = "other"


_CODES = ("code", "type", "status", "error_code", "error_type", "status_code", "blockReason")
_WORDS = ("message", "detail", "error_msg", "status_msg", "msg", "error", "raw", "reasons")
_INSIDE = ("error", "innererror", "metadata", "base_resp", "promptFeedback")
_FLAGS = ("contentFilter", "flagged_input", "content_filter_result")
_DEPTH = 4

_CREDIT_CODE = re.compile(
    r"insufficient_?(user_?)?(quota|balance|credit|fund)|current_?quota|arrear|overdue|billing"
    r"|payment|credits?_|_credits?\b|budget_?exceeded|freetieronly|setlimitexceeded|resourcepack"
    r"|\A(402|1008|1113)\Z"
)
_CREDIT_WORDS = re.compile(
    r"(insufficient|not enough|out of|more|available|any|add|purchase|buy|no) "
    r"((account|user|remaining) )?(balance|credit|fund)|insufficient \w*quota|current quota"
    r"|(balance|credits?|funds?|free tier\b.*) ((is|are|was|has been|have been|currently) )*"
    r"(too low|insufficient|exhausted|depleted|used up|not enough|negative)"
    r"|in arrears|arrearage|overdue|good standing|payment required|recharge|\btop.?up\b"
    r"|(billing|spend|spending|credit|key|hard|monthly) limit|check your billing|over budget"
    r"|budget has been exc|余额|欠费|充值|(额度|资源包|余量|免费).{0,8}(不足|用尽|用完|耗尽|已用)"
    r"|套餐.{0,6}(到期|用尽|用完)"
)
_PASSING = re.compile(r"(try again|retry) (in|after)|rate.?limit|per.?(min|second|day)|\b[tr]pm\b")
_FILTER_CODE = re.compile(
    r"filter|inspection|polic[yi]|sensitive|moderat|safety|unsafe|harm(?!ony)|risk|prohibited"
    r"|flagged|blocklist|recitation|jailbreak|guardrail|toxic|\Ainvalid_prompt\Z"
    r"|\A(1026|1027|1301|10013|10014|10019)\Z"
)
_FILTER_WORDS = re.compile(
    r"exists? risk|(high|potential) risk|inappropriate|content.{0,3}(polic|filter|moderat|safety)"
    r"|(usage|safety|use) polic|safety (system|reason|setting|filter)|was filtered|flagged|toxic"
    r"|moderation|guardrail|sensitive (content|information|word|data)|new_sensitive|unsafe|harmful"
    r"|prohibited (content|use)|(violat|blocked|rejected).{0,60}(polic|terms|guideline|safety)"
    r"|敏感|违规|违禁|不安全|不合规|不当内容|内容安全|安全审核|审核(不|未)通过|(内容|输入|输出).{0,8}风险"
)
_ABOUT_THE_USER = re.compile(
    r"(account|organi[sz]ation|api.?key|账号|账户|密钥).{0,60}"
    r"(suspend|terminat|deactivat|disabl|restrict|banned|blocked|封|停用|冻结)"
)
_LONG_CODE = re.compile(
    r"context_?(length|window|size)|string_above_max|request_too_large|prompt_?too_?long"
    r"|tokens?_too_long|token_?limit_?exceeded|\A(1039|1261|10907)\Z"
)
_LONG_WORDS = re.compile(
    r"context.{0,2}(length|window|size|limit)|max(imum)? (prompt|input|model) (length|token|char)"
    r"|(prompt|inputs?|messages?)\b.{0,80}"
    r"(too (long|large|many)|longer than|exceed|must have less than|超长|过长|超过|超出)"
    r"|request\b.{0,40}exceed.{0,30}token|range of input length|too many (input |prompt )?tokens"
    r"|reduce (the length|your (message|prompt|input))|max message tokens|tokens too long"
    r"|tokens \+ .?max_new_tokens|max_tokens must be at least 1, got -"
    r"|(输入|提示|上下文|文本|消息|请求).{0,20}(过长|超长|超过|超出|太长)|token.{0,12}(超过|超出|上限|超限)"
)
_LONG_FOR_ANY = re.compile(
    r"request too large|context.{0,2}(length|window|size)|prompt.{0,9}too long"
)
"""Said with 429 or 5xx too, which else pass."""


def verdict(status: int, body: Any) -> Verdict:
    """What the body of an error with this HTTP status means; 200: of an error in an answer."""
    codes = {str(code).lower() for code in _found(body, _CODES)}
    words = said(body).lower()
    poor = _CREDIT_WORDS.search(words) and not _PASSING.search(words)
    if status == 402 or poor or any(map(_CREDIT_CODE.search, codes)):
        return Verdict.NO_CREDIT
    if status in (401, 404) or _ABOUT_THE_USER.search(words):
        return Verdict.OTHER
    known = any(_FILTER_CODE.search(code) or _LONG_CODE.search(code) for code in codes)
    flagged = any(True for _ in _found(body, _FLAGS))
    if known or flagged or status in (413, 451) or _LONG_FOR_ANY.search(words):
        return Verdict.REFUSED
    worded = _LONG_WORDS.search(words) or _FILTER_WORDS.search(words)
    return Verdict.REFUSED if worded and status in (200, 400, 403, 422) else Verdict.OTHER


def said(body: Any) -> str:
    """An error's own words, on one line; a page of HTML has none."""
    if isinstance(body, str):
        found = [] if body.lstrip().startswith("<") else [body]
    else:
        found = [text for each in _found(body, _WORDS) for text in _texts(each)]
    return " ".join(" ".join(dict.fromkeys(found)).split())


def _texts(value: Any) -> Iterator[str]:
    """Texts in what may be a list of them, or of complaints, which repeat what they were sent."""
    if isinstance(value, list):
        for each in value[:9]:
            yield from _texts(each.get("msg") if isinstance(each, Mapping) else each)
    elif isinstance(value, str):
        yield value


def _found(body: Any, names: tuple[str, ...], depth: int = _DEPTH) -> Iterator[Any]:
    """The values of these names in an error, in what it is wrapped in and in what it wraps."""
    if isinstance(body, list):
        body = body[0] if body else None
    if not isinstance(body, Mapping) or not depth:
        return
    yield from (body[name] for name in names if body.get(name) not in (None, "", [], {}))
    for name in _INSIDE:
        yield from _found(body.get(name), names, depth - 1)


def body_of(response: "Response") -> Any:
    """The JSON of a body, or its text."""
    try:
        return response.json()
    except (ValueError, RecursionError):
        return response.text
