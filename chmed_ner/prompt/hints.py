"""Hints: the strings of a lexicon that a sentence holds, with their categories."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from chmed_ner.entities.labels import LabelScheme
from chmed_ner.entities.types import Mention, Sentence
from chmed_ner.errors import InputError

FIELD = "{hints}"
_NONE = {"simplified": "无", "traditional": "無"}


class Hints:
    """The words of the hints, and which strings they list.

    `wording` maps a script to what stands behind the line of the sentence, `{hints}` in it the
    list. Listed are the strings that are an entity in a share of `threshold` (0 to 1) at least of
    their occurrences in the training split. Raises InputError for anything else.
    """

    def __init__(self, name: str, threshold: float, wording: Mapping[str, str]) -> None:
        if not 0 <= threshold <= 1:
            raise InputError(f"prompt.hints.threshold={threshold}: give a number from 0 to 1")
        for script, words in wording.items():
            if not isinstance(words, str) or FIELD not in words:
                raise InputError(f"hints '{name}', wording.{script}={words!r}: must hold {FIELD}")
        self.name = name
        self.threshold = threshold
        self.wording = wording

    def check(self, script: str) -> None:
        """InputError when there are no words in `script`."""
        if script not in self.wording or script not in _NONE:
            raise InputError(
                f"hints '{self.name}' have no wording for script={script}; add the key "
                f"wording.{script}"
            )

    def words(self, mentions: Sequence[Mention], labels: LabelScheme, script: str) -> str:
        """What the model reads: `mention-category` for each, or the script's word for none."""
        listed = [f"{each.text}-{labels.name_of(each.type, script)}" for each in mentions]
        return self.wording[script].replace(FIELD, "、".join(listed) or _NONE[script])


def no_hints() -> None:
    """What `hints@prompt.hints=none` stands for."""


class Hinting(Protocol):
    """Where hints come from."""

    def hints(self, model_text: str) -> tuple[Mention, ...]:
        """The hints for a text, distinct, in the order of their first occurrence."""

    def hints_without(self, sentence: Sentence) -> tuple[Mention, ...]:
        """The hints for a training sentence: what they would be had it not been in training."""
