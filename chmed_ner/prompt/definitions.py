"""What the categories mean, in the words of `conf/definitions/*.yaml`, for the instruction."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from chmed_ner.entities.labels import LabelScheme, Simplified
from chmed_ner.errors import InputError

SCHEME = "labels"
"""The value of `types` that takes each type's own `definition` from conf/labels."""
_FIELD = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, kw_only=True)
class Definitions:
    """A definition for each type and notes on what is easily confused.

    `types` maps a type's tag to its definition, or is `labels`: the definitions of the label scheme
    itself; empty for none. `notes` are lines of advice. All words are in traditional characters and
    become simplified ones by OpenCC where the prompt is in that script; `{TAG}` in them is replaced
    by that type's name. Raises InputError for another shape.
    """

    name: str
    heading: str
    types: Mapping[str, str] | str
    notes_heading: str
    notes: Sequence[str]

    def __post_init__(self) -> None:
        listed = isinstance(self.notes, Sequence) and not isinstance(self.notes, str)
        if not listed or not all(isinstance(note, str) and note.strip() for note in self.notes):
            raise InputError(
                f"definitions '{self.name}', notes={self.notes!r}: must be a list of lines"
            )
        if self.types != SCHEME and not isinstance(self.types, Mapping):
            raise InputError(
                f"definitions '{self.name}', types={self.types!r}: must map a type's tag to its "
                f"definition, or be `{SCHEME}` for the definitions of the label scheme"
            )

    def text(self, labels: LabelScheme, script: str) -> str:
        """The lines that follow the instruction, each with its newline; empty without definitions.

        InputError for a type of `labels` without a definition, and for a field that names none.
        """
        lines = []
        if self.types:
            lines += [self.heading, *(self._line(tag, labels) for tag in labels.tags)]
        if self.notes:
            lines += [self.notes_heading, *self.notes]
        text = "".join(f"{line}\n" for line in lines if line)
        if script == "simplified" and text:
            text = Simplified().convert(text)
        return _FIELD.sub(lambda field: self._named(field[1], labels, script), text)

    def _line(self, tag: str, labels: LabelScheme) -> str:
        if isinstance(self.types, Mapping):
            definition, place = self.types.get(tag), "types"
        else:
            label = labels.labels[labels.tags.index(tag)]
            definition, place = label.definition, f"conf/labels/{labels.name}.yaml"
        if not isinstance(definition, str) or not definition.strip():
            raise InputError(
                f"definitions '{self.name}': type {tag} of the label scheme '{labels.name}' has no "
                f"definition; add it under {place}, or use definitions@prompt.definitions=none"
            )
        return f"{{{tag}}}：{' '.join(definition.split())}"

    def _named(self, tag: str, labels: LabelScheme, script: str) -> str:
        if tag not in labels.tags:
            raise InputError(
                f"definitions '{self.name}': {{{tag}}} is no type of the label scheme "
                f"'{labels.name}' ({', '.join(labels.tags)})"
            )
        return labels.name_of(tag, script)
