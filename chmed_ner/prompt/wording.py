"""What a prompt may also say: what the categories mean, and hints: known mentions."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from chmed_ner.entities import LabelScheme, Mention, Sentence, Simplified
from chmed_ner.errors import InputError
from chmed_ner.knobs import Portion
from chmed_ner.prompt.formats.extraction import NONE

SCHEME = "labels"
"""The value of `types` that takes each type's own `definition` from conf/labels."""
_FIELD = re.compile(r"\{([^{}]*)\}")


@dataclass(frozen=True, kw_only=True)
class Definitions:
    """A definition for each type, and notes: lines of advice, all in traditional characters.

    `types` maps a type's tag to its definition, or is `labels`: those of the label scheme. `{TAG}`
    in them is replaced by that type's name.
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
        """The lines that follow the instruction, each with its newline, if there are any.

        InputError for a type without a definition, and for a field that names no type.
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


_HINTS = "{hints}"


@dataclass(frozen=True, kw_only=True)
class Hints:
    """The words of the hints, and which strings they list.

    `wording` maps a script to the words that follow the line of the sentence. Their `{hints}` are
    the strings that are an entity in a share of `threshold` of their occurrences in training.
    """

    name: str
    threshold: Portion
    wording: Mapping[str, str]

    def __post_init__(self) -> None:
        for script, words in self.wording.items():
            if not isinstance(words, str) or _HINTS not in words:
                raise InputError(
                    f"hints '{self.name}', wording.{script}={words!r}: must hold {_HINTS}"
                )

    def check(self, script: str) -> None:
        """InputError when there are no words in `script`."""
        if script not in self.wording or script not in NONE:
            raise InputError(
                f"hints '{self.name}' have no wording for script={script}; add the key "
                f"wording.{script}"
            )

    def words(self, mentions: Sequence[Mention], labels: LabelScheme, script: str) -> str:
        """What the model reads: `mention-category` for each, or the script's word for none."""
        listed = [f"{each.text}-{labels.name_of(each.type, script)}" for each in mentions]
        return self.wording[script].replace(_HINTS, "、".join(listed) or NONE[script])


class Hinting(Protocol):
    """Where hints come from."""

    def hints(self, model_text: str) -> tuple[Mention, ...]:
        """The hints for a text, distinct, in the order of their first occurrence."""

    def hints_without(self, sentence: Sentence) -> tuple[Mention, ...]:
        """The hints for a training sentence: what they would be had it not been in training."""
