"""Annotations that are probably wrong: kinds, order, and the evidence of their strings elsewhere."""

import json
from dataclasses import replace

import pytest

from chmed_ner.entities import Sentence, Span
from chmed_ner.score import suggestion_record, suggestions


def sentence(number: int, text: str, *entities: Span) -> Sentence:
    return Sentence(f"WA/{number}", "test", "WA", text, None, entities, text)


def elsewhere(text: str, type_: str, times: int, first: int) -> list[Sentence]:
    """Sentences in which `text` is annotated as `type_`, those of the model too."""
    return [
        sentence(first + n, f"第{n}次：{text}。", Span(4, 4 + len(text), type_))
        for n in range(times)
    ]


CORPUS = [
    sentence(1, "他有高血壓。", Span(2, 5, "DISE")),
    sentence(2, "她也有高血壓。"),
    sentence(3, "得了高血壓。", Span(2, 5, "BODY")),
    sentence(4, "是高血壓嗎？", Span(1, 3, "DISE")),
    sentence(5, "他說好。", Span(1, 2, "SYMP")),
    sentence(6, "會說話。"),
    *elsewhere("高血壓", "DISE", 6, 100),
]
FOUND = {
    **{each.id: each.entities for each in CORPUS},
    "WA/2": (Span(3, 6, "DISE", 0.9),),
    "WA/3": (Span(2, 5, "DISE", 0.9),),
    "WA/4": (Span(1, 4, "DISE", 0.9),),
    "WA/5": (),
}


def test_each_difference_is_a_suggestion_of_its_kind() -> None:
    found = {each.sentence.id: each for each in suggestions(CORPUS, FOUND)}
    assert {id_: each.kind for id_, each in found.items()} == {
        "WA/2": "missed", "WA/3": "type", "WA/4": "boundary", "WA/5": "spurious",
    }  # fmt: skip
    assert found["WA/2"].annotated is None
    assert found["WA/5"].suggested is None
    assert (found["WA/3"].annotated, found["WA/3"].suggested) == (
        Span(2, 5, "BODY"), Span(2, 5, "DISE"),
    )  # fmt: skip


def test_the_evidence_is_how_the_string_is_annotated_at_every_other_place() -> None:
    found = {each.sentence.id: each for each in suggestions(CORPUS, FOUND)}
    (usage,) = found["WA/2"].usages
    assert usage.text == "高血壓"
    assert dict(usage.types) == {"DISE": 7, "BODY": 1, "": 1}  # WA/4 has a part of it
    (usage,) = found["WA/3"].usages
    assert dict(usage.types) == {"DISE": 7, "": 2}
    assert "WA/3" not in {each.id for each in usage.examples}
    assert {each.type for each in usage.examples} == {"DISE", ""}
    boundary = {each.text: dict(each.types) for each in found["WA/4"].usages}
    assert boundary == {"高血壓": {"DISE": 7, "BODY": 1, "": 1}, "高血": {"": 1}}


def test_a_string_inside_a_longer_entity_is_not_counted() -> None:
    corpus = [
        sentence(1, "血流了。", Span(0, 1, "BODY")),
        sentence(2, "高血壓。", Span(0, 3, "DISE")),
        sentence(3, "流血。"),
    ]
    (found,) = suggestions(corpus, {**{each.id: each.entities for each in corpus}, "WA/1": ()})
    assert dict(found.usages[0].types) == {"": 1}


def test_more_evidence_and_more_confidence_give_a_higher_score() -> None:
    def score(times: int, confidence: float) -> float:
        corpus = [sentence(1, "她也有高血壓。"), *elsewhere("高血壓", "DISE", times, 100)]
        spans = {**{each.id: each.entities for each in corpus}}
        spans["WA/1"] = (Span(3, 6, "DISE", confidence),)
        (found,) = suggestions(corpus, spans)
        return found.score

    assert 0 < score(0, 0.4) < score(0, 0.9) < score(9, 0.9) < 1
    assert score(0, 0.4) < score(5, 0.4)


def test_the_surest_comes_first_and_what_agrees_is_not_listed() -> None:
    corpus = [
        sentence(1, "說話。", Span(0, 1, "SYMP", 0.9)),
        sentence(2, "高血壓。", Span(0, 2, "DISE", 0.01)),
        sentence(3, "胃痛。", Span(0, 2, "SYMP", 0.1)),
    ]
    found = suggestions(
        corpus, {"WA/1": (), "WA/2": (Span(0, 3, "DISE", 0.98),), "WA/3": corpus[2].entities}
    )
    assert [each.sentence.id for each in found] == ["WA/2", "WA/1"]


def test_a_record_holds_the_confidences_only_where_there_are_some() -> None:
    corpus = [sentence(1, "他有胃痛。", Span(2, 4, "DISE"))]
    (found,) = suggestions(corpus, {"WA/1": (Span(2, 4, "SYMP", 0.75),)})
    record = json.loads(json.dumps(suggestion_record(found)))
    assert record["annotated"] == {"start": 2, "end": 4, "type": "DISE", "mention": "胃痛"}
    assert record["suggested"]["confidence"] == 0.75
    assert record["evidence"] == [
        {"mention": "胃痛", "elsewhere": {}, "not_annotated": 0, "examples": []}
    ]
    assert 0 <= record["score"] <= 1


@pytest.mark.parametrize("confidence", [0.0, 1.0, None])
def test_a_score_is_a_share_whatever_the_confidences(confidence: float | None) -> None:
    sure = {
        id_: tuple(replace(span, confidence=confidence) for span in spans)
        for id_, spans in FOUND.items()
    }
    assert all(0 <= each.score <= 1 for each in suggestions(CORPUS, sure))
