"""A prompt's own example sentences, answered before the question; none is from a corpus."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated

from chmed_ner.entities import LabelScheme, Sentence, Simplified, chunks, in_text_order
from chmed_ner.errors import InputError
from chmed_ner.knobs import TEXTS
from chmed_ner.prompt.formats.inline import Inline


@dataclass(frozen=True, kw_only=True)
class Examples:
    """`sentences` in traditional characters, their entities marked: `[高血壓|DISE]傷[腦|BODY]。`"""

    name: str
    sentences: Annotated[Sequence[str], TEXTS]

    def read(self, labels: LabelScheme, script: str) -> tuple[Sentence, ...]:
        """The sentences as a model reads them; InputError for marks or a type that are wrong."""
        return tuple(self._sentence(marked, labels, script) for marked in self.sentences)

    def _sentence(self, marked: str, labels: LabelScheme, script: str) -> Sentence:
        problems: Counter[str] = Counter()
        text, layers, _ = Inline().read(marked, labels, problems)
        if problems.total():
            raise InputError(
                f"examples '{self.name}': {marked!r} needs marks such as [高血壓|DISE], of types "
                f"of the label scheme '{labels.name}' ({', '.join(labels.tags)}); or use "
                "examples@prompt.examples=none"
            )
        shown = Simplified().convert(text) if script == Simplified.name else text
        entities = in_text_order(span for tags in layers for span in chunks(tags))
        return Sentence("", "example", "", text, None, entities, shown)
