"""The errors we raise on purpose: each names the file, line or key, the value, and the cure."""

import codecs
import re


class ChmedError(Exception):
    """Base of every error that is reported as one message, without a traceback."""

    exit_code = 1


class InputError(ChmedError):
    """The configuration or an input file is wrong; nothing was computed from it."""

    exit_code = 2


class RunError(ChmedError):
    """A run failed for a reason that is not the user's input (a full disk, a lost server ...)."""


class Stopped(ChmedError):
    """A run was stopped on purpose; what is finished is kept and the run can be resumed."""


class BudgetError(Stopped):
    """The next step does not fit into the budget."""

    exit_code = 3


class EstimateOnly(Stopped):
    """Only what a run would cost was asked for."""

    exit_code = 0


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or the name of its kind where it has no message."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


_ENCODINGS = {  # each with how common characters of Chinese begin: GB 2312's level 1, Big5's
    "GB18030": re.compile(rb"[\xa1-\xa3\xb0-\xd7][\xa1-\xfe]"),
    "BIG5": re.compile(rb"[\xa1-\xc6]."),
}


def printable(text: str) -> str:
    """`text` for a terminal: control characters, which could steer it, are written as escapes."""
    return re.sub(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", lambda found: f"\\x{ord(found[0]):02x}", text)


def interrupted(error: BaseException) -> bool:
    """Whether an interrupt lies behind an error: one that comes while a library is imported may
    end as an error of the import."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, KeyboardInterrupt) or "KeyboardInterrupt" in str(seen):
            return True
        seen = seen.__cause__ or seen.__context__
    return False


def not_utf8(error: UnicodeDecodeError, more: bytes = b"") -> str:
    """What is wrong with bytes that are no UTF-8 text, their likely encoding, and the cure.

    `more` are bytes that follow those of the error: they help to tell the encoding.
    """
    raw, at = error.object, error.start
    cure = other_encoding(raw + more)
    return f"not UTF-8 at byte {at + 1} ({raw[at : at + 4].hex(' ')}); {cure}"


def other_encoding(data: bytes) -> str:
    """The cure for text that is no UTF-8, by the encoding that it most likely has."""
    pairs = {data[at : at + 2] for at in range(0, len(data), 2)}
    likely = max(_ENCODINGS, key=lambda each: _common(data, each))
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        likely = "UTF-16"
    elif b"\n\0" in pairs or b"\0\n" in pairs:
        likely = "UTF-16LE" if b"\n\0" in pairs else "UTF-16BE"
    elif b"\0" in data or _common(data, likely) < 0.6:
        return "save it as UTF-8 text"
    return f"it looks like {likely}: convert the file with `iconv -f {likely} -t UTF-8`"


def _common(data: bytes, encoding: str) -> float:
    """How much of what is not ASCII would be common characters in this encoding."""
    seen = [each for each in data.decode(encoding, "replace") if each > "\x7f"]
    spelt = (each.encode(encoding, "ignore") for each in seen)
    return sum(bool(_ENCODINGS[encoding].fullmatch(each)) for each in spelt) / max(1, len(seen))
