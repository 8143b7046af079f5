"""The organisers' `conlleval` as data: what it counts, and the text it prints."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from operator import eq
from types import MappingProxyType

from chmed_ner.entities.bio import OUTSIDE, chunks
from chmed_ner.entities.types import Scores, Span
from chmed_ner.errors import InputError
from chmed_ner.score.spans import scores_by_type, total


def count_chunks(gold: Sequence[str], predicted: Sequence[str]) -> dict[str, Scores]:
    """Gold, predicted and correct entities of one sentence by type.

    A predicted entity is correct where one starts in both with the same type and both end at the
    same place. As the rules close every chunk before they open another, this is the number of spans
    that both have. Raises InputError for a malformed tag or tags of different number.
    """
    if len(gold) != len(predicted):
        raise InputError(f"{len(gold)} gold tags, but {len(predicted)} predicted ones")
    return scores_by_type([(chunks(gold), chunks(predicted))])


@dataclass(frozen=True, slots=True)
class OfficialScores:
    """What `conlleval` knows of one genre.

    `tokens` and `correct_tags` count the separator lines too (as correct), `entity_tokens` the
    characters whose gold tag is not `O`. `per_type` holds each type found in gold or prediction.
    """

    tokens: int
    correct_tags: int
    entity_tokens: int
    correct_entity_tokens: int
    overall: Scores
    per_type: Mapping[str, Scores]

    @property
    def accuracy(self) -> float:
        """The share of correct tags in percent, separator lines included."""
        return 100 * self.correct_tags / self.tokens if self.tokens else 0.0

    @property
    def accuracy_non_o(self) -> float:
        """The same over the characters whose gold tag is not `O`; 0 where there are none."""
        if not self.entity_tokens:
            return 0.0
        return 100 * self.correct_entity_tokens / self.entity_tokens


@dataclass(frozen=True, slots=True)
class Macro:
    """The mean of several genres' figures, in percent."""

    accuracy: float
    precision: float
    recall: float
    f1: float


def score_sentences(
    gold: Iterable[Sequence[str]], predicted: Iterable[Sequence[str]], *, separators: int
) -> OfficialScores:
    """The official scores of sentences given in the same order.

    `separators` is the number of blank lines in the gold file: `conlleval` counts each as a token
    tagged `O` on both sides. Raises InputError, naming the sentence by its number from 1, for a
    malformed tag and where sentences or tags differ in number.
    """
    tokens, correct, entity_tokens, correct_entity_tokens = separators, separators, 0, 0
    pairs: list[tuple[tuple[Span, ...], tuple[Span, ...]]] = []
    for number, (wanted, given) in enumerate(zip_longest(gold, predicted), start=1):
        if wanted is None or given is None or len(wanted) != len(given):
            raise InputError(
                f"sentence {number}: {_amount(wanted)} in gold, {_amount(given)} predicted; "
                "both sides need the same sentences in the same order"
            )
        try:
            pairs.append((chunks(wanted), chunks(given)))
        except InputError as error:
            raise InputError(f"sentence {number}: {error}") from None
        entities = len(wanted) - list(wanted).count(OUTSIDE)
        tokens += len(wanted)
        entity_tokens += entities
        correct += sum(map(eq, wanted, given))
        if entities:
            correct_entity_tokens += sum(
                1 for a, b in zip(wanted, given, strict=True) if a == b != OUTSIDE
            )
    per_type = scores_by_type(pairs)
    return OfficialScores(
        tokens,
        correct,
        entity_tokens,
        correct_entity_tokens,
        total(per_type),
        MappingProxyType(per_type),
    )


def _amount(tags: Sequence[str] | None) -> str:
    return "no sentence" if tags is None else f"{len(tags)} tags"


def _percentages(scores: Scores) -> tuple[float, float, float]:
    return scores.precision, scores.recall, scores.f1


def _figures(scores: OfficialScores) -> tuple[float, float, float, float]:
    return (scores.accuracy, *_percentages(scores.overall))


def _mean(rows: Iterable[tuple[float, float, float, float]]) -> Macro:
    columns = list(zip(*rows, strict=True))
    if not columns:
        raise InputError("no genre to average; name at least one")
    return Macro(*(sum(column) / len(column) for column in columns))


def macro(genres: Mapping[str, OfficialScores]) -> Macro:
    """The mean of the genres' unrounded figures; InputError where there is no genre."""
    return _mean(_figures(scores) for scores in genres.values())


def _report(scores: OfficialScores) -> list[str]:
    overall = scores.overall
    precision, recall, f1 = _percentages(overall)
    lines = [
        f"processed {scores.tokens} tokens with {overall.gold} phrases; "
        f"found: {overall.predicted} phrases; correct: {overall.correct}.",
        f"accuracy: {scores.accuracy_non_o:6.2f}%; (non-O)",
        f"accuracy: {scores.accuracy:6.2f}%; "
        f"precision: {precision:6.2f}%; recall: {recall:6.2f}%; FB1: {f1:6.2f}",
    ]
    for type_, counts in scores.per_type.items():
        precision, recall, f1 = _percentages(counts)
        lines.append(
            f"{type_:>17s}: precision: {precision:6.2f}%; recall: {recall:6.2f}%; "
            f"FB1: {f1:6.2f}  {counts.predicted}"
        )
    return lines


def table(genres: Mapping[str, OfficialScores]) -> str:
    """The organisers' text, ending in a line end.

    One genre: exactly what `conlleval` prints. Several: each under its name, then the macro line,
    which averages the two-decimal figures of the genres as the organisers' script does. The last
    figure of a type's row is the number of entities predicted.
    """
    if len(genres) == 1:
        return "\n".join(_report(next(iter(genres.values())))) + "\n"
    blocks = ["\n".join([genre, *_report(scores)]) for genre, scores in genres.items()]
    mean = _mean(
        (round(a, 2), round(p, 2), round(r, 2), round(f, 2))
        for a, p, r, f in map(_figures, genres.values())
    )
    blocks.append(
        f"macro average of {len(genres)} genres\n"
        f"accuracy: {mean.accuracy:6.2f}%; precision: {mean.precision:6.2f}%; "
        f"recall: {mean.recall:6.2f}%; FB1: {mean.f1:6.2f}"
    )
    return "\n\n".join(blocks) + "\n"


def _json(scores: OfficialScores) -> dict[str, object]:
    precision, recall, f1 = _percentages(scores.overall)
    types: dict[str, dict[str, float]] = {}
    for type_, counts in scores.per_type.items():
        figures = dict(zip(("precision", "recall", "f1"), _percentages(counts), strict=True))
        types[type_] = {**figures, "predicted": counts.predicted}
    return {
        "tokens": scores.tokens,
        "gold_entities": scores.overall.gold,
        "predicted_entities": scores.overall.predicted,
        "correct_entities": scores.overall.correct,
        "accuracy": scores.accuracy,
        "accuracy_non_o": scores.accuracy_non_o,
        "precision": precision,
        "recall": recall,
        "f1": f1,
        "per_type": types,
    }


def as_json(genres: Mapping[str, OfficialScores]) -> dict[str, object]:
    """`{"genres": {NAME: figures}, "macro": figures}`: percent, unrounded.

    `macro` is the mean of the unrounded genre figures, unlike the text's macro line.
    """
    mean = macro(genres)
    return {
        "genres": {genre: _json(scores) for genre, scores in genres.items()},
        "macro": {
            "accuracy": mean.accuracy,
            "precision": mean.precision,
            "recall": mean.recall,
            "f1": mean.f1,
        },
    }
