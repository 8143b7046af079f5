"""Scores of entities inside others, and the metrics of a nested corpus."""

from dataclasses import replace
from typing import Any

import pytest

from chmed_ner.entities import POLICIES, Scores, Sentence, Span, gold_mentions
from chmed_ner.errors import InputError
from chmed_ner.score import Answers, pairings, run_metrics
from chmed_ner.score.spans import nesting_scores

OUTER, INNER, OTHER = Span(0, 4, "dis"), Span(0, 2, "bod"), Span(5, 6, "bod")
GOLD = (OUTER, INNER, OTHER)


@pytest.mark.parametrize(
    ("predicted", "outermost", "inside"),
    [
        (GOLD, Scores(2, 2, 2), Scores(1, 1, 1)),
        ((OUTER, OTHER), Scores(2, 2, 2), Scores(1, 0, 0)),
        ((INNER,), Scores(2, 0, 0), Scores(1, 1, 1)),  # gold has it inside, though it stands alone
        ((OUTER, Span(1, 2, "bod")), Scores(2, 1, 1), Scores(1, 1, 0)),
        ((Span(0, 4, "sym"), INNER), Scores(2, 1, 0), Scores(1, 1, 1)),
        ((), Scores(2, 0, 0), Scores(1, 0, 0)),
    ],
)
def test_outermost_and_inside(
    predicted: tuple[Span, ...], outermost: Scores, inside: Scores
) -> None:
    assert nesting_scores([(GOLD, predicted)]) == {"outermost": outermost, "inside": inside}


def test_every_entity_is_in_one_pairing() -> None:
    found = pairings(GOLD, [OUTER, Span(1, 2, "bod"), Span(5, 6, "dis")])
    kinds = [(each.kind, each.gold, each.predicted) for each in found]
    assert kinds == [
        ("correct", OUTER, OUTER),
        ("type", OTHER, Span(5, 6, "dis")),
        ("boundary", INNER, Span(1, 2, "bod")),
    ]


SENTENCES = [
    Sentence("a", "test", "G", "肺炎甲乙與肺", None, GOLD, "肺炎甲乙与肺"),
    Sentence("b", "test", "G", "無事", ("O", "O"), (), "无事"),
]


def answers(predicted: tuple[Span, ...], **changed: Any) -> Answers:
    spans = {"a": predicted, "b": ()}
    mentions = {sentence.id: gold_mentions(sentence) for sentence in SENTENCES}
    given: dict[str, Any] = {
        "sentences": SENTENCES, "spans": dict.fromkeys(POLICIES, spans),
        "headline": "longest_first", "placed": spans, "mentions": mentions, "targets": mentions,
        "training_mentions": (), "types": ("dis", "bod"), "problems": {}, "completions": 2,
        "seed": 1, "resamples": 10, "nested": True,
    }  # fmt: skip
    return Answers(**given | changed)


def test_metrics_of_a_nested_corpus() -> None:
    metrics = run_metrics(answers((OUTER, INNER)))
    assert metrics["test/precision"] == 100
    assert metrics["test/recall"] == pytest.approx(200 / 3)
    assert metrics["test/G/bod/f1"] == pytest.approx(200 / 3)
    figures = {name: value for name, value in metrics.items() if name.startswith("nested/")}
    assert figures == {
        "nested/outermost/f1": pytest.approx(200 / 3),
        "nested/outermost/precision": 100,
        "nested/outermost/recall": 50,
        "nested/inside/f1": 100,
        "nested/inside/precision": 100,
        "nested/inside/recall": 100,
    }
    assert "test/tag_f1" not in metrics  # there are no tags
    assert metrics["error/missed"] == 1
    assert metrics["restore/longest_first/ceiling_f1"] == 100
    assert metrics["restore/in_order/ceiling_f1"] < 100  # the last mention also fits inside


def test_a_flat_corpus_has_none_of_them() -> None:
    flat = [replace(SENTENCES[1], entities=(), id="a"), SENTENCES[1]]
    metrics = run_metrics(answers((), sentences=flat, nested=False))
    assert "test/tag_f1" in metrics
    assert not any(name.startswith("nested/") for name in metrics)


@pytest.mark.parametrize(
    ("predicted", "changed", "message"),
    [
        ((OUTER, Span(2, 5, "bod")), {}, "sentence a: .*not inside it"),
        ((OUTER, OUTER), {}, "sentence a: .*not inside it"),
        (GOLD, {"nested": False}, "sentence a: has no gold tags"),
    ],
)
def test_what_cannot_be_scored(
    predicted: tuple[Span, ...], changed: dict[str, Any], message: str
) -> None:
    with pytest.raises(InputError, match=message):
        answers(predicted, **changed)
