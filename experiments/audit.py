"""How many planted errors `chmed-ner audit` finds, and what their correction gives back.

    python experiments/audit.py [OVERRIDE ...] [--seeds 1 2 3] [--share 0.05] [--folds 5]
        [--no-training] [--json FILE]

By default HealthNER (the 2,531-sentence part) and ROCLING-2022, tested on ROCLING-2023's FT and WA.
Of the training entities a seeded 5% are spoiled: as many get another type, another boundary, are
dropped, or stay and have one made up elsewhere. A suggestion is right if it touches a planted
error; errors that were in the corpus before count as wrong ones. The list is read as far as half of
it is right; a reviewer puts back what was annotated there, and a CRF is trained on the clean, the
spoiled and the corrected sentences.
"""

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

from chmed_ner.data import Corpus
from chmed_ner.entities import Sentence, Span
from chmed_ner.methods import audit_annotations
from chmed_ner.run import Experiment, compose, configure, read_corpus
from chmed_ner.score import FATES, Planted, Suggestion, annotated, plant, span_scores
from chmed_ner.track import Tracker

DEFAULT = (
    "dataset=rocling2023", "dataset.protocol=shared_task", "dataset.healthner_part=test",
    "dataset.genres=[FT,WA]",
)  # fmt: skip


def found_at_half(listed: Sequence[Suggestion], planted: Sequence[Planted]) -> tuple[int, set[int]]:
    """The longest beginning of the list of which at least half is right, and the errors in it."""
    by_id: dict[str, list[int]] = {}
    for number, each in enumerate(planted):
        by_id.setdefault(each.id, []).append(number)
    right, best, seen = 0, 0, [set[int]()]
    for place, suggestion in enumerate(listed, start=1):
        hits = {
            n
            for n in by_id.get(suggestion.sentence.id, ())
            if planted[n].touches(suggestion.annotated, suggestion.suggested)
        }
        right += bool(hits)
        seen.append(hits)
        if 2 * right >= place:
            best = place
    return best, set[int]().union(*seen[: best + 1])


def corrected(
    sentences: Sequence[Sentence], planted: Sequence[Planted], found: set[int]
) -> list[Sentence]:
    """The sentences with what was annotated before where an error was found."""
    gone = {(planted[n].id, planted[n].after) for n in found}
    back: dict[str, list[Span]] = {}
    for n in found:
        before = planted[n].before
        back.setdefault(planted[n].id, []).extend([before] if before else [])
    done = []
    for each in sentences:
        kept = [span for span in each.entities if (each.id, span) not in gone]
        free = [
            span
            for span in back.get(each.id, ())
            if all(span.end <= other.start or other.end <= span.start for other in kept)
        ]
        done.append(annotated(each, [*kept, *free]))
    return done


def trained_f1(experiment: Experiment, corpus: Corpus, train: Sequence[Sentence]) -> float:
    """Micro F1 (percent) on the test split of the method trained on `train`."""
    learnt = replace(corpus, train=tuple(train), validation=())
    with TemporaryDirectory() as folder:
        found = experiment.method.run(experiment, learnt, Path(folder), Tracker(Path(folder)))
    spans = found.test.predicted(experiment.policy)
    return span_scores((each.entities, spans[each.id]) for each in corpus.test).f1


def measured(
    experiment: Experiment, corpus: Corpus, seed: int, share: float, folds: int, training: bool
) -> dict[str, float]:
    """The figures of one seed; shares in percent."""
    clean = [*corpus.train, *(replace(each, split="train") for each in corpus.validation)]
    bad, planted = plant(clean, corpus.labels.tags, share, 1000 + seed)  # not those of the audit
    with TemporaryDirectory() as folder:
        listed = audit_annotations(experiment, bad, folds, Path(folder))
    length, found = found_at_half(listed, planted)
    every, there = Counter(each.fate for each in planted), Counter(planted[n].fate for n in found)
    figures = {
        "sentences": len(bad),
        "planted": len(planted),
        "suggestions": len(listed),
        "read": length,
        "lowest_score_read": listed[length - 1].score if length else 1.0,
        "found": 100 * len(found) / len(planted),
        **{f"found_{fate}": 100 * there[fate] / max(1, every[fate]) for fate in FATES},
    }
    if not training:
        return figures
    f1 = {
        name: trained_f1(experiment, corpus, train)
        for name, train in (
            ("clean", clean), ("spoiled", bad), ("corrected", corrected(bad, planted, found))
        )
    }  # fmt: skip
    lost = f1["clean"] - f1["spoiled"]
    regained = 100 * (f1["corrected"] - f1["spoiled"]) / lost if lost > 0 else 0.0
    return {**figures, **{f"f1_{name}": value for name, value in f1.items()}, "regained": regained}


def main() -> None:
    """Print the figures of each seed and their means."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("overrides", nargs="*", default=DEFAULT, metavar="OVERRIDE")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2, 3])
    parser.add_argument("--share", type=float, default=0.05)
    parser.add_argument("--folds", type=int, default=5)
    parser.add_argument("--no-training", action="store_true")
    parser.add_argument("--json", type=Path)
    given = parser.parse_intermixed_args()
    words = list(given.overrides)
    if not any(word.startswith(("method=", "preset=")) for word in words):
        words.append("preset=audit")
    experiment = configure(compose(words), {})
    corpus = read_corpus(experiment)
    rows: dict[str, Mapping[str, float]] = {}
    for seed in given.seeds:
        rows[str(seed)] = measured(
            experiment, corpus, seed, given.share, given.folds, not given.no_training
        )
        print(seed, json.dumps(rows[str(seed)]), flush=True)
    names = list(rows[str(given.seeds[0])])
    rows["mean"] = {name: sum(row[name] for row in rows.values()) / len(rows) for name in names}
    for name in names:
        print(f"{name:<20}" + "".join(f"{row[name]:>12.2f}" for row in rows.values()))
    if given.json:
        given.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
