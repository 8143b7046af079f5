"""Random tags against a plain, slow statement of the official rules, and against seqeval.

The plain statement shares no code with the package: it walks over the rows of a file as the
organisers' `conlleval` does, with a flag for the entity that began in both columns.
"""

import random
import warnings
from collections import Counter
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest
from seqeval.metrics import classification_report
from seqeval.metrics.sequence_labeling import get_entities
from seqeval.scheme import IOB2, Entities

from chmed_ner.cli.score import score_files
from chmed_ner.entities.bio import chunks
from chmed_ner.entities.types import Scores
from chmed_ner.errors import InputError
from chmed_ner.score.official import score_sentences, score_table
from chmed_ner.score.spans import scores_by_type

FUZZED = 24_000
"""Sequences against the plain rules, and as many against seqeval."""

Make = Callable[[random.Random, int], list[str]]
Counts = tuple[Counter[str], Counter[str], Counter[str]]


def plain_rules(gold: list[str], predicted: list[str]) -> Counts:
    """Gold, predicted and correct entities by type: one walk, a sentinel `O` at both ends."""
    n_gold: Counter[str] = Counter()
    n_predicted: Counter[str] = Counter()
    n_correct: Counter[str] = Counter()
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


def plain_figures(correct: int, predicted: int, gold: int) -> str:
    """Precision, recall and F1 as the scorer computes and prints them."""
    precision = correct / predicted if predicted else 0
    recall = correct / gold if gold else 0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0
    return "precision: %6.2f%%; recall: %6.2f%%; FB1: %6.2f" % (  # noqa: UP031
        100 * precision,
        100 * recall,
        100 * f1,
    )


def plain_report(gold_rows: list[str], predicted_rows: list[str]) -> str:
    """What the scorer prints for a file of these rows; a blank row is `O` in both columns."""
    n_gold, n_predicted, n_correct = plain_rules(gold_rows, predicted_rows)
    rows = list(zip(gold_rows, predicted_rows, strict=True))
    inside = [row for row in rows if row[0] != "O"]
    equal = sum(1 for a, b in rows if a == b)
    equal_inside = sum(1 for a, b in inside if a == b)
    share = 100 * equal_inside / len(inside) if inside else 0
    whole = plain_figures(n_correct.total(), n_predicted.total(), n_gold.total())
    lines = [
        f"processed {len(rows)} tokens with {n_gold.total()} phrases; "
        f"found: {n_predicted.total()} phrases; correct: {n_correct.total()}.",
        f"accuracy: {share:6.2f}%; (non-O)",
        f"accuracy: {100 * equal / len(rows):6.2f}%; {whole}",
    ]
    for type_ in sorted({*n_gold, *n_predicted}):
        figures = plain_figures(n_correct[type_], n_predicted[type_], n_gold[type_])
        lines.append(f"{type_:>17}: {figures}  {n_predicted[type_]}")
    return "\n".join(lines) + "\n"


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


def iobes_tags(draw: random.Random, length: int) -> list[str]:
    """Any mixture of the prefixes that seqeval knows, legal or not."""
    pool = [
        "O",
        "O",
        *(f"{draw.choice('BIES')}-{draw.choice(('X', 'Y', 'A-B'))}" for _ in "123456"),
    ]
    return draw.choices(pool, k=length)


def pair(draw: random.Random, make: Make, length: int) -> tuple[list[str], list[str]]:
    """Gold and predicted tags; half of the predictions are a perturbed copy, so that long entities
    are often correct."""
    gold, predicted = make(draw, length), make(draw, length)
    if draw.random() < 0.5:
        rows = zip(gold, predicted, strict=True)
        predicted = [p if draw.random() < 0.15 else g for g, p in rows]
    return gold, predicted


@pytest.mark.parametrize("make", [legal_tags, stray_tags, malformed_tags])
def test_fuzz_against_the_plain_rules(make: Make) -> None:
    draw = random.Random(make.__name__)
    seen: Counter[str] = Counter()
    for _ in range(FUZZED // 3):
        gold, predicted = pair(draw, make, draw.randint(0, 14))
        n_gold, n_predicted, n_correct = plain_rules(gold, predicted)
        expected = {
            type_: Scores(n_gold[type_], n_predicted[type_], n_correct[type_])
            for type_ in n_gold | n_predicted
        }
        assert scores_by_type([(chunks(gold), chunks(predicted))]) == expected, (gold, predicted)
        seen.update({"correct": n_correct.total(), "wrong": (n_predicted - n_correct).total()})
    assert min(seen["correct"], seen["wrong"]) > 1000, "the fuzz must meet both outcomes"


def written(sentences: list[list[str]], draw: random.Random) -> str:
    """An official-format file in one of its spellings, blank lines as many as in `spelt`."""
    separator, end = draw.choice(" \t"), draw.choice(["\n", "\r\n"])
    blank = draw.choice(["", " "]) + end
    blocks = ["".join(f"字{separator}{tag}{end}" for tag in tags) for tags in sentences]
    return "".join(f"{block}{blank}" for block in blocks)


@pytest.mark.parametrize("make", [legal_tags, stray_tags, malformed_tags])
def test_fuzz_of_whole_files_against_the_plain_report(make: Make, tmp_path: Path) -> None:
    """Every printed character, files in: one column, a blank row between the sentences."""
    draw = random.Random(f"files {make.__name__}")
    gold_file, predicted_file = tmp_path / "gold.txt", tmp_path / "predicted.txt"
    for _ in range(100):
        pairs = [pair(draw, make, draw.randint(1, 9)) for _ in range(draw.randint(1, 12))]
        gold, predicted = [g for g, _ in pairs], [p for _, p in pairs]
        for file, sentences in ((gold_file, gold), (predicted_file, predicted)):
            file.write_text(written(sentences, draw), encoding="utf-8", newline="")
        printed = score_table(score_files([("all", gold_file, predicted_file)]))
        rows = [[tag for tags in side for tag in [*tags, "O"]] for side in (gold, predicted)]
        assert printed == plain_report(*rows), (gold, predicted)


def seqeval_entities(tags: list[str]) -> list[tuple[int, int, str]]:
    """What seqeval's default mode finds, as our spans."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # "seems not to be NE tag"
        return [(start, end + 1, type_) for type_, start, end in get_entities(tags)]


def our_entities(tags: list[str]) -> list[tuple[int, int, str]]:
    return [(span.start, span.end, span.type) for span in chunks(tags)]


@pytest.mark.parametrize("make", [legal_tags, stray_tags, iobes_tags])
def test_seqeval_reads_well_formed_tags_as_we_do(make: Make) -> None:
    """Tags of `O` and `B- I- E- S-` with a type, in any order, legal or not."""
    draw = random.Random(f"seqeval {make.__name__}")
    found = 0
    for _ in range(FUZZED // 3):
        tags = make(draw, draw.randint(1, 14))
        ours = our_entities(tags)
        assert seqeval_entities(tags) == ours, tags
        found += len(ours)
    assert found > FUZZED // 3


def test_seqeval_s_report_has_our_figures() -> None:
    draw = random.Random("report")
    pairs = [pair(draw, stray_tags, draw.randint(1, 20)) for _ in range(2_000)]
    gold, predicted = [g for g, _ in pairs], [p for _, p in pairs]
    scores = score_sentences(gold, predicted, separators=0)
    report = classification_report(gold, predicted, output_dict=True)
    rows = {"micro avg": scores.overall, **scores.per_type}
    assert set(report) == {*rows, "macro avg", "weighted avg"}
    for name, counts in rows.items():
        theirs = report[name]
        assert theirs["support"] == counts.gold
        figures = (theirs["precision"], theirs["recall"], theirs["f1-score"])
        ours = (counts.precision / 100, counts.recall / 100, counts.f1 / 100)
        assert figures == pytest.approx(ours, abs=1e-12)


@pytest.mark.parametrize(
    ("tags", "ours", "theirs"),
    [
        # A prefix it does not know goes on after `O-X` from wherever an entity last began,
        ("B-Y O-X i-X", [(0, 1, "Y"), (2, 3, "X")], [(0, 1, "Y"), (0, 3, "X")]),
        # an entity that ends in such a prefix is not closed by `O-X`,
        ("i-X O-X", [(0, 1, "X")], []),
        # nor does such a prefix start one after `E` or `S`;
        ("S-X i-X", [(0, 1, "X"), (1, 2, "X")], [(0, 1, "X"), (0, 2, "X")]),
        # `.` is outside as in the Perl script, and only the first letter of a prefix counts;
        (".-X", [(0, 1, "X")], []),
        ("BI-X BI-X", [(0, 2, "X")], [(0, 1, "X"), (1, 2, "X")]),
        # an empty type is called `_`.
        ("B- I-", [(0, 2, "")], [(0, 2, "_")]),
    ],
)
def test_where_seqeval_differs(
    tags: str, ours: list[tuple[int, int, str]], theirs: list[tuple[int, int, str]]
) -> None:
    """Hence it is no stand-in for the official scorer; ROCLING-2022's gold has `i-` and `O-`."""
    assert our_entities(tags.split()) == ours
    assert seqeval_entities(tags.split()) == theirs


def test_seqeval_s_strict_mode_drops_a_stray_start() -> None:
    tags = ["O", "I-X", "I-X", "B-Y", "I-Y"]
    strict = Entities([tags], IOB2).entities[0]
    assert [(entity.start, entity.end, entity.tag) for entity in strict] == [(3, 5, "Y")]
    assert our_entities(tags) == [(1, 3, "X"), (3, 5, "Y")]


def test_seqeval_reads_what_is_no_tag() -> None:
    assert seqeval_entities(["O", "BODY"]) == [(1, 2, "ODY")]
    with pytest.raises(InputError, match="'BODY' is neither"):
        chunks(["O", "BODY"])
