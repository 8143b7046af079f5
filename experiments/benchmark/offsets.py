"""Mentions back to offsets: our restoration beside langextract's aligner and spacy-llm's search.

    python -m venv PEERS && PEERS/bin/pip install langextract==1.7.1 spacy-llm==0.7.4 spacy==3.8.18
    python experiments/benchmark/offsets.py --peers PEERS/bin/python [DATASET ...]

Every aligner gets the gold mentions of each test text with their types, in text order with repeats,
as a perfect language model would list them, and answers with spans; a text longer than a model is
asked at once is given in the pieces that our runs ask for. Prints F1 of the exact spans with their
types (precision, recall) by corpus and aligner; writes `offsets.json` and `offsets.png`. Corpora
whose files are missing, and peers that are not installed, are left out, which is said.
"""

import argparse
import logging
import shutil
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from math import log10
from pathlib import Path
from typing import Any

import numpy as np
from bench_run import Sides

from chmed_ner.entities import Mention, Scores, Sentence, Span, pieces, restore
from chmed_ner.errors import InputError
from chmed_ner.files import markdown_table, output_directory, write_bytes, write_json
from chmed_ner.report import speaking
from chmed_ner.report.figures import QUIET, TEXT, add_axes, new_figure, pictures, text_style
from chmed_ner.run import compose, configure
from chmed_ner.score import span_scores
from chmed_ner.track import git_commit

DATASETS = (
    "rocling2022", "rocling2023_ft_wa", "healthner", "cmedqaner", "cehrner", "yidu_s4k", "cluener",
    "resume", "cmeee",
)  # fmt: skip
"""Options of `dataset=` whose test files have gold."""

OURS = ("in_order", "longest_first")
"""Restoration policies: that for lists in text order, and the default, for distinct mentions."""

PEERS = {
    "langextract, UnicodeTokenizer": ("langextract", "unicode"),
    "langextract, default tokenizer": ("langextract", "default"),
    "spacy-llm, NER.v3": ("spacy-llm", "v3"),
    "spacy-llm, NER.v2": ("spacy-llm", "v2"),
}
"""Package and option by name; SpanCat of the same version where entities lie inside others."""

SIDE = Path(__file__).with_name("offsets_side.py")
BEST, WORST = 0.1, 90.0
"""What F1 lacks to 100 where the picture is lightest and darkest."""
LIGHT, DARK = np.array([0.93, 0.96, 0.99]), np.array([0.13, 0.40, 0.67])

Placed = Sequence[Sequence[Span]]
"""The spans that an aligner found in each text."""


@dataclass(frozen=True)
class Texts:
    """The test texts of a genre as a model is asked for them; `nested`: entities in entities."""

    name: str
    nested: bool
    labels: tuple[str, ...]
    sentences: tuple[Sentence, ...]

    @property
    def listed(self) -> list[tuple[str, list[Mention]]]:
        """Each text with its gold mentions."""
        return [
            (each.text, [Mention(each.mention(span), span.type) for span in each.entities])
            for each in self.sentences
        ]

    def job(self) -> dict[str, Any]:
        """The same for a peer."""
        texts = [(text, [(m.text, m.type) for m in listed]) for text, listed in self.listed]
        return {"nested": self.nested, "labels": self.labels, "texts": texts}

    def scores(self, placed: Placed) -> Scores:
        """Exact spans with their types."""
        gold = (each.entities for each in self.sentences)
        return span_scores(zip(gold, placed, strict=True))


def texts_of(name: str) -> list[Texts]:
    """The test texts of `dataset=name`, one for each genre; InputError: no such files."""
    experiment = configure(compose([f"dataset={name}", "method=lexicon", "tracking=dry"]), {})
    dataset = experiment.dataset
    test = dataset.raw(experiment.data, training=False)["test"]
    scheme = dataset.scheme
    return [
        Texts(
            dataset.name if genre == "all" else f"{dataset.name} {genre}",
            scheme.nested,
            scheme.tags,
            tuple(piece for each in test if each.genre == genre for _, piece in pieces(each)),
        )
        for genre in dict.fromkeys(each.genre for each in test)
    ]


def ours(policy: str, texts: Texts) -> Placed:
    """What our restoration makes of the lists."""
    return [restore(policy, text, listed, nested=texts.nested) for text, listed in texts.listed]


def theirs(sides: Sides, name: str, corpora: Sequence[Texts]) -> tuple[str, Mapping[str, Placed]]:
    """The peer's version, empty where it is not installed, and what it makes of the lists."""
    package, option = PEERS[name]
    job = {"package": package, "option": option, "corpora": {c.name: c.job() for c in corpora}}
    found = sides.run(f"{package}-{option}", job, SIDE)
    placed = {
        corpus: [[Span(*span) for span in spans] for spans in texts]
        for corpus, texts in found.get("spans", {}).items()
    }
    return found["version"], placed


def measure(corpora: Sequence[Texts], sides: Sides) -> tuple[dict[str, str], dict[str, Any]]:
    """The versions of the aligners that took part, and their scores by corpus and aligner."""
    versions: dict[str, str] = {}
    table: dict[str, dict[str, Scores]] = {each.name: {} for each in corpora}
    for policy in OURS:
        versions[f"chmed_ner, {policy}"] = git_commit()
        for each in corpora:
            table[each.name][f"chmed_ner, {policy}"] = each.scores(ours(policy, each))
    for name, (package, _) in PEERS.items():
        version, placed = theirs(sides, name, corpora)
        if not version:
            print(f"{name}: left out; {package} is not installed in {sides.interpreter} (--peers)")
            continue
        versions[name] = version
        for each in corpora:
            table[each.name][name] = each.scores(placed[each.name])
    return versions, table


def markdown(table: Mapping[str, Mapping[str, Scores]], names: Sequence[str]) -> str:
    """A row a corpus: F1 (precision, recall) of each aligner."""
    rows = [
        [
            corpus,
            f"{next(iter(scores.values())).gold:,}",
            *(f"{s.f1:.2f} ({s.precision:.2f}, {s.recall:.2f})" for s in scores.values()),
        ]
        for corpus, scores in table.items()
    ]
    return markdown_table(["corpus", "entities", *names], rows, "l" + "r" * (len(names) + 1))


def picture(table: Mapping[str, Mapping[str, Scores]], nested: Sequence[str]) -> bytes:
    """F1 by aligner (rows) and corpus (columns) as a PNG: the darker, the more is lost."""
    names = list(next(iter(table.values())))
    figure = new_figure(
        max(2.6 + 0.78 * len(table), 7.8), 1.3 + 0.36 * len(names),
        "Gold mentions back to their offsets",
        "F1 of exact spans with their types, in percent, when every aligner gets the gold "
        "mentions of each text in order; darker: more is lost",
    )  # fmt: skip
    axes = add_axes(figure, 2.4, 0.15, 0.2, 1.12)
    cells = [[scores[name].f1 for scores in table.values()] for name in names]
    lost = [[log10(min(max(100 - f1, BEST), WORST) / BEST) for f1 in row] for row in cells]
    share = np.array(lost) / log10(WORST / BEST)
    axes.imshow(LIGHT + share[..., None] * (DARK - LIGHT), aspect="auto", interpolation="nearest")
    axes.set_xticks(np.arange(0.5, len(table) - 1), minor=True)
    axes.set_yticks(np.arange(0.5, len(names) - 1), minor=True)
    axes.grid(which="minor", color="white", linewidth=2)
    axes.tick_params(which="minor", length=0)
    axes.xaxis.tick_top()
    corpora = [f"{name} (nested)" if name in nested else name for name in table]
    heads = [name.replace(" ", "\n") for name in corpora]
    axes.set_xticks(range(len(heads)), heads, **text_style(8, QUIET))
    axes.set_yticks(range(len(names)), names, **text_style(9))
    for row, values in enumerate(cells):
        for column, f1 in enumerate(values):
            style = text_style(9, "white" if share[row, column] > 0.6 else TEXT)
            axes.text(column, row, f"{f1:.2f}", ha="center", va="center", **style)
    return pictures(figure)["png"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print and write; 2 when no corpus is left, or `--peers` is no program."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("datasets", nargs="*", default=DATASETS, metavar="DATASET")
    parser.add_argument("--peers", default=sys.executable, help="the peers' python")
    parser.add_argument("--output", type=Path, default=output_directory() / "offsets")
    chosen = parser.parse_args(arguments)
    logging.getLogger("chmed_ner").setLevel(logging.ERROR)
    if shutil.which(chosen.peers) is None:
        print(f"--peers {chosen.peers}: no such program; name a python", file=sys.stderr)
        return 2
    corpora: list[Texts] = []
    for name in chosen.datasets:
        try:
            corpora += texts_of(name)
        except InputError as error:
            print(f"{name}: left out; {error}")
    if not corpora:
        return 2
    versions, table = measure(corpora, Sides.fresh(chosen.output, chosen.peers))
    print(markdown(table, list(versions)))
    rows = {
        corpus: {name: {**asdict(s), "f1": s.f1} for name, s in scores.items()}
        for corpus, scores in table.items()
    }
    write_json(chosen.output / "offsets.json", {"versions": versions, "scores": rows})
    nested = [each.name for each in corpora if each.nested]
    with speaking("en"):
        write_bytes(chosen.output / "offsets.png", picture(table, nested))
    print(f"written: {chosen.output / 'offsets.json'}, {chosen.output / 'offsets.png'}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
