"""Lexicon matches as numbered features, for a network that reads characters."""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from chmed_ner.entities.lexicon import Lexicon, entries_as_json, entries_from_json
from chmed_ner.methods.features import Rows, match_features

LEAST = 2
"""How often a feature must be met in training to have a number."""


class LexiconFeatures:
    """Numbers, from 1, the features of `match_features`; those never learnt have none."""

    def __init__(self, lexicon: Lexicon, numbers: Mapping[str, int]) -> None:
        self.lexicon = lexicon
        self.numbers = numbers

    def __len__(self) -> int:
        return len(self.numbers)

    def __call__(self, text: str) -> list[list[int]]:
        """The features of each character of `text`."""
        return self.numbered(match_features(self.lexicon, text))

    def numbered(self, rows: Rows) -> list[list[int]]:
        """The numbers of features that are computed already."""
        return [[self.numbers[name] for name in row if name in self.numbers] for row in rows]

    def as_json(self) -> dict[str, Any]:
        """Everything it consists of, as JSON."""
        return {"entries": entries_as_json(self.lexicon), "features": list(self.numbers)}


def learnt(lexicon: Lexicon, rows: Sequence[Rows]) -> LexiconFeatures:
    """The features met LEAST times in `rows`, those of the training sentences."""
    met = Counter(name for sentence in rows for row in sentence for name in row)
    return _numbered(lexicon, sorted(name for name, count in met.items() if count >= LEAST))


def from_json(content: Mapping[str, Any]) -> LexiconFeatures:
    """What `as_json` gave; KeyError, TypeError, ValueError or AttributeError for anything else."""
    return _numbered(entries_from_json(content["entries"]), content["features"])


def _numbered(lexicon: Lexicon, names: Sequence[str]) -> LexiconFeatures:
    return LexiconFeatures(lexicon, {str(name): at for at, name in enumerate(names, start=1)})
