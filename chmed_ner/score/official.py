"""The organisers' `conlleval` as data: what it counts, and the text it prints."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import zip_longest
from operator import eq

from chmed_ner.entities import OUTSIDE, Scores, Span, chunks
from chmed_ner.errors import InputError
from chmed_ner.score.spans import scores_by_type, total


@dataclass(frozen=True, slots=True)
class OfficialScores:
    """What `conlleval` knows of one genre.

    `tokens` and `correct_tags` count the separator lines too (as correct), `entity_tokens` the
    characters whose gold tag is not `O`.
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
        return 100 * self.correct_tags / max(self.tokens, 1)

    @property
    def accuracy_non_o(self) -> float:
        """The same over the characters whose gold tag is not `O`."""
        return 100 * self.correct_entity_tokens / max(self.entity_tokens, 1)


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
    """The official scores of sentences in one order; `separators` counts the gold's blank lines.

    InputError names the sentence, from 1: a malformed tag, or sentences that differ in number.
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
            pairs_of_tags = zip(wanted, given, strict=True)
            correct_entity_tokens += sum(a == b != OUTSIDE for a, b in pairs_of_tags)
    per_type = scores_by_type(pairs)
    return OfficialScores(
        tokens, correct, entity_tokens, correct_entity_tokens, total(per_type), per_type
    )


def _amount(tags: Sequence[str] | None) -> str:
    return "no sentence" if tags is None else f"{len(tags)} tags"


def _percentages(scores: Scores) -> dict[str, float]:
    return {"precision": scores.precision, "recall": scores.recall, "f1": scores.f1}


def _figures(scores: OfficialScores) -> list[float]:
    return [scores.accuracy, *_percentages(scores.overall).values()]


def _mean(rows: Iterable[Sequence[float]]) -> Macro:
    columns = list(zip(*rows, strict=True))
    if not columns:
        raise InputError("no genre to average; name at least one")
    return Macro(*(sum(column) / len(column) for column in columns))


def macro(genres: Mapping[str, OfficialScores]) -> Macro:
    """The mean of the genres' unrounded figures; InputError where there is no genre."""
    return _mean(_figures(scores) for scores in genres.values())


def _report(scores: OfficialScores) -> list[str]:
    overall = scores.overall
    lines = [
        f"processed {scores.tokens} tokens with {overall.gold} phrases; "
        f"found: {overall.predicted} phrases; correct: {overall.correct}.",
        f"accuracy: {scores.accuracy_non_o:6.2f}%; (non-O)",
        f"accuracy: {scores.accuracy:6.2f}%; {_text(overall)}",
    ]
    return lines + [
        f"{type_:>17s}: {_text(counts)}  {counts.predicted}"
        for type_, counts in scores.per_type.items()
    ]


def _text(found: Scores | Macro) -> str:
    return f"precision: {found.precision:6.2f}%; recall: {found.recall:6.2f}%; FB1: {found.f1:6.2f}"


def score_table(genres: Mapping[str, OfficialScores]) -> str:
    """The organisers' text, ending in a line end; one genre is exactly what `conlleval` prints.

    The macro line averages the two-decimal figures of the genres, as the organisers' script does.
    The last figure of a type's row is the number of entities predicted.
    """
    if len(genres) == 1:
        return "\n".join(_report(next(iter(genres.values())))) + "\n"
    blocks = ["\n".join([genre, *_report(scores)]) for genre, scores in genres.items()]
    mean = _mean([round(figure, 2) for figure in _figures(each)] for each in genres.values())
    blocks.append(
        f"macro average of {len(genres)} genres\naccuracy: {mean.accuracy:6.2f}%; {_text(mean)}"
    )
    return "\n\n".join(blocks) + "\n"


def _json(scores: OfficialScores) -> dict[str, object]:
    return {
        "tokens": scores.tokens,
        "gold_entities": scores.overall.gold,
        "predicted_entities": scores.overall.predicted,
        "correct_entities": scores.overall.correct,
        "accuracy": scores.accuracy,
        "accuracy_non_o": scores.accuracy_non_o,
        **_percentages(scores.overall),
        "per_type": {
            type_: {**_percentages(counts), "predicted": counts.predicted}
            for type_, counts in scores.per_type.items()
        },
    }


def scores_json(genres: Mapping[str, OfficialScores]) -> dict[str, object]:
    """`{"genres": {NAME: figures}, "macro": figures}`, in percent, unrounded."""
    return {
        "genres": {genre: _json(scores) for genre, scores in genres.items()},
        "macro": asdict(macro(genres)),
    }
