"""Tags in the dialects that people write, as the organisers' scorer knows them.

`B-X`, `B_X` or `X-B`; prefixes in lower case or full width, other hyphens; BIO, IOB1, BIOES, BMES,
BILOU, BMEWO. In the scorer's words M is I, L is E, U and W are S; its chunk rules then fit all.
"""

import re
import unicodedata
from collections.abc import Collection, Container, Iterable, Sequence
from itertools import pairwise

from chmed_ner.entities import OUTSIDE

SCHEMES = {"BIO": "BI", "BIOES": "BIES", "BMES": "BMES", "BILOU": "BILU", "BMEWO": "BMEW",
           "IOB1": "BI"}  # fmt: skip
"""The prefixes of each scheme, beside `O`."""
_HYPHEN = "[-_\u2010-\u2015\u2212\ufe63\uff0d\uff3f]"
_ORDERS = {"B-X": re.compile(f"(?s)(?P<prefix>.){_HYPHEN}(?P<type>.+)"),
           "X-B": re.compile(f"(?s)(?P<type>.+){_HYPHEN}(?P<prefix>.)")}  # fmt: skip


def split(tag: str, order: str, prefixes: Container[str]) -> tuple[str, str] | None:
    """The prefix as a plain capital, and the type; None: no tag of that order and prefixes."""
    if tag in {"O", "o", "0", "\uff2f", "\uff4f", "\uff10"}:
        return OUTSIDE, ""
    found = _ORDERS[order].fullmatch(tag)
    prefix = unicodedata.normalize("NFKC", found["prefix"]).upper() if found else ""
    return (prefix, found["type"]) if found and prefix in prefixes else None


def order_of(tags: Collection[str], prefixes: Container[str]) -> str | None:
    """The order that all `tags` have, `B-X` or `X-B`; None: they have none in common."""
    fitting = (each for each in _ORDERS if all(split(tag, each, prefixes) for tag in tags))
    return next(fitting, None)


def plain(prefix: str, type_: str) -> str:
    """The tag in the scorer's words."""
    known = prefix.translate(str.maketrans("MLUW", "IESS"))
    return OUTSIDE if prefix == OUTSIDE else f"{known}-{type_}"


def scheme_of(sentences: Iterable[Sequence[tuple[str, str]]]) -> str:
    """The scheme of a file's tags; in IOB1 an entity begins with B only after one of its type."""
    pairs = {pair for tags in sentences for pair in pairwise([(OUTSIDE, ""), *tags])}
    found = {tag[0] for _, tag in pairs} - {OUTSIDE}
    alone = {tag[0] for before, tag in pairs if before[0] == OUTSIDE or before[1] != tag[1]}
    if found <= {"B", "I"}:
        return "IOB1" if "I" in alone and "B" not in alone else "BIO"
    fitting = (name for name, prefixes in SCHEMES.items() if found.issubset(prefixes))
    return next(fitting, f"mixed ({', '.join(sorted(found))})")
