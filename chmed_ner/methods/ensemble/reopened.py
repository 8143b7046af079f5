"""An ensemble for any text: its runs read it, and vote as they did."""

from collections.abc import Mapping, Sequence
from typing import Any

from chmed_ner.entities import Sentence, Span
from chmed_ner.methods.ensemble.election import STACKED, Election, Voters
from chmed_ner.methods.ensemble.stacking import NOTHING_KNOWN, known_from_json
from chmed_ner.run import Extractor


class VotingModel:
    """The models of the runs that vote, and what the ensemble has kept.

    KeyError, TypeError, ValueError or AttributeError: `content` is not what an ensemble keeps.
    """

    def __init__(self, models: Sequence[Extractor], content: Mapping[str, Any]) -> None:
        self._models, self._content = models, content
        stacked = content["voting"] == STACKED
        self._known = known_from_json(content["known"]) if stacked else NOTHING_KNOWN
        self._weights = [float(each["weight"]) for each in content["runs"]]
        self._types, self._nested = tuple(content["thresholds"]), bool(content["nested"])
        self._election([])

    def _election(self, texts: Sequence[str]) -> Election:
        """The election over what every run says of the texts; their ids are `0`, `1` ..."""
        votes = [
            {str(number): each.entities for number, each in enumerate(model.predict(texts))}
            for model in self._models
        ]
        voters = Voters(votes, self._weights, self._known, self._types, self._nested)
        return voters.kept(self._content)

    def find(self, texts: Sequence[str]) -> list[tuple[Span, ...]]:
        """The elected entities of each text."""
        return list(map(self._election(texts).elect, _sentences(texts)))

    def judge(
        self, texts: Sequence[str], spans: Sequence[Sequence[Span]]
    ) -> list[tuple[Span, ...]]:
        """The given entities of each text, with their share of the votes, 0 where nobody votes."""
        count = self._election(texts).count
        judged = []
        for sentence, given in zip(_sentences(texts), spans, strict=True):
            shares = {each.span: each.share for each in count(sentence)}
            judged.append(tuple(Span(s.start, s.end, s.type, shares.get(s, 0.0)) for s in given))
        return judged

    def close(self) -> None:
        """Free the models of the runs."""
        for model in self._models:
            model.close()


def _sentences(texts: Sequence[str]) -> list[Sentence]:
    return [Sentence(str(n), "predict", "", text) for n, text in enumerate(texts)]
