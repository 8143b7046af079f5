"""A label scheme: the entity types of a corpus and what they are called in a prompt."""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chmed_ner.errors import InputError


@dataclass(frozen=True, slots=True)
class Label:
    """One entity type: its tag in the files, its names for a prompt, a one-line definition."""

    tag: str
    traditional: str
    simplified: str
    definition: str = ""
    aliases: tuple[str, ...] = ()

    def name(self, script: str) -> str:
        """The category's name in `script`, `simplified` or `traditional`."""
        return self.traditional if script == "traditional" else self.simplified


def folded(name: str) -> str:
    """`name` under NFKC, without white space, in lower case: the form in which names are compared."""
    return "".join(unicodedata.normalize("NFKC", name).split()).casefold()


class LabelScheme:
    """The types of a corpus in their official order.

    Raises InputError when two types share a tag, a name or an alias: an answer could not be read.
    """

    def __init__(self, name: str, labels: Sequence[Label]) -> None:
        if not labels:
            raise InputError(f"labels '{name}': no types given; list at least one under `types`")
        self.name = name
        self.labels = tuple(labels)
        self.tags = tuple(label.tag for label in self.labels)
        self._by_name: dict[str, str] = {}
        for label in self.labels:
            for spelling in (label.tag, label.traditional, label.simplified, *label.aliases):
                owner = self._by_name.setdefault(folded(spelling), label.tag)
                if owner != label.tag:
                    raise InputError(
                        f"labels '{name}': '{spelling}' names both {owner} and {label.tag}; "
                        "a name or alias must belong to one type"
                    )

    def tag_of(self, name: str) -> str | None:
        """The tag that `name` (in any script, width or listed alias) stands for, else None."""
        return self._by_name.get(folded(name))

    def names(self, script: str) -> tuple[str, ...]:
        """The category names in `script`, in the official order."""
        return tuple(label.name(script) for label in self.labels)

    def name_of(self, tag: str, script: str) -> str:
        """The category name of `tag` in `script`; KeyError for a tag outside the scheme."""
        for label in self.labels:
            if label.tag == tag:
                return label.name(script)
        raise KeyError(tag)


def label_scheme(name: str, types: Mapping[str, Mapping[str, object]]) -> LabelScheme:
    """The scheme that a `conf/labels/*.yaml` file describes: `types: {TAG: {traditional, ...}}`.

    `simplified` and `traditional` default to each other, then to the tag.
    """
    allowed = {"traditional", "simplified", "definition", "aliases"}
    labels = []
    for tag, entry in types.items():
        if unknown := set(entry) - allowed:
            raise InputError(
                f"labels '{name}', type {tag}: unknown key {sorted(unknown)[0]!r}; allowed: "
                + ", ".join(sorted(allowed))
            )
        traditional = str(entry.get("traditional") or entry.get("simplified") or tag)
        aliases = entry.get("aliases") or ()
        if isinstance(aliases, str) or not isinstance(aliases, Sequence):
            raise InputError(f"labels '{name}', type {tag}: aliases must be a list of names")
        labels.append(
            Label(
                tag=str(tag),
                traditional=traditional,
                simplified=str(entry.get("simplified") or traditional),
                definition=str(entry.get("definition") or ""),
                aliases=tuple(map(str, aliases)),
            )
        )
    return LabelScheme(name, labels)
