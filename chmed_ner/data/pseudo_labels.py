"""Sentences that a model has labelled, as training sentences: `dataset.pseudo_labels`.

The file is one of `chmed-ner predict --format pseudo_labels`: first a line that says who labelled
it, then a prediction a line.
"""

import json
import logging
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from pathlib import Path
from types import MappingProxyType
from typing import Any, Self

from chmed_ner.data.annotated_file import overlap
from chmed_ner.data.catalog import CORPORA
from chmed_ner.data.columns import opened
from chmed_ner.data.corpus import Corpus
from chmed_ner.data.documents import MAX_CHARACTERS, sentences_of
from chmed_ner.data.healthner import GENRES, read_healthner
from chmed_ner.data.predictions import parse_prediction
from chmed_ner.data.sources import Source, checksums, read_sources
from chmed_ner.entities import LabelScheme, Prediction, Sentence, Span, cut, tags_of
from chmed_ner.errors import InputError
from chmed_ner.files import json_line, read_text, sha256_of, text_sha256

log = logging.getLogger(__name__)

PSEUDO_LABELS = "pseudo_labels"
"""The format of `predict`."""
KEY = f"dataset.{PSEUDO_LABELS}"
_CURE = f"make it with `chmed-ner predict --run RUN TEXT --format {PSEUDO_LABELS} --out FILE`"
LONG = 20
"""Letters in a row that make a sentence the same text as another; of a shorter one, all."""


def labeller_line(name: str, training_files: Mapping[str, str]) -> str:
    """The first line of a file: the labeller, and the SHA-256 of the files it was trained on."""
    return json_line({"labelled_by": name, "training_files": dict(training_files)})


@dataclass(frozen=True)
class HeldOut:
    """Texts that no training sentence may come from, and a checksum of their files."""

    texts: Sequence[str]
    sha256: str

    @classmethod
    def read(cls, sources: Iterable[Source], root: Path, labels: LabelScheme) -> Self:
        """Those of the test files that are there: `sources`, and the published corpora's."""
        own = [each for each in sources if each.path.exists()]
        paths = [root / file.path for corpus in CORPORA for file in corpus.files]
        published = [each for each in paths if "test" in each.name and each.is_file()]
        texts = [sentence.text for sentence in read_sources(own, "test", labels)]
        sums = {**checksums(own), **{str(each): sha256_of(each) for each in published}}
        texts += chain.from_iterable(map(_texts, published))
        return cls(texts, text_sha256(json.dumps(sorted(sums.values()))))


def with_pseudo_labels(
    corpus: Corpus, path: Path, least: float, gold: Iterable[Sentence], held_out: HeldOut
) -> Corpus:
    """`corpus` with more training sentences: those of `path` all of whose entities, one at least,
    have a confidence of `least` or more.

    Sentences that share LONG letters with a held-out text or with `gold` (training and validation)
    are dropped; all are counted. InputError: bad content, none is left, or the labeller was trained
    on a file that the corpus tests on.
    """
    labelled_by, files, predictions = _read(path)
    if learnt := sorted({n for n, sha in files.items() if sha in corpus.test_files.values()}):
        raise InputError(
            f"{path}: labelled by {labelled_by}, which was trained on {', '.join(learnt)}, and "
            f"dataset '{corpus.name}' tests on that; label the text with another run"
        )
    tested = _parts(held_out.texts)
    known = _parts(sentence.text for sentence in gold)
    counts: Counter[str] = Counter()
    found = []
    for number, each in enumerate(predictions, start=2):
        parts = _parts([each.text])
        if parts & tested:
            counts["tested"] += 1
        elif parts & known:
            counts["known"] += 1
        elif not each.entities:
            counts["without_entity"] += 1
        elif any((span.confidence or 0.0) < least for span in each.entities):
            counts["unsure"] += 1
        else:
            where = f"{path}, line {number}"
            found.append(_sentence(where, each, f"pseudo/{number:05d}", corpus.labels))
            known |= parts
    left_out = {name: counts[name] for name in ("tested", "known", "without_entity", "unsure")}
    said = ", ".join(f"{count} {name.replace('_', ' ')}" for name, count in left_out.items())
    if not found:
        raise InputError(
            f"{path}: none of its {len(predictions)} sentences can be used ({said}); lower "
            f"dataset.pseudo_confidence ({least:g}), or label other text with a run whose method "
            "gives confidences"
        )
    other = {n: sha for n, sha in files.items() if sha not in corpus.training_files.values()}
    log.info("%s: %d of %d sentences are trained on; left out: %s",
             path, len(found), len(predictions), said)  # fmt: skip
    return replace(
        corpus,
        train=(*corpus.train, *cut(tuple(found))),
        training_files=MappingProxyType(
            {
                **corpus.training_files,
                **{f"{KEY}, its labeller's {name}": sha for name, sha in other.items()},
                KEY: sha256_of(path),
                f"{KEY}, without the sentences of the test files": held_out.sha256,
            }
        ),
        counts=MappingProxyType(
            {
                **corpus.counts,
                "pseudo_sentences": len(found),
                **{f"pseudo_sentences_{name}": count for name, count in left_out.items()},
            }
        ),
    )


def _read(path: Path) -> tuple[str, dict[str, str], list[Prediction]]:
    """Who labelled the file, that model's training files, and the predictions."""
    with opened(path) as stream:
        first, *lines = stream.read().splitlines() or [b""]
    try:
        head = json.loads(first)
        labelled_by, files = head["labelled_by"], head["training_files"]
        if not all(isinstance(each, str) for each in (labelled_by, *files, *files.values())):
            raise TypeError("no texts")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise InputError(
            f"{path}, line 1: does not say who labelled the text and was trained on what, so "
            f"nobody can tell whether it knows test sentences; {_CURE}"
        ) from None
    found = []
    for number, line in enumerate(lines, start=2):
        try:
            record: Any = json.loads(line)
            found.append(parse_prediction(record, split=False))
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{path}, line {number}: not a prediction ({error}); {_CURE}"
            ) from None
    return labelled_by, files, found


def _sentence(where: str, each: Prediction, id_: str, labels: LabelScheme) -> Sentence:
    entities = tuple(Span(span.start, span.end, span.type) for span in each.entities)
    for type_ in (span.type for span in entities if span.type not in labels.tags):
        raise InputError(
            f"{where}: type {type_!r} is not in the label scheme '{labels.name}' "
            f"({', '.join(labels.tags)}); label the text with a run of this scheme"
        )
    overlapping = overlap(entities)
    if overlapping and not labels.nested:
        raise InputError(
            f"{where}: entities overlap, but the label scheme '{labels.name}' is flat; label the "
            "text with a run of this scheme"
        )
    bounds = sentences_of(each.text, MAX_CHARACTERS)
    return Sentence(
        id_, "train", "PSEUDO", each.text,
        None if overlapping else tags_of(entities, len(each.text)), entities,
        cuts=tuple(start for start, _ in bounds)[1:] if len(each.text) > MAX_CHARACTERS else (),
    )  # fmt: skip


def _texts(path: Path) -> list[str]:
    """The sentences of a published test file."""
    if path.parent.name == "healthner":
        found = read_healthner(path, prefix="", split="", genres=GENRES, labels=None)
        return [sentence.text for sentence in found]
    rows = "".join(line[:1] or "\n" for line in read_text(path).split("\n"))
    return re.split(r"\s+", rows)


def _parts(texts: Iterable[str]) -> set[str]:
    """Every LONG letters in a row of the texts; of a shorter one, all its letters."""
    letters = (re.sub(r"\W+", "", text) for text in texts)
    return {each[at : at + LONG] for each in letters for at in range(max(1, len(each) - LONG + 1))}
