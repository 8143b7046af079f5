"""Tags in the dialects that people write, as the organisers' scorer knows them.

`B-X`, `B_X` or `X-B`; prefixes in lower case or full width, other hyphens; BIO, IOB1, BIOES, BMES,
BILOU, BMEWO. In the scorer's words M is I, L is E, U and W are S; its chunk rules then fit all.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable, Mapping, Sequence
from itertools import pairwise

from chmed_ner.entities import OUTSIDE

_PLAIN = {**dict(zip("BIESO", "BIESO", strict=True)), "M": "I", "L": "E", "U": "S", "W": "S"}
SCHEMES: Mapping[str, str] = {
    "BIO": "BI",
    "BIOES": "BIES",
    "BMES": "BMES",
    "BILOU": "BILU",
    "BMEWO": "BMEW",
    "IOB1": "BI",
}
"""The prefixes of each scheme, beside `O`."""

_NO_ENTITY = frozenset("Oo0ＯｏＯ０")
_HYPHEN = "[-_\u2010-\u2015\u2212\ufe63\uff0d\uff3f]"
_ORDERS = {"B-X": re.compile(f"(?s)(?P<prefix>.){_HYPHEN}(?P<type>.+)"),
           "X-B": re.compile(f"(?s)(?P<type>.+){_HYPHEN}(?P<prefix>.)")}  # fmt: skip

Tag = tuple[str, str]
"""A tag's prefix as written, in plain capitals, and its type."""


def split(tag: str, order: str) -> Tag | None:
    """The parts of a tag whose order is `B-X` or `X-B`; None: it is none."""
    if tag in _NO_ENTITY:
        return OUTSIDE, ""
    found = _ORDERS[order].fullmatch(tag)
    prefix = unicodedata.normalize("NFKC", found["prefix"]).upper() if found else ""
    return (prefix, found["type"]) if found and prefix in _PLAIN else None


def order_of(tags: Collection[str]) -> str | None:
    """The order that all `tags` have; None: they are no tags, or no such column was found."""
    fitting = (order for order in _ORDERS if all(split(tag, order) for tag in tags))
    return next(fitting, None) if tags else None


def plain(tag: Tag) -> str:
    """The tag in the scorer's words."""
    prefix, type_ = _PLAIN[tag[0]], tag[1]
    return OUTSIDE if prefix == OUTSIDE else f"{prefix}-{type_}"


def scheme_of(sentences: Iterable[Sequence[Tag]]) -> str:
    """The scheme of a file; prefixes of several are listed as they are."""
    found: set[str] = set()
    begun = fresh = 0
    for tags in sentences:
        for before, tag in pairwise([(OUTSIDE, ""), *tags]):
            found.add(tag[0])
            goes_on = before[0] != OUTSIDE and before[1] == tag[1]
            begun += tag[0] == "I" and not goes_on
            fresh += tag[0] == "B" and not goes_on
    found.discard(OUTSIDE)
    if found <= {"B", "I"}:
        return "IOB1" if begun and not fresh else "BIO"
    fitting = (name for name, prefixes in SCHEMES.items() if found.issubset(prefixes))
    return next(fitting, f"mixed ({', '.join(sorted(found))})")
