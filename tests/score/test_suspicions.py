"""Annotations that are probably wrong: kinds, evidence, order."""

import json
from dataclasses import replace

import pytest

from chmed_ner.entities import Sentence, Span
from chmed_ner.score import plant, suggestion_record, suggestions
from chmed_ner.score.suspicions import Suggestion, differences

TYPES = ("DISE", "BODY", "SYMP")


def sentence(number: int, text: str, *entities: Span) -> Sentence:
    return Sentence(f"WA/{number}", "test", "WA", text, None, entities, text)


CORPUS = [
    sentence(1, "他有高血壓。", Span(2, 5, "DISE")),
    sentence(2, "她也有高血壓。"),
    sentence(3, "得了高血壓。", Span(2, 5, "BODY")),
    sentence(4, "是高血壓嗎？", Span(1, 3, "DISE")),
    sentence(5, "他說好。", Span(1, 2, "SYMP")),
    sentence(6, "會說話。"),
    *(sentence(100 + n, f"第{n}次：高血壓。", Span(4, 7, "DISE")) for n in range(6)),
]
FOUND = {
    **{each.id: each.entities for each in CORPUS},
    "WA/2": (Span(3, 6, "DISE", 0.9),),
    "WA/3": (Span(2, 5, "DISE", 0.9),),
    "WA/4": (Span(1, 4, "DISE", 0.9),),
    "WA/5": (),
}


def by_id() -> dict[str, Suggestion]:
    return {each.sentence.id: each for each in differences(CORPUS, FOUND)}


def test_each_difference_is_a_suggestion_of_its_kind() -> None:
    found = by_id()
    assert {id_: each.kind for id_, each in found.items()} == {
        "WA/2": "missed", "WA/3": "type", "WA/4": "boundary", "WA/5": "spurious",
    }  # fmt: skip
    assert found["WA/2"].annotated is None
    assert found["WA/5"].suggested is None
    wrong, right = Span(2, 5, "BODY"), Span(2, 5, "DISE")
    assert (found["WA/3"].annotated, found["WA/3"].suggested) == (wrong, right)


def test_the_evidence_is_how_the_string_is_annotated_at_every_other_place() -> None:
    found = by_id()
    _, usage = found["WA/2"].usages
    assert usage is not None
    assert usage.text == "高血壓"
    assert dict(usage.types) == {"DISE": 7, "BODY": 1, "": 1}  # in WA/4 a part of it is one
    usage, _ = found["WA/3"].usages
    assert usage is not None
    assert dict(usage.types) == {"DISE": 7, "": 2}
    assert "WA/3" not in {each.id for each in usage.examples}
    assert {each.type for each in usage.examples} == {"DISE", ""}
    cut, _ = found["WA/4"].usages
    assert cut is not None
    assert (dict(cut.types), cut.inside) == ({"": 1}, 8)


def spoilt() -> tuple[list[Sentence], dict[str, tuple[Span, ...]]]:
    """60 sentences rightly annotated but the first, which lacks its entity, and the last, which has
    one too many; a model that finds the right ones, and here and there, hardly sure, others."""
    right = [sentence(n, f"第{n:02}位說他有高血壓。", Span(7, 10, "DISE")) for n in range(60)]
    found = {each.id: (Span(7, 10, "DISE", 0.95),) for each in right}
    for n in range(10, 30):
        found[f"WA/{n}"] += (Span(4, 5, "SYMP", 0.4),)
    wrong = Span(5, 6, "BODY", 0.01)
    sure = [replace(each, entities=found[each.id][:1]) for each in right]
    first, last = replace(sure[0], entities=()), sure[-1]
    return [first, *sure[1:-1], replace(last, entities=(wrong, *last.entities))], found


def test_the_surest_come_first_with_a_score_learnt_from_planted_errors() -> None:
    sentences, predicted = spoilt()

    def judged(spoiled: list[Sentence]) -> list[Sentence]:
        sure = {(each.id, span): 0.95 for each in sentences for span in each.entities}
        return [
            replace(
                each,
                entities=tuple(
                    replace(span, confidence=sure.get((each.id, span), 0.02))
                    for span in each.entities
                ),
            )
            for each in spoiled
        ]

    planted = [plant(sentences, TYPES, 0.2, seed) for seed in range(3)]
    found = suggestions(sentences, predicted, [(judged(bad), errors) for bad, errors in planted])
    assert {each.sentence.id for each in found[:2]} == {"WA/0", "WA/59"}
    assert len(found) == 22
    assert found[1].score > 0.5 > found[2].score
    assert found == suggestions(
        sentences, predicted, [(judged(bad), errors) for bad, errors in planted]
    )


def test_a_record_holds_the_confidences_only_where_there_are_some() -> None:
    corpus = [sentence(1, "他有胃痛。", Span(2, 4, "DISE"))]
    (found,) = suggestions(corpus, {"WA/1": (Span(2, 4, "SYMP", 0.75),)}, [])
    record = json.loads(json.dumps(suggestion_record(found)))
    nothing = {"elsewhere": {}, "not_annotated": 0, "inside_others": 0, "examples": []}
    place = {"start": 2, "end": 4, "mention": "胃痛", **nothing}
    assert record["annotated"] == {**place, "type": "DISE"}
    assert record["suggested"] == {**place, "type": "SYMP", "confidence": 0.75}
    assert 0 <= record["score"] <= 1


@pytest.mark.parametrize("share", [0.05, 0.5])
def test_planted_errors_change_what_they_say(share: float) -> None:
    corpus = [sentence(n, f"第{n:02}位說他有高血壓。", Span(7, 10, "DISE")) for n in range(40)]
    spoiled, planted = plant(corpus, TYPES, share, 1)
    assert {each.fate for each in planted} == {"type", "boundary", "dropped", "made_up"}
    assert len(planted) == max(4, 40 * share)
    before = {each.id: set(each.entities) for each in corpus}
    after = {each.id: set(each.entities) for each in spoiled}
    for error in planted:
        before[error.id] -= {error.before}
        before[error.id] |= {error.after} - {None}
    assert before == after
    assert plant(corpus, TYPES, share, 1) == (spoiled, planted)
    assert plant(corpus, TYPES, share, 2) != (spoiled, planted)
