"""The official scorer: parity with the reference run, hand-counted scores, the text and JSON."""

import doctest
from pathlib import Path

import pytest

from chmed_ner.cli.score import score_files
from chmed_ner.entities.bio import chunks, split_tag
from chmed_ner.entities.types import Scores, Span
from chmed_ner.errors import InputError
from chmed_ner.score import official
from chmed_ner.score.official import (
    OfficialScores,
    macro,
    score_sentences,
    score_table,
    scores_json,
)


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
    assert score_table({"all": scores}) == (
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


def test_half_way_figures_are_printed_as_the_scorer_prints_them() -> None:
    """23 of 160 is 14.375%: as 100 * (23 / 160) it prints 14.37, as 100 * 23 / 160 it is 14.38."""
    gold = [["B-A"]] * 23 + [["O"]] * 137
    scores = score_sentences(gold, [["B-A"]] * 160, separators=0)
    assert "precision:  14.37%; recall: 100.00%" in score_table({"all": scores})


def test_several_genres_and_the_two_kinds_of_macro() -> None:
    """Each genre under its name, then the mean; JSON takes the mean of unrounded figures."""

    def genre(correct: int, of: int) -> OfficialScores:
        gold = [["B-A"]] * of
        return score_sentences(gold, [["B-A"]] * correct + [["O"]] * (of - correct), separators=0)

    genres = {"FT": genre(1, 3), "SM": genre(1, 6), "WA": genre(1, 7)}
    rounded = [round(100 / 3, 2), round(100 / 6, 2), round(100 / 7, 2)]
    lines = score_table(genres).splitlines()
    assert [line for line in lines if line in genres] == ["FT", "SM", "WA"]
    assert lines[-2] == "macro average of 3 genres"
    assert f"recall: {sum(rounded) / 3:6.2f}%; FB1: " in lines[-1]
    for name, scores in genres.items():
        assert score_table({name: scores}) in score_table(genres)
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
    assert score_table(genres).splitlines()[-1].startswith("accuracy:   0.00%;")


def test_json_has_every_figure_unrounded() -> None:
    record = scores_json({"all": counted()})
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
    printed = (folder / "reference_run" / "FT_result_Score.txt").read_bytes()
    scores = score_files([("all", gold, predicted)])
    assert score_table(scores).encode() == printed
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
