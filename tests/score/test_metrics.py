"""The metrics of a run: their names, their arithmetic, what is refused."""

import re
from dataclasses import replace
from pathlib import Path

import pytest

from chmed_ner.data.columns import read_columns
from chmed_ner.data.healthner import read_healthner
from chmed_ner.entities.labels import Simplified, in_script
from chmed_ner.entities.restoration import POLICIES, ceiling, gold_mentions
from chmed_ner.entities.types import Mention, Scores, Sentence, Span
from chmed_ner.errors import InputError
from chmed_ner.score.metrics import Answers, run_metrics
from chmed_ner.score.official import score_sentences

TYPES = ("BODY", "SYMP", "DISE")


def sentence(id_: str, genre: str, text: str, tags: str, *entities: Span) -> Sentence:
    return Sentence(id_, "test", genre, text, tuple(tags.split()), entities, text)


CORPUS = (
    sentence(
        "a", "FT", "胃痛頭痛", "B-SYMP I-SYMP B-SYMP I-SYMP", Span(0, 2, "SYMP"), Span(2, 4, "SYMP")
    ),
    sentence("b", "FT", "心臟。", "B-BODY I-BODY O", Span(0, 2, "BODY")),
    sentence("c", "WA", "無", "O"),
    sentence("d", "WA", "癌與癌", "B-DISE O B-DISE", Span(0, 1, "DISE"), Span(2, 3, "DISE")),
)
SPANS = {
    "a": (Span(0, 2, "SYMP"), Span(2, 3, "BODY")),
    "b": (),
    "c": (Span(0, 1, "BODY"),),
    "d": (Span(0, 1, "DISE"), Span(2, 3, "DISE")),
}
MENTIONS = {
    "a": (Mention("胃痛", "SYMP"), Mention("頭", "BODY")),
    "b": (),
    "c": (Mention("無", "BODY"),),
    "d": (Mention("癌", "DISE"),),
}


def measured(**changes) -> dict[str, float]:
    arguments = {
        "sentences": CORPUS,
        "spans": dict.fromkeys(POLICIES, SPANS),
        "headline": "longest_first",
        "mentions": MENTIONS,
        "targets": {s.id: tuple(dict.fromkeys(gold_mentions(s))) for s in CORPUS},
        "training_mentions": {"胃痛", "癌"},
        "types": TYPES,
        "problems": {"a": {"repeated": 2, "unknown_label": 1}, "b": {"repeated": 0}},
        "completions": 4,
        "seed": 1,
        "reasons": ("repeated", "truncated"),
    }
    return run_metrics(Answers(**{**arguments, **changes}))


def test_names_are_these_and_no_others() -> None:
    names = {"test/f1", "test/precision", "test/recall", "test/f1_low", "test/f1_high"}
    names |= {"test/tag_f1", "test/seen_f1", "test/unseen_f1", "infer/mention_f1"}
    for genre in ("FT", "WA"):
        figures = ("f1", "precision", "recall", "f1_low", "f1_high")
        names |= {f"test/{genre}/{figure}" for figure in figures}
        names |= {f"test/{genre}/{type_}/f1" for type_ in TYPES}
    for policy in POLICIES:
        figures = ("f1", "ceiling_f1", "target_ceiling_f1")
        names |= {f"restore/{policy}/{figure}" for figure in figures}
    reasons = ("repeated", "truncated", "unknown_label", "problem")
    names |= {f"parse/{reason}_rate" for reason in reasons}
    kinds = ("boundary", "type", "boundary_and_type", "missed", "spurious")
    names |= {f"error/{kind}" for kind in kinds}
    metrics = measured()
    assert set(metrics) == names
    assert all(re.fullmatch(r"[A-Za-z0-9_/.-]+", name) for name in metrics)
    assert all(type(value) is float for value in metrics.values())
    assert list(measured()) == list(metrics)


def test_figures_counted_by_hand() -> None:
    metrics = measured()
    ft, wa = Scores(3, 2, 1), Scores(2, 3, 2)
    assert metrics["test/FT/f1"] == ft.f1 == pytest.approx(40.0)
    assert metrics["test/WA/f1"] == wa.f1 == pytest.approx(80.0)
    assert metrics["test/f1"] == pytest.approx(60.0)
    assert metrics["test/precision"] == pytest.approx((50 + 200 / 3) / 2)
    assert metrics["test/recall"] == pytest.approx((100 / 3 + 100) / 2)
    assert metrics["test/FT/SYMP/f1"] == pytest.approx(Scores(2, 1, 1).f1)
    assert metrics["test/FT/DISE/f1"] == metrics["test/WA/BODY/f1"] == 0.0
    for name in ("test", "test/FT", "test/WA"):
        assert metrics[f"{name}/f1_low"] <= metrics[f"{name}/f1"] <= metrics[f"{name}/f1_high"]
    # Tags: FT 6 in gold, 3 predicted, 2 equal; WA 2, 3, 2.
    assert metrics["test/tag_f1"] == pytest.approx((Scores(6, 3, 2).f1 + Scores(2, 3, 2).f1) / 2)
    # Seen (胃痛, 癌): FT 1, 1, 1 and WA 2, 2, 2. Unseen: FT 2, 1, 0; WA has no unseen gold.
    assert (metrics["test/seen_f1"], metrics["test/unseen_f1"]) == (100.0, 0.0)
    assert measured(training_mentions={"胃痛"})["test/seen_f1"] == 100.0  # WA: no seen gold
    # Mentions: FT 3, 2, 1 and WA 1 (distinct), 2, 1.
    assert metrics["infer/mention_f1"] == pytest.approx((ft.f1 + Scores(1, 2, 1).f1) / 2)
    assert metrics["parse/repeated_rate"] == metrics["parse/problem_rate"] == 0.25
    assert metrics["parse/truncated_rate"] == 0.0
    errors = {k: v for k, v in metrics.items() if k.startswith("error/")}
    assert errors == {
        "error/boundary": 0,
        "error/type": 0,
        "error/boundary_and_type": 1,
        "error/missed": 1,
        "error/spurious": 1,
    }


def test_ceilings_know_what_the_format_writes() -> None:
    """`in_order` finds both 癌 in the gold list, one in a list of distinct mentions."""
    metrics = measured()
    assert metrics["restore/in_order/ceiling_f1"] == 100.0
    once = Scores(gold=2, predicted=1, correct=1).f1
    assert metrics["restore/in_order/target_ceiling_f1"] == pytest.approx((100 + once) / 2)
    assert metrics["restore/first/ceiling_f1"] == pytest.approx((100 + once) / 2)
    assert metrics["restore/longest_first/target_ceiling_f1"] == 100.0


def test_policies_are_scored_each_on_its_own_spans() -> None:
    perfect = {s.id: s.entities for s in CORPUS}
    metrics = measured(spans={"first": perfect, "in_order": SPANS}, headline="in_order")
    assert metrics["restore/first/f1"] == 100.0
    assert metrics["restore/in_order/f1"] == metrics["test/f1"] == pytest.approx(60.0)
    assert not any(name.startswith("restore/longest_first") for name in metrics)


def test_perfect_answers_score_a_hundred_everywhere() -> None:
    perfect = {s.id: s.entities for s in CORPUS}
    metrics = measured(
        spans={"longest_first": perfect}, mentions={s.id: gold_mentions(s) for s in CORPUS}
    )
    for name in ("f1", "precision", "recall", "f1_high", "tag_f1", "seen_f1"):
        assert metrics[f"test/{name}"] == pytest.approx(100.0), name
    assert metrics["infer/mention_f1"] == metrics["test/unseen_f1"] == 100.0
    assert not any(value for name, value in metrics.items() if name.startswith("error/"))


def test_order_of_sentences_and_answers_does_not_matter() -> None:
    backwards = dict(reversed(SPANS.items()))
    other = measured(sentences=CORPUS[::-1], spans=dict.fromkeys(POLICIES, backwards))
    assert other == pytest.approx(measured())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sentences": ()}, "no test sentence"),
        ({"sentences": (*CORPUS, CORPUS[0])}, "sentence id a occurs twice"),
        ({"sentences": (replace(CORPUS[0], tags=None), *CORPUS[1:])}, "a: has no gold tags"),
        ({"sentences": (replace(CORPUS[0], model_text="短"), *CORPUS[1:])}, "a: the model's text"),
        ({"sentences": CORPUS[:3]}, "sentence d: not a sentence of the test split"),
        ({"mentions": {k: v for k, v in MENTIONS.items() if k != "c"}}, "mentions, .* c: missing"),
        ({"targets": {}}, "target mentions, sentence a: missing"),
        ({"spans": {"longest_first": {}}}, "spans of longest_first, sentence a: missing"),
        ({"spans": {"shortest": SPANS}, "headline": "shortest"}, "unknown restoration 'shortest'"),
        ({"headline": "nearest"}, "'nearest' was not scored"),
        ({"sentences": [replace(s, genre="健 康") for s in CORPUS]}, "'健 康' cannot be part"),
        ({"sentences": [replace(s, genre="FT/BODY") for s in CORPUS]}, "'FT/BODY' cannot be part"),
        ({"types": ("病名/證",)}, "'病名/證' cannot be part"),
        ({"problems": {"a": {"not found": 1}}}, "'not found' cannot be part"),
        ({"problems": {"z": {"repeated": 1}}}, "problems, sentence z"),
        ({"completions": 0}, "1 sentences with problems, but 0 completions"),
        (
            {"spans": {"longest_first": {**SPANS, "c": (Span(0, 2, "BODY"),)}}},
            "sentence c: .* is not inside a sentence",
        ),
        ({"spans": {"longest_first": {**SPANS, "b": (Span(0, 2, "BODY"),) * 2}}}, "b: .*overlaps"),
    ],
)
def test_what_does_not_fit_is_refused(changes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        measured(**changes)


def test_rates_without_completions_are_zero() -> None:
    metrics = measured(problems={}, completions=0, reasons=("repeated",))
    assert {name: rate for name, rate in metrics.items() if name.startswith("parse/")} == {
        "parse/repeated_rate": 0.0,
        "parse/problem_rate": 0.0,
    }


FT = "MultiNER-Health_truth_FT.txt"


def read(file: Path, genre: str) -> tuple[Sentence, ...]:
    sentences = read_columns(file, prefix=f"{genre}-", split="test", genre=genre, labels=None)
    return in_script(Simplified(), sentences)


def test_reference_run_as_a_run(corpora_dir: Path) -> None:
    """The organisers' BERT-BiLSTM-CRF on FT: the headline is their F1, the rest is consistent."""
    gold = read(corpora_dir / "rocling2023" / FT, "FT")
    answers = read(corpora_dir / "rocling2023" / "reference_run" / "FT_result.txt", "FT")
    spans = {s.id: s.entities for s in answers}
    types = sorted({span.type for s in gold for span in s.entities})
    answers_read = Answers(
        sentences=gold,
        spans={"longest_first": spans},
        headline="longest_first",
        mentions={s.id: gold_mentions(s) for s in answers},
        targets={s.id: gold_mentions(s) for s in gold},
        training_mentions=(),
        types=types,
        problems={},
        completions=len(gold),
        seed=1,
    )
    metrics = run_metrics(answers_read)
    official = score_sentences(
        [s.tags or () for s in gold], [s.tags or () for s in answers], separators=0
    )
    assert f"{metrics['test/f1']:.2f}" == "61.08"
    assert metrics["test/FT/f1"] == pytest.approx(official.overall.f1)
    for type_ in types:
        assert metrics[f"test/FT/{type_}/f1"] == pytest.approx(official.per_type[type_].f1)
    assert metrics["test/unseen_f1"] == metrics["test/f1"]
    assert metrics["test/seen_f1"] == 0.0
    assert 1.0 < metrics["test/f1_high"] - metrics["test/f1_low"] < 4.0
    assert metrics["test/f1_low"] < 61.08 < metrics["test/f1_high"]


@pytest.mark.parametrize(
    ("file", "ceilings"),
    [
        (f"rocling2023/{FT}", ("99.21", "94.94", "91.54", "99.73")),
        ("rocling2023/MultiNER-Health_truth_WA.txt", ("99.70", "95.45", "94.95", "99.96")),
        ("rocling2022/ROCLING22_CHNER_truth.txt", ("99.71", "95.54", "94.78", "99.91")),
    ],
)
def test_ceilings_of_the_corpora(corpora_dir: Path, file: str, ceilings: tuple[str, ...]) -> None:
    sentences = read(corpora_dir / file, "all")
    policies = ("longest_first", "all_occurrences", "first", "in_order")
    measured_f1 = [f"{ceiling(policy, sentences).f1:.2f}" for policy in policies]
    assert tuple(measured_f1) == ceilings


def test_ceilings_of_healthner(corpora_dir: Path) -> None:
    file = corpora_dir / "healthner" / "test.json"
    sentences = read_healthner(file, prefix="h-", split="test", genres=("FT", "SM"), labels=None)
    policies = ("longest_first", "all_occurrences", "first", "in_order")
    measured_f1 = [f"{ceiling(policy, sentences).f1:.2f}" for policy in policies]
    assert measured_f1 == ["99.39", "96.00", "92.49", "99.82"]
