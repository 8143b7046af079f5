"""Text from data as HTML text: nothing in it acts, nothing in it hides."""

import html
import unicodedata

# Controls, format characters (bidi controls and zero-width characters among them), lone surrogates,
# line and paragraph separators: they act on the page or cannot be seen, so they are named instead.
_NAMED = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})


def plain(text: str, *, keep: str = "") -> str:
    """`text` with each character that acts or cannot be seen as `U+XXXX`, those in `keep` as is.

    The result can be encoded as UTF-8; it is not escaped for HTML.
    """
    if text.isprintable():
        return text
    return "".join(
        f"U+{ord(character):04X}" if character not in keep and is_named(character) else character
        for character in text
    )


def visible(text: str, *, keep: str = "") -> str:
    """`text` as the HTML content of an element, as `plain` shows it.

    The named characters stand in an element of their own (class `u`), so that they differ from a
    text that really says `U+202E`. Not for attributes, nor for `title`: escape `plain` there.
    """
    if text.isprintable():
        return html.escape(text)
    return "".join(
        f'<i class="u">U+{ord(character):04X}</i>'
        if character not in keep and is_named(character)
        else html.escape(character)
        for character in text
    )


def is_named(character: str) -> bool:
    """Whether `character` acts, hides, or (a noncharacter) has no place in an HTML document."""
    code = ord(character)
    return (
        unicodedata.category(character) in _NAMED
        or code & 0xFFFE == 0xFFFE
        or 0xFDD0 <= code <= 0xFDEF
    )
