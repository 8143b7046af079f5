"""`method.voting=auto`: runs and way of voting chosen by cross-validation on real sentences."""

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from chmed_ner.data.columns import read_columns
from chmed_ner.entities import Sentence, Span
from chmed_ner.methods.ensemble.choice import (
    FOLDS,
    WAYS,
    CrossValidation,
    Option,
    micro_f1,
    simplest,
    standard_error,
)
from chmed_ner.methods.ensemble.election import Voters
from chmed_ner.methods.ensemble.stacking import Known
from chmed_ner.score import sentence_counts

TYPES = ("BODY", "SYMP", "INST", "EXAM", "CHEM", "DISE", "DRUG", "SUPP", "TREAT", "TIME")


@pytest.fixture(scope="module")
def sentences(corpora_dir: Path) -> list[Sentence]:
    """The first thirty sentences of ROCLING-2022."""
    path = corpora_dir / "rocling2022" / "ROCLING22_CHNER_truth.txt"
    found = read_columns(path, prefix="", split="validation", genre="WA", labels=None)
    return list(found[:30])


def reader(sentences: Sequence[Sentence], missed: float, seed: int) -> dict[str, list[Span]]:
    """What a system says that misses a share of the gold, and makes up as much."""
    draw = random.Random(seed)
    said = {}
    for each in sentences:
        kept = [span for span in each.entities if draw.random() >= missed]
        free = [span for span in each.entities if span not in kept and span.end < len(each.text)]
        said[each.id] = [*kept, *(Span(s.start, s.end + 1, s.type) for s in free[::2])]
    return said


def voters(*votes: dict[str, list[Span]]) -> Voters:
    return Voters(votes, [1.0] * len(votes), Known(frozenset()), TYPES, nested=False)


def test_each_fold_is_judged_by_what_the_others_teach(sentences: list[Sentence]) -> None:
    """Two runs: for each way of voting either alone, then both; the choice is repeatable."""
    one, two = reader(sentences, 0.3, 1), reader(sentences, 0.4, 2)
    both = voters(one, two)
    validation = CrossValidation(both, sentences, seed=1)
    choice = validation.choose()
    assert [(each.voting, each.runs) for each in choice.options] == [
        (way, runs) for way in WAYS for runs in ((0,), (1,), (0, 1))
    ]
    alone = sentence_counts((s.entities, one[s.id]) for s in sentences)
    assert choice.options[0].f1 == micro_f1(alone)  # span votes of one run: all of them
    folds = [[s.id for s in some] for some in validation._folds]
    assert sorted(map(len, folds)) == [len(sentences) // FOLDS] * FOLDS
    assert {id_ for some in folds for id_ in some} == {s.id for s in sentences}
    first = set(folds[0])
    elect = both.election("stacked", [s for s in sentences if s.id not in first]).elect
    wanted = sentence_counts((s.entities, elect(s)) for s in sentences if s.id in first)
    assert np.array_equal(choice.options[-1].counts[: len(wanted)], wanted)
    again = CrossValidation(both, sentences, seed=1).choose()
    assert (again.taken, again.nested_f1) == (choice.taken, choice.nested_f1)


def test_the_nested_f1_is_that_of_choices_that_have_not_seen_the_fold(
    sentences: list[Sentence],
) -> None:
    """Two runs that are right in other halves: what a choice is worth depends on the fold."""
    half = {s.id for s in sentences[::2]}
    halves = [
        {s.id: list(s.entities) if (s.id in half) is good else [] for s in sentences}
        for good in (True, False)
    ]
    validation = CrossValidation(voters(*halves), sentences, seed=1)
    choice = validation.choose()
    found = []
    for held, some in enumerate(validation._folds):
        rest = [s for s in sentences if s not in some]
        inner = simplest(validation._options(frozenset([held])))
        assert sum(len(o.counts) for o in [inner]) == len(rest)
        elect = voters(*halves).only(inner.runs).election(inner.voting, rest).elect
        found.append(sentence_counts((s.entities, elect(s)) for s in some))
    assert choice.nested_f1 == micro_f1(np.concatenate(found))


def test_runs_that_add_nothing_are_left_out(sentences: list[Sentence]) -> None:
    good, noise = reader(sentences, 0.05, 1), reader(sentences, 0.9, 2)
    choice = CrossValidation(voters(noise, good), sentences, seed=1).choose()
    assert choice.taken == Option("span", (1,), choice.taken.counts)
    assert choice.nested_f1 == pytest.approx(choice.taken.f1, abs=1)


def test_runs_that_err_apart_vote_together(sentences: list[Sentence]) -> None:
    three = [reader(sentences, 0.35, seed) for seed in (1, 2, 3)]
    choice = CrossValidation(voters(*three), sentences, seed=1).choose()
    assert len(choice.taken.runs) > 1
    best_alone = max(o.f1 for o in choice.options if len(o.runs) == 1 and o.voting == "span")
    assert choice.taken.f1 > best_alone + 3
    assert choice.nested_f1 > best_alone


def test_the_simplest_of_equals_is_taken() -> None:
    def option(voting: str, runs: tuple[int, ...], right: int, begin: int = 0) -> Option:
        """Two entities in each of fifty sentences, both found in `right` of them."""
        counts = np.roll([[2, 2, 2]] * right + [[2, 2, 1]] * (50 - right), begin, axis=0)
        return Option(voting, runs, counts)

    best = option("stacked", (0, 1), 40)
    near, far = option("span", (1,), 39, begin=10), option("span", (0,), 10)
    assert simplest([best, near, far]) is near
    assert simplest([best, far]) is best
    assert simplest([best, option("stacked", (0, 1, 2), 40)]) is best
    assert simplest([option("two_stage", (0, 1), 40), option("span", (0, 1), 40)]).voting == "span"


def test_the_standard_error_is_that_of_resampled_sentences(sentences: list[Sentence]) -> None:
    one, other = (
        sentence_counts((s.entities, said[s.id]) for s in sentences)
        for said in (reader(sentences, 0.3, 1), reader(sentences, 0.5, 2))
    )
    draw = np.random.default_rng(1)
    drawn = draw.integers(len(sentences), size=(2000, len(sentences)))
    differences = [micro_f1(one[at]) - micro_f1(other[at]) for at in drawn]
    assert standard_error(one, other) == pytest.approx(np.std(differences), rel=0.1)
    assert standard_error(one, one) == 0


def test_a_run_chooses_and_says_what_it_tried(run: Any, lexicon_run: Any, crf_run: Any) -> None:
    runs = f"method.runs=[{lexicon_run.directory},{crf_run.directory}]"
    ended = run("method=ensemble", runs, "method.voting=auto", "limit.test=5")
    assert ended.code == 2
    assert "every run needs the same dataset, seed and limit.test" in ended.said
    ended = run("method=ensemble", runs, "method.voting=auto")
    assert ended.code == 0, ended.said
    content = json.loads((ended.directory / "model" / "ensemble.json").read_text("utf-8"))
    choice = content["choice"]
    assert [len(choice["options"]), choice["folds"]] == [9, 5]
    assert choice["taken"] in choice["options"]
    assert content["voting"] == choice["taken"]["voting"]
    assert len(content["runs"]) == len(choice["taken"]["runs"])
    f1s = [each["f1"] for each in choice["options"]]
    assert f1s == sorted(f1s, reverse=True)
    assert f"method.voting={content['voting']}" in ended.said
