"""The official scorer: parity with the reference run and with a plain statement of its rules."""

import doctest
import random
from collections import Counter
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chmed_ner import bio
from chmed_ner.bio import chunks, split_tag
from chmed_ner.errors import InputError
from chmed_ner.score import official
from chmed_ner.score.files import score_files
from chmed_ner.score.official import (
    OfficialScores,
    as_json,
    count_chunks,
    macro,
    score_sentences,
    table,
)
from chmed_ner.types import Scores, Span

FUZZED = 30_000


def plain_rules(gold: list[str], predicted: list[str]) -> tuple[Counter, Counter, Counter]:
    """The official rules said slowly: one walk over the rows, a sentinel `O` at both ends.

    Gold, predicted and correct entities by type. Nothing is shared with the package.
    """
    n_gold, n_predicted, n_correct = Counter(), Counter(), Counter()
    running: str | None = None  # the type of an entity that began in both and has not diverged
    rows = [("O", "O"), *zip(gold, predicted, strict=True), ("O", "O")]
    for (gold_before, predicted_before), (gold_here, predicted_here) in pairwise(rows):
        gold_ends = ends(gold_before, gold_here)
        predicted_ends = ends(predicted_before, predicted_here)
        if running is not None and gold_ends and predicted_ends:
            n_correct[running] += 1
        if gold_ends or predicted_ends:
            running = None
        gold_starts = starts(gold_before, gold_here)
        predicted_starts = starts(predicted_before, predicted_here)
        if gold_starts:
            n_gold[type_of(gold_here)] += 1
        if predicted_starts:
            n_predicted[type_of(predicted_here)] += 1
        if gold_starts and predicted_starts and type_of(gold_here) == type_of(predicted_here):
            running = type_of(gold_here)
    return n_gold, n_predicted, n_correct


def prefix_of(tag: str) -> str:
    return tag.split("-", 1)[0]


def type_of(tag: str) -> str:
    return tag.split("-", 1)[1] if "-" in tag else ""


def ends(before: str, here: str) -> bool:
    if prefix_of(before) == "O":
        return False
    if prefix_of(here) == "O" or type_of(before) != type_of(here):
        return True
    return prefix_of(here) == "B" or prefix_of(here) == "S" or prefix_of(before) in {"E", "S"}


def starts(before: str, here: str) -> bool:
    if prefix_of(here) == "O":
        return False
    if prefix_of(before) == "O" or type_of(before) != type_of(here):
        return True
    return prefix_of(here) == "B" or prefix_of(here) == "S" or prefix_of(before) in {"E", "S"}


def legal_tags(draw: random.Random, length: int) -> list[str]:
    tags: list[str] = []
    while len(tags) < length:
        if draw.random() < 0.5:
            tags.append("O")
        else:
            type_ = draw.choice(["BODY", "DISE", "SYMP"])
            tags += [f"B-{type_}", *[f"I-{type_}"] * draw.randint(0, 3)]
    return tags[:length]


def stray_tags(draw: random.Random, length: int) -> list[str]:
    pool = ["O", "O", *(f"{p}-{t}" for p in "BII" for t in ("BODY", "DISE"))]
    return draw.choices(pool, k=length)


def malformed_tags(draw: random.Random, length: int) -> list[str]:
    prefixes = ["B", "I", "O", "E", "S", "i", "b", "o", ".", "[", "]", "", "BI", "M"]
    types = ["BODY", "BODY", "DISE", "", "A-B", "O"]
    pool = ["O", "O", *(f"{draw.choice(prefixes)}-{draw.choice(types)}" for _ in range(8))]
    return draw.choices(pool, k=length)


@pytest.mark.parametrize("make", [legal_tags, stray_tags, malformed_tags])
def test_fuzz_against_the_plain_rules(make) -> None:
    draw = random.Random(make.__name__)
    seen: Counter[str] = Counter()
    for _ in range(FUZZED // 3):
        length = draw.randint(0, 14)
        gold = make(draw, length)
        # Half of the predictions are a perturbed copy, so that long entities are often correct.
        predicted = make(draw, length)
        if draw.random() < 0.5:
            predicted = [
                p if draw.random() < 0.15 else g for g, p in zip(gold, predicted, strict=True)
            ]
        n_gold, n_predicted, n_correct = plain_rules(gold, predicted)
        expected = {
            type_: Scores(n_gold[type_], n_predicted[type_], n_correct[type_])
            for type_ in n_gold | n_predicted
        }
        assert count_chunks(gold, predicted) == expected, (gold, predicted)
        seen.update({"correct": n_correct.total(), "wrong": (n_predicted - n_correct).total()})
    assert min(seen["correct"], seen["wrong"]) > 1000, "the fuzz must meet both outcomes"


def test_fuzz_of_whole_files_against_the_plain_rules() -> None:
    """Sentences are walked through as one column with a separator `O` row between, as files are."""
    draw = random.Random("files")
    for _ in range(200):
        lengths = [draw.randint(1, 9) for _ in range(draw.randint(1, 12))]
        gold = [stray_tags(draw, n) for n in lengths]
        predicted = [
            [
                p if draw.random() < 0.2 else g
                for g, p in zip(tags, malformed_tags(draw, n), strict=True)
            ]
            for n, tags in zip(lengths, gold, strict=True)
        ]
        scores = score_sentences(gold, predicted, separators=len(lengths))
        column = [tag for tags in gold for tag in [*tags, "O"]]
        answer = [tag for tags in predicted for tag in [*tags, "O"]]
        n_gold, n_predicted, n_correct = plain_rules(column, answer)
        assert scores.overall == Scores(n_gold.total(), n_predicted.total(), n_correct.total())
        assert scores.tokens == len(column)
        assert scores.correct_tags == sum(a == b for a, b in zip(column, answer, strict=True))
        assert scores.entity_tokens == sum(tag != "O" for tag in column)
        assert scores.correct_entity_tokens == sum(
            a == b and a != "O" for a, b in zip(column, answer, strict=True)
        )


@given(
    st.lists(
        st.sampled_from(["O", "B-BODY", "I-BODY", "B-DISE", "I-DISE"]) | st.just("I-BODY"),
        max_size=20,
    )
)
def test_bio_reads_clean_tags_as_the_scorer_does(tags: list[str]) -> None:
    assert chunks(tags) == bio.chunks(tags)


@pytest.mark.parametrize(
    ("tags", "spans"),
    [
        ("O O", []),
        ("", []),
        ("B-A I-A O", [(0, 2, "A")]),
        ("B-A B-A I-A", [(0, 1, "A"), (1, 3, "A")]),
        ("I-A I-A", [(0, 2, "A")]),
        ("O I-A I-A", [(1, 3, "A")]),
        ("B-A I-B I-B", [(0, 1, "A"), (1, 3, "B")]),
        ("B-A I-A i-A I-A O", [(0, 4, "A")]),
        ("O i-A I-A", [(1, 3, "A")]),
        ("O O-A O", []),
        ("B-A O-A I-A", [(0, 1, "A"), (2, 3, "A")]),
        ("O-A i-A", [(1, 2, "A")]),
        ("B-A E-A I-A", [(0, 2, "A"), (2, 3, "A")]),
        ("S-A S-A", [(0, 1, "A"), (1, 2, "A")]),
        ("B-A-B I-A-B", [(0, 2, "A-B")]),
        ("B- I-", [(0, 2, "")]),
    ],
)
def test_entities_of_hand_written_tags(tags: str, spans: list[tuple[int, int, str]]) -> None:
    assert chunks(tags.split()) == tuple(Span(*span) for span in spans)


@pytest.mark.parametrize("tag", ["BODY", "B", "", "o", "."])
def test_a_tag_without_hyphen_is_refused(tag: str) -> None:
    with pytest.raises(InputError, match="neither 'O' nor PREFIX-TYPE"):
        split_tag(tag)
    with pytest.raises(InputError, match="sentence 2: tag"):
        score_sentences([["O"], ["O"]], [["O"], [tag]], separators=0)
    with pytest.raises(InputError, match="PREFIX-TYPE"):
        chunks(["O", "O", tag, "O"])


def counted() -> OfficialScores:
    """Two sentences counted by hand.

    Gold: BODY [0,2), DISE [3,4) | SYMP [0,3). Predicted: BODY [0,2), BODY [3,4) | SYMP [0,2).
    """
    gold = [["B-BODY", "I-BODY", "O", "B-DISE"], ["B-SYMP", "I-SYMP", "I-SYMP"]]
    predicted = [["B-BODY", "I-BODY", "O", "I-BODY"], ["B-SYMP", "I-SYMP", "O"]]
    return score_sentences(gold, predicted, separators=2)


def test_hand_counted_scores() -> None:
    scores = counted()
    assert scores.overall == Scores(gold=3, predicted=3, correct=1)
    assert scores.per_type == {
        "BODY": Scores(1, 2, 1),
        "DISE": Scores(1, 0, 0),
        "SYMP": Scores(1, 1, 0),
    }
    assert (scores.tokens, scores.correct_tags) == (9, 7)
    assert (scores.entity_tokens, scores.correct_entity_tokens) == (6, 4)
    assert scores.accuracy == pytest.approx(700 / 9)
    assert scores.accuracy_non_o == pytest.approx(400 / 6)


def test_nothing_in_gold_and_nothing_predicted_scores_zero() -> None:
    scores = score_sentences([["O", "O"]], [["O", "O"]], separators=1)
    assert scores == OfficialScores(3, 3, 0, 0, Scores(0, 0, 0), {})
    assert (scores.accuracy, scores.accuracy_non_o, scores.overall.f1) == (100.0, 0.0, 0.0)
    assert table({"all": scores}) == (
        "processed 3 tokens with 0 phrases; found: 0 phrases; correct: 0.\n"
        "accuracy:   0.00%; (non-O)\n"
        "accuracy: 100.00%; precision:   0.00%; recall:   0.00%; FB1:   0.00\n"
    )
    assert score_sentences([], [], separators=0).accuracy == 0.0


def test_sentences_and_tags_must_be_as_many() -> None:
    with pytest.raises(InputError, match="sentence 1: 1 tags in gold, 2 tags predicted"):
        score_sentences([["O"]], [["O", "O"]], separators=0)
    with pytest.raises(InputError, match="sentence 2: 1 tags in gold, no sentence predicted"):
        score_sentences([["O"], ["O"]], [["O"]], separators=0)
    with pytest.raises(InputError, match="no sentence in gold"):
        score_sentences([], [["O"]], separators=0)
    with pytest.raises(InputError, match="2 gold tags, but 1 predicted"):
        count_chunks(["O", "O"], ["O"])


def test_half_way_figures_are_printed_as_the_scorer_prints_them() -> None:
    """23 of 160 is 14.375%: as 100 * (23 / 160) it prints 14.37, as 100 * 23 / 160 it is 14.38."""
    gold = [["B-A"]] * 23 + [["O"]] * 137
    scores = score_sentences(gold, [["B-A"]] * 160, separators=0)
    assert "precision:  14.37%; recall: 100.00%" in table({"all": scores})


def test_several_genres_and_the_two_kinds_of_macro() -> None:
    """Each genre under its name, then the mean; JSON takes the mean of unrounded figures."""

    def genre(correct: int, of: int) -> OfficialScores:
        gold = [["B-A"]] * of
        return score_sentences(gold, [["B-A"]] * correct + [["O"]] * (of - correct), separators=0)

    genres = {"FT": genre(1, 3), "SM": genre(1, 6), "WA": genre(1, 7)}
    rounded = [round(100 / 3, 2), round(100 / 6, 2), round(100 / 7, 2)]
    lines = table(genres).splitlines()
    assert [line for line in lines if line in genres] == ["FT", "SM", "WA"]
    assert lines[-2] == "macro average of 3 genres"
    assert f"recall: {sum(rounded) / 3:6.2f}%; FB1: " in lines[-1]
    for name, scores in genres.items():
        assert table({name: scores}) in table(genres)
    mean = macro(genres)
    assert mean.recall == pytest.approx((100 / 3 + 100 / 6 + 100 / 7) / 3)
    assert mean.precision == 100.0
    assert mean.f1 == pytest.approx((50 + 200 / 7 + 25) / 3)


def test_the_macro_line_averages_rounded_figures() -> None:
    """Accuracies of 0.004, 0.004 and 0.008 average to 0.005, but rounded first to 0.003."""
    genres = {
        name: OfficialScores(25_000, correct, 0, 0, Scores(0, 0, 0), {})
        for name, correct in (("FT", 1), ("SM", 1), ("WA", 2))
    }
    assert macro(genres).accuracy == pytest.approx(0.016 / 3)
    assert table(genres).splitlines()[-1].startswith("accuracy:   0.00%;")


def test_json_has_every_figure_unrounded() -> None:
    record = as_json({"all": counted()})
    assert record == {
        "genres": {
            "all": {
                "tokens": 9,
                "gold_entities": 3,
                "predicted_entities": 3,
                "correct_entities": 1,
                "accuracy": pytest.approx(700 / 9, abs=1e-12),
                "accuracy_non_o": pytest.approx(400 / 6, abs=1e-12),
                "precision": pytest.approx(100 / 3, abs=1e-12),
                "recall": pytest.approx(100 / 3, abs=1e-12),
                "f1": pytest.approx(100 / 3, abs=1e-12),
                "per_type": {
                    "BODY": {
                        "precision": 50.0,
                        "recall": 100.0,
                        "f1": pytest.approx(200 / 3, abs=1e-12),
                        "predicted": 2,
                    },
                    "DISE": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "predicted": 0},
                    "SYMP": {"precision": 0.0, "recall": 0.0, "f1": 0.0, "predicted": 1},
                },
            }
        },
        "macro": {
            "accuracy": pytest.approx(700 / 9, abs=1e-12),
            "precision": pytest.approx(100 / 3, abs=1e-12),
            "recall": pytest.approx(100 / 3, abs=1e-12),
            "f1": pytest.approx(100 / 3, abs=1e-12),
        },
    }


def test_the_example_of_the_readme_is_true() -> None:
    readme = Path(official.__file__).with_name("README.md")
    failed, tried = doctest.testfile(str(readme), module_relative=False, encoding="utf-8")
    assert tried == 8
    assert failed == 0


def test_no_genre_is_refused() -> None:
    with pytest.raises(InputError, match="no genre"):
        macro({})


def test_reference_run_byte_for_byte(corpora_dir: Path) -> None:
    folder = corpora_dir / "rocling2023"
    gold = folder / "MultiNER-Health_truth_FT.txt"
    predicted = folder / "reference_run" / "FT_result.txt"
    printed = (folder / "reference_run" / "FT_result_Score.txt").read_text(encoding="utf-8")
    scores = score_files([("all", gold, predicted)])
    assert table(scores).splitlines() == printed.splitlines()
    assert scores["all"].tokens == 149_276 + 2_035


@pytest.mark.parametrize(
    ("file", "entities", "tokens"),
    [
        ("rocling2022/ROCLING22_CHNER_truth.txt", 13_378, 118_116 + 3_204),
        ("rocling2023/MultiNER-Health_truth_FT.txt", 10_849, 149_276 + 2_035),
        ("rocling2023/MultiNER-Health_truth_WA.txt", 9_761, 92_498 + 2_381),
    ],
)
def test_gold_against_itself(corpora_dir: Path, file: str, entities: int, tokens: int) -> None:
    scores = score_files([("all", corpora_dir / file, corpora_dir / file)])["all"]
    assert scores.overall == Scores(entities, entities, entities)
    assert (scores.tokens, scores.accuracy, scores.accuracy_non_o) == (tokens, 100.0, 100.0)
