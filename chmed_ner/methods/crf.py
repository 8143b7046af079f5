"""`method=crf`: a linear-chain CRF over characters (CRFsuite), without any neural network."""

import logging
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from chmed_ner.backbone import Backbone
from chmed_ner.data import Corpus
from chmed_ner.entities import (
    OUTSIDE,
    Lexicon,
    Span,
    chunks,
    entries_as_json,
    entries_from_json,
    may_follow,
    tags_of,
)
from chmed_ner.errors import InputError, RunError
from chmed_ner.knobs import Count, at_least
from chmed_ner.methods.features import lexicon_of, out_of_fold_features, sentence_features
from chmed_ner.methods.fitted import Fitted, numbers, validation_f1
from chmed_ner.run import Experiment
from chmed_ner.track import Tracker

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Setting:
    """One point of the grid: L1 and L2 penalty, and how many iterations at most."""

    c1: float
    c2: float
    iterations: int


class CRFTagger:
    """A model file of CRFsuite with the lexicon that gives features; InputError if it is broken."""

    def __init__(self, path: Path, lexicon: Lexicon) -> None:
        import pycrfsuite

        self._lexicon = lexicon
        self._tagger: Any = pycrfsuite.Tagger()
        try:
            self._tagger.open(str(path))
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: not a CRFsuite model ({error})") from None

    def find(self, texts: Sequence[str]) -> list[tuple[Span, ...]]:
        """The entities of each text."""
        return [chunks(self.tags(text)) for text in texts]

    def tags(self, text: str) -> list[str]:
        """The likeliest legal tags of `text`, one a character.

        CRFsuite's Viterbi knows no forbidden transition. Where its path breaks BIO (rare), the
        legal path with the highest product of marginal probabilities is taken.
        """
        if not text:
            return []
        tags: list[str] = self._tagger.tag(sentence_features(self._lexicon, text))
        if legal(tags):
            return tags
        labels = sorted(self._tagger.labels())
        return legal_tags(
            labels,
            [
                [math.log(max(self._tagger.marginal(tag, at), 1e-300)) for tag in labels]
                for at in range(len(text))
            ],
        )

    def close(self) -> None:
        """Free the model."""
        self._tagger.close()


@dataclass(frozen=True, kw_only=True)
class CRF(Fitted):
    """A linear-chain CRF, fitted with L-BFGS for each setting `c1` x `c2` x `iterations`.

    Kept is the setting with the best F1 on the validation split, the first of equals in ascending
    order: `model/crf.crfsuite`, and `model/crf.json` with lexicon, scores and choice.
    """

    name = "crf"

    description_file = "crf.json"
    weights_file = "crf.crfsuite"

    c1: Annotated[Sequence[float], numbers(0)]
    c2: Annotated[Sequence[float], numbers(0)]
    iterations: Annotated[Sequence[int], numbers(1, whole=True)]
    min_frequency: Count
    folds: Annotated[int, at_least(2)]

    @property
    def grid(self) -> list[Setting]:
        """Every setting, in ascending order."""
        penalties = (sorted(map(float, self.c1)), sorted(map(float, self.c2)))
        return [Setting(*point) for point in product(*penalties, sorted(self.iterations))]

    @property
    def choices(self) -> int:
        """The settings of the grid."""
        return len(self.grid)

    def fit(
        self, experiment: Experiment, corpus: Corpus, directory: Path, tracker: Tracker
    ) -> None:
        """Compute the features, fit each setting, keep the best."""
        import pycrfsuite

        types = corpus.labels.tags
        lexicon = lexicon_of(corpus.train, types)
        seed = experiment.seed
        rows = out_of_fold_features(corpus.train, types, self.folds, seed, sentence_features)
        trials: list[dict[str, Any]] = []
        chosen: dict[str, Any] = {"validation_f1": -1.0}
        weights = self.weights_path(directory)
        weights.parent.mkdir(parents=True, exist_ok=True)
        trainer = pycrfsuite.Trainer(verbose=False)
        for sentence, features in zip(corpus.train, rows, strict=True):
            trainer.append(features, tags_of(sentence.entities, len(sentence.text)))
        for step, setting in enumerate(self.grid):
            trial = weights.with_name("trial.crfsuite")
            _train(trainer, setting, self.min_frequency, trial)
            tagger = CRFTagger(trial, lexicon)
            f1 = validation_f1(tagger, corpus.validation)
            tagger.close()
            log.info("%s: validation F1 %.2f", setting, f1)
            if corpus.validation:
                tracker.log({"train/dev_f1": f1}, step)
            trials.append({**asdict(setting), "validation_f1": f1})
            if f1 > chosen["validation_f1"]:
                chosen = trials[-1]
                trial.replace(weights)
            else:
                trial.unlink()
        log.info("chosen: %s", chosen)
        content = {"chosen": chosen, "trials": trials, "lexicon": entries_as_json(lexicon)}
        self.write_description(directory, content)

    def reopen(self, directory: Path, backbone: Backbone | None) -> CRFTagger:
        """The tagger of a finished run; InputError where a file is absent, broken or changed."""
        lexicon = self.read_description(
            directory, lambda content: entries_from_json(content["lexicon"])
        )
        return CRFTagger(self.weights_path(directory), lexicon)


def is_complete(path: Path) -> bool:
    """Whether CRFsuite's file at `path` is as long as its header says (bytes 4 to 8)."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        header = file.read(8)
    return int.from_bytes(header[4:], "little") == path.stat().st_size > len(header)


def _train(trainer: Any, setting: Setting, min_frequency: int, path: Path) -> None:
    """Fit a setting and write the model; RunError where CRFsuite writes only a part of the file."""
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
    if not is_complete(path):
        raise RunError(f"{path}: could not be written; is the disk full?")


def legal(tags: Sequence[str]) -> bool:
    """Whether the tags of a sentence are legal BIO."""
    return all(map(may_follow, (OUTSIDE, *tags), tags))


def legal_tags(labels: Sequence[str], scores: Sequence[Sequence[float]]) -> list[str]:
    """The legal tags with the highest sum of `scores`, a row of scores by label a character."""
    if not scores:
        return []
    best = [(0.0 if may_follow(OUTSIDE, tag) else float("-inf")) for tag in labels]
    best = [start + score for start, score in zip(best, scores[0], strict=True)]
    sources: list[list[int]] = []
    for row in scores[1:]:
        source = [
            max((p for p, tag in enumerate(labels) if may_follow(tag, label)), key=best.__getitem__)
            for label in labels
        ]
        best = [best[p] + score for p, score in zip(source, row, strict=True)]
        sources.append(source)
    at = max(range(len(labels)), key=best.__getitem__)
    path = [at]
    for source in reversed(sources):
        at = source[at]
        path.append(at)
    return [labels[place] for place in reversed(path)]
