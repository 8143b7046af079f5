"""`method=crf`: a linear-chain CRF over characters (CRFsuite), without any neural network."""

import logging
import random
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chmed_ner.backbone.protocol import Backbone
from chmed_ner.bio import tags_of
from chmed_ner.data.corpus import Corpus
from chmed_ner.errors import InputError, RunError
from chmed_ner.experiment import Experiment
from chmed_ner.files import read_json, sha256_of, write_json
from chmed_ner.methods.crf_features import Rows, SentenceFeatures
from chmed_ner.methods.crf_tagger import CRFTagger
from chmed_ner.methods.fitted import Fitted, validation_f1
from chmed_ner.methods.lexicon import distinct_numbers, entries_as_json, entries_from_json
from chmed_ner.methods.mention_lexicon import (
    Lexicon,
    StringIndex,
    count_mentions,
    mention_strings,
)
from chmed_ner.types import Sentence

if TYPE_CHECKING:
    from chmed_ner.track import Tracker

log = logging.getLogger(__name__)

FILE = "model/crf.json"
WEIGHTS = "model/crf.crfsuite"


@dataclass(frozen=True, slots=True)
class Setting:
    """One point of the grid: L1 and L2 penalty, and how many iterations at most."""

    c1: float
    c2: float
    iterations: int


class CRF(Fitted):
    """A linear-chain CRF, fitted with L-BFGS for every setting of a grid; the best is kept.

    The grid is `c1` x `c2` x `iterations` (L1 and L2 penalty, most iterations); what counts is F1
    on the validation split, the first of equals in ascending order. A feature must be met
    `min_frequency` times. The lexicon that gives features to a training sentence is built without
    the sentence's own fold, one of `folds` (all sentences of one text are in one fold).

    `model/crf.crfsuite` is CRFsuite's own file; `model/crf.json` holds the lexicon, the scores of
    the grid, the setting chosen and the checksum of that file.
    """

    name = "crf"

    def __init__(
        self,
        c1: Sequence[float],
        c2: Sequence[float],
        iterations: Sequence[int],
        min_frequency: int,
        folds: int,
    ) -> None:
        if isinstance(iterations, Sequence) and any(type(each) is float for each in iterations):
            raise InputError(f"method.iterations={iterations}: give a list of whole numbers from 1")
        self.grid = [
            Setting(*point)
            for point in product(
                distinct_numbers("method.c1", c1, 0.0),
                distinct_numbers("method.c2", c2, 0.0),
                map(int, distinct_numbers("method.iterations", iterations, 1)),
            )
        ]
        if min_frequency < 1:
            raise InputError(f"method.min_frequency={min_frequency}: give 1 or more")
        if folds < 2:
            raise InputError(f"method.folds={folds}: give 2 or more")
        self.min_frequency = min_frequency
        self.folds = folds

    @property
    def choices(self) -> int:
        """How many settings are tried."""
        return len(self.grid)

    def finished(self, directory: Path) -> bool:
        """Whether the model is there: its description is written last."""
        return (directory / FILE).is_file()

    def fit(
        self, experiment: Experiment, corpus: Corpus, directory: Path, tracker: "Tracker"
    ) -> None:
        """Compute the features, fit each setting, keep the best."""
        types = corpus.labels.tags
        index = StringIndex(mention_strings(corpus.train))
        lexicon = count_mentions(corpus.train, index).lexicon(types)
        rows = out_of_fold_features(corpus.train, types, self.folds, experiment.seed)
        trials: list[dict[str, Any]] = []
        best = -1.0
        weights = directory / WEIGHTS
        weights.parent.mkdir(parents=True, exist_ok=True)
        with _instances(corpus.train, rows) as train:
            for step, setting in enumerate(self.grid):
                trial = weights.with_name("trial.crfsuite")
                train(setting, self.min_frequency, trial)
                tagger = CRFTagger(trial, lexicon)
                f1 = validation_f1(tagger, corpus.validation)
                tagger.close()
                log.info("%s: validation F1 %.2f", setting, f1)
                if corpus.validation:
                    tracker.log({"train/dev_f1": f1}, step)
                trials.append({**_as_json(setting), "validation_f1": f1})
                if f1 > best:
                    best = f1
                    trial.replace(weights)
                else:
                    trial.unlink()
        self._describe(directory, lexicon, trials)

    def _describe(
        self, directory: Path, lexicon: Lexicon, trials: Sequence[dict[str, Any]]
    ) -> None:
        chosen = max(trials, key=lambda trial: float(trial["validation_f1"]))
        log.info("chosen: %s", chosen)
        write_json(
            directory / FILE,
            {
                "chosen": chosen,
                "trials": list(trials),
                "sha256": sha256_of(directory / WEIGHTS),
                "lexicon": entries_as_json(lexicon),
            },
        )

    def reopen(self, directory: Path, backbone: Backbone) -> CRFTagger:  # noqa: ARG002
        """The tagger of a finished run; InputError where a file is absent, broken or changed."""
        path, weights = directory / FILE, directory / WEIGHTS
        content = read_json(path)
        try:
            digest, lexicon = content["sha256"], entries_from_json(content["lexicon"])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise InputError(f"{path}: not a CRF's ({error!r}); run the method again") from None
        if not weights.is_file() or sha256_of(weights) != digest:
            raise InputError(
                f"{weights}: absent, or another file than the one that was fitted; bring it back, "
                "or run the method again"
            )
        return CRFTagger(weights, lexicon)


def out_of_fold_features(
    sentences: Sequence[Sentence],
    types: Sequence[str],
    folds: int,
    seed: int,
    features_with: Callable[[Lexicon], Callable[[str], Rows]] = SentenceFeatures,
) -> list[Rows]:
    """The features of each sentence, with a lexicon that its own fold has no part in.

    With a lexicon of all sentences, each entity of the training split would be a lexicon match, and
    the CRF would trust the lexicon more than it deserves on text that is new.
    """
    index = StringIndex(mention_strings(sentences))
    counts = count_mentions(sentences, index)
    found: dict[str, Rows] = {}
    for fold in folds_of(sentences, folds, seed):
        features = features_with(counts.without(count_mentions(fold, index)).lexicon(types))
        found |= {sentence.id: features(sentence.model_text) for sentence in fold}
    return [found[sentence.id] for sentence in sentences]


def folds_of(sentences: Sequence[Sentence], count: int, seed: int) -> list[list[Sentence]]:
    """The sentences in at most `count` folds drawn with `seed`, those of one text together."""
    texts = sorted({sentence.text for sentence in sentences})
    random.Random(f"folds {seed}").shuffle(texts)
    place = {text: number % count for number, text in enumerate(texts)}
    folds: list[list[Sentence]] = [[] for _ in range(count)]
    for sentence in sentences:
        folds[place[sentence.text]].append(sentence)
    return [fold for fold in folds if fold]


def is_whole(path: Path) -> bool:
    """Whether CRFsuite's file at `path` is as long as its header says (bytes 4 to 8)."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        header = file.read(8)
    return int.from_bytes(header[4:], "little") == path.stat().st_size > len(header)


def _as_json(setting: Setting) -> dict[str, float]:
    return {"c1": setting.c1, "c2": setting.c2, "iterations": setting.iterations}


@contextmanager
def _instances(
    sentences: Sequence[Sentence], rows: Sequence[Rows]
) -> Iterator[Callable[[Setting, int, Path], None]]:
    """A function that fits a setting to the sentences and writes the model to a path.

    It raises RunError where the file does not come out whole: CRFsuite does not say so.
    """
    import pycrfsuite

    trainer = pycrfsuite.Trainer(verbose=False)
    for sentence, features in zip(sentences, rows, strict=True):
        trainer.append(features, tags_of(sentence.entities, len(sentence.text)))

    def train(setting: Setting, min_frequency: int, path: Path) -> None:
        trainer.select("lbfgs")
        trainer.set_params(
            {
                "c1": setting.c1,
                "c2": setting.c2,
                "max_iterations": setting.iterations,
                "feature.minfreq": min_frequency,
                "feature.possible_transitions": True,  # so that illegal ones are unlearnt
            }
        )
        trainer.train(str(path))
        if not is_whole(path):
            raise RunError(f"{path}: could not be written; is the disk full?")

    try:
        yield train
    finally:
        trainer.clear()
