"""What it means when an endpoint does not answer: passing, a wrong setting, or an empty account.

Passing are 408, 409, 425, 429, 5xx, time-outs, lost and cut connections, and answers that are not
what was asked for. Every other status is final and named with its cure.
"""

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from chmed_ner.errors import InputError, RunError

KEYLIKE = re.compile(r"\bsk-[\w*.-]{6,}")
_PASSING = frozenset({408, 409, 425, 429})  # besides 5xx
_BUSY = frozenset({429, 503, 529})  # these concern every request, not only the one that met them
_EMPTY_ACCOUNT = frozenset({"insufficient_quota", "insufficient_balance"})  # some say it with 429
_FILTERED = frozenset({"content_filter", "data_inspection_failed"})
_CURES = {
    400: "check backbone.model, backbone.endpoint and backbone.extra_body",
    401: "give a valid key in the environment variable that backbone.api_key_env names",
    403: "the key may not use this model or address; check both",
    404: "check backbone.base_url (most end in /v1), backbone.model and backbone.endpoint",
    422: "check backbone.extra_body and backbone.max_tokens_field",
}


class GivenUp(Exception):
    """The question was not asked (again) because the whole run is being stopped."""


class RefusedByFilter(Exception):
    """The endpoint's content filter did not let the question through; nothing was answered."""


class Passing(Exception):
    """A problem that another attempt may better.

    `wait` is what the server asks for, in seconds; `busy` when it concerns every request.
    """

    def __init__(self, reason: str, wait: float | None = None, busy: bool = False) -> None:
        super().__init__(reason)
        self.wait = wait
        self.busy = busy


def cleaned(text: str, key: str | None) -> str:
    """`text` without `key` and whatever looks like one."""
    return KEYLIKE.sub("[key]", text.replace(key, "[key]") if key else text)


def refused(
    status: int, headers: Mapping[str, str], said: bytes, url: str, key: str | None
) -> Exception:
    """What an answer with a status other than 200 means."""
    message, code = _message(said)
    shown = cleaned(f"{url}: the server answers {status} ({message or 'no message'})", key)
    if code in _EMPTY_ACCOUNT or status == 402:
        return RunError(f"{shown}: the account has no credit; top it up and resume the run")
    if status in _PASSING or status >= 500:
        return Passing(shown, retry_after(headers), status in _BUSY)
    if status == 400 and code in _FILTERED:
        return RefusedByFilter()
    if status < 400:
        place = cleaned(headers.get("Location", "nowhere"), key)
        return InputError(
            f"{url}: the server answers {status} and points to {place}; correct backbone.base_url"
        )
    return InputError(f"{shown}; {_CURES.get(status, _CURES[400])}")


def lost(error: BaseException, url: str, key: str | None) -> Exception:
    """What a request that brought no answer means; `error` is the HTTP library's."""
    kind, cause = type(error).__name__, _root(error)
    if kind in ("ReadTimeout", "WriteTimeout"):
        return Passing(f"{url}: no whole answer in time (backbone.timeout)")
    shown = cleaned(f"{url}: no answer or a cut one ({type(cause).__name__}: {cause})", key)
    if kind in ("InvalidURL", "UnsupportedProtocol"):
        return InputError(f"{shown}; check backbone.base_url")
    if "CERTIFICATE_VERIFY_FAILED" in str(cause):
        return InputError(f"{shown}; check backbone.base_url, or set REQUESTS_CA_BUNDLE")
    return Passing(shown)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds of a `Retry-After` (RFC 9110, 10.2.3: seconds or a date); None without one."""
    value = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"\d+(\.\d+)?", value):
        return float(value)
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(0.0, (when.replace(tzinfo=when.tzinfo or UTC) - datetime.now(UTC)).total_seconds())


def excerpt(said: bytes) -> str:
    """The beginning of a body, on one line."""
    return " ".join(said.decode("utf-8", "replace").split())[:300]


def _message(said: bytes) -> tuple[str, str]:
    """What an error's body says, in a line, and its code."""
    try:
        content = json.loads(said)
    except (ValueError, RecursionError):
        return excerpt(said), ""
    error = content.get("error", content) if isinstance(content, dict) else content
    if not isinstance(error, dict):
        return excerpt(str(error).encode("utf-8", "replace")), ""
    message = error.get("message") or error.get("detail") or error
    return excerpt(str(message).encode("utf-8", "replace")), str(error.get("code") or "").lower()


def _root(error: BaseException) -> BaseException:
    """The error at the root: those above it repeat the address and each other."""
    while error.__context__ is not None:
        error = error.__context__
    return error
