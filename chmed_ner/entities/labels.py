"""Label schemes, and the script in which a model reads text and labels.

OpenCC's `t2s` keeps the length of a text, so positions hold in the original; `tw2sp` does not.
"""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache, cached_property
from typing import Any, Protocol

from chmed_ner.entities.types import Sentence
from chmed_ner.errors import InputError


@dataclass(frozen=True, slots=True)
class Label:
    """One entity type: its tag in the files, its names for a prompt, a one-line definition."""

    tag: str
    traditional: str
    simplified: str
    definition: str = ""
    aliases: tuple[str, ...] = ()
    symbols: bool = False  # may a mention be a symbol that reads as a word for none, as `Na` does?

    def name(self, script: str) -> str:
        """The category's name in `script`, `simplified` or `traditional`."""
        return self.traditional if script == "traditional" else self.simplified


def folded(name: str) -> str:
    """`name` as names compare: NFKC, without white space, in lower case."""
    return "".join(unicodedata.normalize("NFKC", name).split()).casefold()


class LabelScheme:
    """The types of a corpus in official order; `longest` is the longest name's length.

    `nested`: an entity may lie inside another.

    InputError: two types share a tag, a name or an alias, or a name is not one line of text.
    """

    def __init__(self, name: str, labels: Sequence[Label], *, nested: bool = False) -> None:
        if not labels:
            raise InputError(f"labels '{name}': no types given; list at least one under `types`")
        self.name = name
        self.nested = nested
        self.labels = tuple(labels)
        self.tags = tuple(label.tag for label in self.labels)
        self.longest = 0
        self._by_tag = {label.tag: label for label in self.labels}
        self._by_name: dict[str, str] = {}
        for label in self.labels:
            if self.tags.count(label.tag) > 1 or label.tag.split() != [label.tag]:
                raise InputError(
                    f"labels '{name}': {label.tag!r} cannot be a type; give each type a tag of its "
                    "own, without white space"
                )
            for spelling in (label.tag, label.traditional, label.simplified, *label.aliases):
                self._add(label.tag, spelling)

    def _add(self, tag: str, spelling: str) -> None:
        if not folded(spelling) or spelling.strip().splitlines() != [spelling]:
            raise InputError(
                f"labels '{self.name}', type {tag}: {spelling!r} is not a name; give one line of "
                "text without white space around it"
            )
        owner = self._by_name.setdefault(folded(spelling), tag)
        if owner != tag:
            raise InputError(
                f"labels '{self.name}': '{spelling}' names both {owner} and {tag}; "
                "a name or alias must belong to one type"
            )
        self.longest = max(self.longest, len(spelling))

    def tag_of(self, name: str) -> str | None:
        """The tag of a name or alias in any script or width, else None."""
        return self._by_name.get(name) or self._by_name.get(folded(name))

    def names(self, script: str) -> tuple[str, ...]:
        """The category names in `script`, in official order."""
        return tuple(label.name(script) for label in self.labels)

    def name_of(self, tag: str, script: str) -> str:
        """The category name of `tag` in `script`; KeyError for a tag outside the scheme."""
        return self._by_tag[tag].name(script)

    def has_symbols(self, tag: str) -> bool:
        """May a mention of this type be a symbol such as `Na`, which reads as a word for none?"""
        return self._by_tag[tag].symbols


_TEXTS = ("traditional", "simplified", "definition")
_KEYS = (*_TEXTS, "aliases", "symbols")


def label_scheme(
    name: str, types: Mapping[str, Mapping[str, object] | None], *, nested: bool = False
) -> LabelScheme:
    """The scheme of a `conf/labels/*.yaml` file: `types: {TAG: {traditional, ...}}`, `nested`.

    `simplified` and `traditional` default to each other, then to the tag. InputError: a wrong key,
    or what YAML reads as something else than text.
    """
    if not isinstance(nested, bool):
        raise InputError(f"labels '{name}': nested={nested!r} must be true or false")
    return LabelScheme(
        name, [_label(name, tag, entry) for tag, entry in types.items()], nested=nested
    )


def _check_text(where: str, value: object) -> None:
    if not isinstance(value, str):
        raise InputError(
            f"{where}: {value!r} is not text: YAML reads numbers, and words such as no, off, yes, "
            'on and null, as other values; write it in quotes, such as "NO"'
        )


def _label(name: str, tag: str, entry: Mapping[str, object] | None) -> Label:
    where = f"labels '{name}', type {tag}"
    _check_text(where, tag)
    entry = {} if entry is None else entry
    if not isinstance(entry, Mapping):
        raise InputError(f"{where}: {entry!r} must map some of: {', '.join(_KEYS)}")
    if unknown := [key for key in entry if key not in _KEYS]:
        raise InputError(f"{where}: unknown key {unknown[0]!r}; allowed: {', '.join(_KEYS)}")
    aliases = entry.get("aliases") or ()
    if isinstance(aliases, str) or not isinstance(aliases, Sequence):
        raise InputError(f"{where}: aliases must be a list of names")
    if not isinstance(symbols := entry.get("symbols", False), bool):
        raise InputError(f"{where}: symbols={symbols!r} must be true or false")
    names = [entry[key] for key in _TEXTS if entry.get(key) is not None]
    for text in [*names, *aliases]:
        _check_text(where, text)
    traditional = str(entry.get("traditional") or entry.get("simplified") or tag)
    return Label(
        tag=tag,
        traditional=traditional,
        simplified=str(entry.get("simplified") or traditional),
        definition=str(entry.get("definition") or ""),
        aliases=tuple(map(str, aliases)),
        symbols=symbols,
    )


_SURROGATE = re.compile("[\ud800-\udfff]")


class Script(Protocol):
    """A one-to-one rewriting of text."""

    @property
    def name(self) -> str:
        """`simplified` or `traditional`."""

    def convert(self, text: str) -> str:
        """`text` in this script, of the same length; InputError when it has no such form."""


class Traditional(Script):
    """Leaves the text alone, for the ablation of the conversion."""

    name = "traditional"

    def convert(self, text: str) -> str:
        """`text` itself."""
        return text


class Simplified(Script):
    """Traditional -> Simplified by OpenCC's `t2s`."""

    name = "simplified"

    @cached_property
    def _converter(self) -> Any:
        import opencc

        return opencc.OpenCC("t2s")

    def convert(self, text: str) -> str:
        """`text` in simplified characters, of the same length."""
        try:
            converted = str(self._converter.convert(text))
        except UnicodeEncodeError as error:
            raise InputError(
                f"{text[:30]!r}...: character {error.start + 1} is the lone surrogate "
                f"{text[error.start]!r}, which is not text; repair the source"
            ) from None
        if len(converted) != len(text):
            raise InputError(
                f"{text[:30]!r}...: OpenCC turned {len(text)} characters into {len(converted)}; "
                "use script=traditional for this text"
            )
        return converted


_SIMPLIFIED = Simplified()
_FIRST_IDEOGRAPH = "\u3400"  # a character before it has no simplified form
_VARIANTS = dict(zip("著瞭藉甦沈衞痺", "着了借苏沉卫痹", strict=True))
"""What `t2s` leaves as it is, or simplifies next to some characters only."""


@cache
def simplified_character(character: str) -> str:
    """What one character is compared as whatever its script and its neighbours: its simplified
    form by OpenCC's `t2s`; itself where it has none."""
    if character < _FIRST_IDEOGRAPH or _SURROGATE.match(character):
        return character
    simplified = _SIMPLIFIED.convert(character)
    return _VARIANTS.get(simplified, simplified)


def convert_leniently(script: Script, text: str) -> tuple[str, int]:
    """Any text in `script`, and how many lone surrogates became U+FFFD; nothing is raised."""
    try:
        text.encode("utf-8")
        return script.convert(text), 0
    except (UnicodeEncodeError, InputError):
        clean, odd = _SURROGATE.subn("\ufffd", text)
        return "".join(_converted(script, character) for character in clean), odd


def _converted(script: Script, character: str) -> str:
    try:
        return script.convert(character)
    except InputError:
        return character


def in_script(script: Script, sentences: tuple[Sentence, ...]) -> tuple[Sentence, ...]:
    """The sentences with `model_text` filled in; InputError naming the sentence that resists."""
    converted = []
    for sentence in sentences:
        try:
            converted.append(replace(sentence, model_text=script.convert(sentence.text)))
        except InputError as error:
            raise InputError(f"sentence {sentence.id}: {error}") from None
    return tuple(converted)
