"""`method=crf`: a linear-chain CRF over characters (CRFsuite), without any neural network."""

import logging
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any

import numpy as np

from chmed_ner.backbone import Backbone
from chmed_ner.data import Corpus
from chmed_ner.entities import (
    OUTSIDE,
    Lexicon,
    Span,
    chunks,
    may_follow,
    tags_of,
)
from chmed_ner.errors import RunError
from chmed_ner.knobs import Count, at_least
from chmed_ner.methods.chain import Scores, padded
from chmed_ner.methods.crfsuite import read_model
from chmed_ner.methods.features import (
    NO_LISTS,
    Lists,
    lexicon_of,
    lexicons_as_json,
    lexicons_from_json,
    lexicons_of,
    out_of_fold_features,
    sentence_features,
)
from chmed_ner.methods.fitted import Fitted, lists_of, numbers, validation_f1
from chmed_ner.run import Experiment
from chmed_ner.track import Tracker

log = logging.getLogger(__name__)

BATCH = 64
"""How many sentences of about one length are tagged at once."""


@dataclass(frozen=True, slots=True)
class Setting:
    """One point of the grid: L1 and L2 penalty, and how many iterations at most."""

    c1: float
    c2: float
    iterations: int


class CRFTagger:
    """A model file of CRFsuite with lexicon and lists for features; InputError if it is broken."""

    def __init__(self, path: Path, lexicon: Lexicon, lists: Lists = NO_LISTS) -> None:
        self._lexicon, self._lists = lexicon, lists
        self._model = read_model(path)
        self._legal = self._model.chain.legal()

    def find(self, texts: Sequence[str]) -> list[tuple[Span, ...]]:
        """The entities of each text, with their marginal probability among all legal BIO tags."""
        found: dict[str, tuple[Span, ...]] = {"": ()}
        ordered = sorted({text for text in texts if text}, key=len)
        for start in range(0, len(ordered), BATCH):
            some = ordered[start : start + BATCH]
            found |= zip(some, self._found(some), strict=True)
        return [found[text] for text in texts]

    def judge(
        self, texts: Sequence[str], spans: Sequence[Sequence[Span]]
    ) -> list[tuple[Span, ...]]:
        """The given entities of each text, with their marginal probability."""
        judged: list[tuple[Span, ...]] = [()] * len(texts)
        ordered = sorted(
            (at for at, text in enumerate(texts) if text), key=lambda at: len(texts[at])
        )
        for start in range(0, len(ordered), BATCH):
            some = ordered[start : start + BATCH]
            each, lengths = self._emissions([texts[at] for at in some])
            found = self._legal.confident([spans[at] for at in some], padded(each), lengths)
            for at, confident in zip(some, found, strict=True):
                judged[at] = confident
        return judged

    def _emissions(self, texts: Sequence[str]) -> tuple[list[Scores], list[int]]:
        lexicon, lists = self._lexicon, self._lists
        rows = (row for text in texts for row in sentence_features(lexicon, text, lists))
        lengths = list(map(len, texts))
        return np.split(self._model.emissions(rows), np.cumsum(lengths)[:-1]), lengths

    def _found(self, texts: Sequence[str]) -> list[tuple[Span, ...]]:
        each, lengths = self._emissions(texts)
        emissions = padded(each)
        labels = self._model.chain.labels
        paths = self._model.chain.best(emissions, lengths)
        tags = [[labels[at] for at in path] for path in paths]
        placed = [
            chunks(path if legal(path) else self._legal_tags(scores))
            for path, scores in zip(tags, each, strict=True)
        ]
        return self._legal.confident(placed, emissions, lengths)

    def _legal_tags(self, emissions: Scores) -> list[str]:
        """The legal tags with the highest product of marginal probabilities.

        CRFsuite's chain knows no forbidden transition. This is for where its best path breaks BIO
        (rare).
        """
        chain = self._model.chain
        forward, backward, _ = chain.messages(emissions[None], [len(emissions)])
        marginals = np.log(np.maximum(forward * backward, 1e-300))[..., 0]
        order = sorted(range(len(chain.labels)), key=chain.labels.__getitem__)
        return legal_tags([chain.labels[at] for at in order], marginals[:, order].tolist())

    def close(self) -> None:
        """It holds nothing to free."""


@dataclass(frozen=True, kw_only=True)
class CRF(Fitted):
    """A linear-chain CRF, fitted with L-BFGS for each setting `c1` x `c2` x `iterations`.

    Kept is the setting with the best F1 on the validation split, the first of equals in ascending
    order: `model/crf.crfsuite`, and `model/crf.json` with lexicon, scores and choice.
    """

    name = "crf"
    uses = ("gazetteer",)

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
        lexicon, lists = lexicon_of(corpus.train, types), lists_of(experiment, corpus)
        folds, seed = self.folds, experiment.seed
        rows = out_of_fold_features(corpus.train, types, folds, seed, sentence_features, lists)
        found = lexicons_of(lists)
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
            tagger = CRFTagger(trial, lexicon, found)
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
        content = {"chosen": chosen, "trials": trials}
        self.write_description(directory, {**content, **lexicons_as_json(lexicon, found)})

    def reopen(self, directory: Path, backbone: Backbone | None) -> CRFTagger:
        """The tagger of a finished run; InputError where a file is absent, broken or changed."""
        lexicon, lists = self.read_description(directory, lexicons_from_json)
        return CRFTagger(self.weights_path(directory), lexicon, lists)


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
