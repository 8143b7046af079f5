"""The errors we raise on purpose: each names the file, line or key, the value, and the cure.

And what nothing says or writes: secrets. What is seen as one in this process is noted in one list.
"""

import codecs
import html
import json
import os
import re
from base64 import b64encode
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import IO, Any
from urllib.parse import quote, unquote

_NAMES = r"[\w.-]*(?:key|token|secret|password|passwd|pwd|credentials?|authorization)"
_QUERY = re.compile(rf"(?<=[?&;])({_NAMES}=)([^\s&\"'<>]+)", re.IGNORECASE)
_SETTING = re.compile(
    rf"({_NAMES}[\"']?\s*[=:]\s*[\"']?(?:(?:bearer|basic)\s+)?)([^\s\"',{{}}\[\]]+)",
    re.IGNORECASE,
)
_CREDENTIALS = re.compile(
    r"(?<=://)(?!/)([^\s\"'<>/@:]*:(?!\d+(?:[/?#]|$))[^\s\"'<>]*|[^\s\"'<>/?#]*)@"
)
"""`user:password` of an address, which may hold `/` and `@`; a path with `@` is none."""
_LENGTH = 8
"""Characters in a row of a secret that are never shown; shorter ones would be found in any text."""
_MARK = "[key]"


class _Noted:
    """The pieces of every secret that was seen, and a pattern for text that may hold one."""

    def __init__(self) -> None:
        self.pieces: set[str] = set()
        self.pattern = re.compile("(?!)")
        places = (os.environ.get("HOME", ""), str(Path(__file__).parent), "chmed_ner.")
        self._public = {piece for place in places for piece in _pieces(place)}

    def add(self, secret: str) -> None:
        """Note a secret as it may be written: in JSON, in HTML, in an address, in a header."""
        first = secret.strip("/").partition("/")[0]
        if len(secret) < _LENGTH or (secret[0] == "/" and Path("/", first[:99]).exists()):  # a path
            return
        quoted = quote(secret, safe="", errors="replace")
        plain = (secret, unquote(secret), quoted, json.dumps(secret)[1:-1])
        written = (*plain, html.escape(secret), b64encode(secret.encode(errors="replace")).decode())
        found = {piece for each in written for piece in _pieces(each)} - self._public - self.pieces
        if new := {piece for piece in found if len(set(piece)) > 2}:  # else a ruler: --------
            self.pieces |= new
            letters = "".join(sorted(set("".join(self.pieces))))
            self.pattern = re.compile(f"[{re.escape(letters)}]{{{_LENGTH},}}")

    def hidden(self, found: re.Match[str]) -> str:
        """The text of a match without what is a secret's."""
        text, shown, end = found[0], "", 0
        for start in range(len(text) - _LENGTH + 1):
            if text[start : start + _LENGTH] in self.pieces:
                if start >= end:
                    shown += text[end:start] + _MARK
                end = start + _LENGTH
        return shown + text[end:]


def _pieces(text: str) -> Iterable[str]:
    return (text[start : start + _LENGTH] for start in range(len(text) - _LENGTH + 1))


_noted = _Noted()


def names_secret(key: object) -> bool:
    """Whether a setting or variable called `key` holds a secret: `api_key`, `HF_TOKEN`."""
    return re.fullmatch(_NAMES, str(key), re.IGNORECASE) is not None


def note_secrets(value: Any, name: str = "") -> None:
    """Note the secrets in settings or in the environment: values of that `name`, in addresses."""
    if isinstance(value, Mapping):
        for key, each in value.items():
            note_secrets(each, str(key))
    elif isinstance(value, list | tuple):
        for each in value:
            note_secrets(each, name)
    elif isinstance(value, str):
        if names_secret(name):
            _noted.add(value)
        for found in _CREDENTIALS.finditer(value):
            user, _, password = found[1].partition(":")
            _noted.add(password or user)
            _noted.add(b64encode(found[1].encode(errors="replace")).decode())
        for found in _QUERY.finditer(value):
            _noted.add(found[2])


def note_words(words: Iterable[str]) -> None:
    """Note the secrets among the words of a command line, `key=value` or `{key: value}`."""
    for word in words:
        name, _, value = word.partition("=")
        note_secrets(value.strip("\"'"), name)
        for found in _SETTING.finditer(word):
            _noted.add(found[2])


def without_noted(value: Any) -> Any:
    """Data without the secrets that were noted, not even eight characters in a row of one."""
    if isinstance(value, str):
        return _noted.pattern.sub(_noted.hidden, value)
    if isinstance(value, Mapping):
        return {without_noted(key): without_noted(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [without_noted(each) for each in value]
    return value


def without_secrets(value: Any) -> Any:
    """A message or settings without secrets: noted ones, those in addresses, and by their names."""
    if isinstance(value, str):
        return without_noted(_QUERY.sub(rf"\1{_MARK}", _CREDENTIALS.sub("", value)))
    if isinstance(value, Mapping):
        named = {key for key, each in value.items() if isinstance(each, str) and names_secret(key)}
        return {k: _MARK if k in named else without_secrets(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [without_secrets(each) for each in value]
    return value


def without_settings(text: str) -> str:
    """A printed configuration without the values whose names say that they are secret."""
    return _SETTING.sub(rf"\1{_MARK}", text)


class Clean:
    """A text stream that writes what `clean` leaves."""

    def __init__(self, stream: IO[str], clean: Callable[[str], str]) -> None:
        self._stream, self._clean = stream, clean

    def write(self, text: str) -> int:
        """Write `text` without secrets; returns its length, as a stream does."""
        self._stream.write(self._clean(text))
        return len(text)

    def writelines(self, lines: Iterable[str]) -> None:
        """Write every line."""
        for line in lines:
            self.write(line)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)


class ChmedError(Exception):
    """Base of every error that is reported as one message, without a traceback."""

    exit_code = 1

    def __init__(self, *words: object) -> None:
        super().__init__(*map(without_secrets, words))


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
    if data.startswith(b"PK\3\4"):
        return "it is a ZIP archive: unpack it, and name the file that it holds"
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
