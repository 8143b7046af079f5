"""Entities of a text whose gold is elsewhere, without the text; their score where gold is there.

    python experiments/blind/blind.py label RUN TEXT OUT.tsv
    python experiments/blind/blind.py score GOLD IN.tsv

TEXT and GOLD are files in the official format (a character a line, with or without a tag). A line
of the TSV, after the header, is an entity: the number of its sentence, from 1, where it starts and
ends in it, `[start, end)` in code points from 0, and its type. `score` prints what the official
scorer does.
"""

import argparse
from collections.abc import Mapping, Sequence
from pathlib import Path

from chmed_ner.data import read_annotated, read_rows
from chmed_ner.entities import Span, tags_of
from chmed_ner.errors import InputError
from chmed_ner.files import read_text, replacing
from chmed_ner.score import score_sentences, score_table

HEADER = "sentence\tstart\tend\ttype"


def label(run: str, text: Path, out: Path) -> None:
    """Write the entities that the finished run finds."""
    from chmed_ner.run import load

    texts = [each.text for each in read_annotated(text, "columns", {"gold": False}).texts]
    with load(run) as model:
        found = [each.entities for each in model.predict(texts)]
    with replacing(out) as file:
        file.write(f"{HEADER}\n")
        for number, spans in enumerate(found, start=1):
            for span in spans:
                file.write(f"{number}\t{span.start}\t{span.end}\t{span.type}\n")
    print(f"{len(texts)} sentences, {sum(map(len, found))} entities")


def read_entities(path: Path) -> dict[int, list[Span]]:
    """What `label` wrote, by the number of the sentence; InputError: anything else."""
    header, *lines = read_text(path).splitlines()
    if header != HEADER:
        raise InputError(f"{path}, line 1: {header[:40]!r}; the header is {HEADER!r}")
    found: dict[int, list[Span]] = {}
    for place, line in enumerate(lines, start=2):
        try:
            number, start, end, type_ = line.split("\t")
            found.setdefault(int(number), []).append(Span(int(start), int(end), type_))
        except ValueError as error:
            raise InputError(f"{path}, line {place}: no entity ({error}); label again") from None
    return found


def score(gold: Path, entities: Mapping[int, Sequence[Span]]) -> str:
    """The official scorer's table; InputError: an entity lies outside its sentence."""
    rows = read_rows(gold, scored=True)
    tags = []
    for number, sentence in enumerate(rows.tags(), start=1):
        try:
            tags.append(tags_of(entities.get(number, ()), len(sentence)))
        except ValueError as error:
            raise InputError(
                f"{gold}, sentence {number}: {error}; the entities are of another text"
            ) from None
    if beyond := [number for number in entities if not 1 <= number <= len(tags)]:
        raise InputError(f"{gold}: has {len(tags)} sentences, none of number {beyond[0]}")
    return score_table({"all": score_sentences(rows.tags(), tags, separators=rows.separators)})


def main() -> None:
    """Label or score."""
    parser = argparse.ArgumentParser(description="Label a text without gold, or score such labels.")
    commands = parser.add_subparsers(dest="command", required=True)
    labelling = commands.add_parser("label")
    labelling.add_argument("run", help="a finished run")
    labelling.add_argument("text", type=Path)
    labelling.add_argument("tsv", type=Path)
    scoring = commands.add_parser("score")
    scoring.add_argument("gold", type=Path)
    scoring.add_argument("tsv", type=Path)
    given = parser.parse_args()
    if given.command == "label":
        label(given.run, given.text, given.tsv)
    else:
        print(score(given.gold, read_entities(given.tsv)), end="")


if __name__ == "__main__":
    main()
