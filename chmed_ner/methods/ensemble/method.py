"""`method=ensemble`: the votes of other runs, over the predictions they have kept."""

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, NoReturn

from chmed_ner.backbone import Backbone
from chmed_ner.data import Corpus
from chmed_ner.entities import Sentence, Span
from chmed_ner.errors import InputError
from chmed_ner.files import sha256_of, write_json
from chmed_ner.knobs import NAMES_RUN, Range, are_texts, one_of
from chmed_ner.methods.ensemble.members import KEY, find_members, votes_of
from chmed_ner.methods.ensemble.voting import (
    SIMPLIFIED,
    VOTINGS,
    Ballots,
    Candidate,
    Known,
    choose_thresholds,
    elected,
    fit,
)
from chmed_ner.methods.features import Lists, lexicons_of
from chmed_ner.methods.fitted import lists_of, placed_f1
from chmed_ner.run import Experiment, Method, Outcome, placed_outcome
from chmed_ner.track import Tracker

log = logging.getLogger(__name__)

ENSEMBLE_FILE = "model/ensemble.json"
EQUAL, BY_F1, STACKED = "equal", "validation_f1", "stacked"

Votes = Sequence[Mapping[str, Sequence[Span]]]
"""For each run: sentence id -> spans."""


@dataclass(frozen=True, slots=True)
class Election:
    """How a sentence's votes are counted, the share that each type must reach, learnt weights."""

    count: Callable[[Sentence], list[Candidate]]
    thresholds: Mapping[str, float]
    learnt: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Ensemble(Method):
    """Entities that enough of the runs predict; what is enough is set on their validation split.

    `span` and `two_stage` have a threshold for each type, `stacked` has one. Thresholds and
    everybody's validation F1 are kept in `model/ensemble.json`.
    """

    name = "ensemble"
    uses = ("gazetteer",)
    trains = True  # thresholds are set on validation sentences, carved from the training files

    runs: Annotated[
        Sequence[str],
        Range("a list of two or more runs, as [RUN,RUN]", lambda runs: are_texts(runs, 2)),
        NAMES_RUN,
    ]
    voting: Annotated[str, one_of(*VOTINGS, STACKED)]
    weights: Any

    def __post_init__(self) -> None:
        if self.voting == STACKED and self.weights != EQUAL:
            raise InputError(
                f"method.weights={self.weights}: method.voting={STACKED} learns what each run's "
                f"vote is worth; leave method.weights={EQUAL}"
            )
        if self.weights in (EQUAL, BY_F1):
            return
        if not isinstance(self.weights, list | tuple) or len(self.weights) != len(self.runs):
            raise InputError(
                f"method.weights={self.weights}: give {EQUAL}, {BY_F1}, or a list of one number a "
                f"run ({len(self.runs)})"
            )
        if not all(type(each) in (int, float) and 0 < each < math.inf for each in self.weights):
            raise InputError(f"method.weights={self.weights}: give numbers above 0")

    def check(self, experiment: Experiment, corpus: Corpus) -> None:
        """InputError for runs that cannot vote here."""
        if "gazetteer" in experiment.parts and self.voting != STACKED:
            raise InputError(
                f"gazetteer: method.voting={self.voting} counts votes alone; word lists are "
                f"evidence for method.voting={STACKED}"
            )
        if not corpus.validation:
            raise InputError(
                "method=ensemble: sets its thresholds on validation sentences, but there are none; "
                "set limit.validation or dataset.validation_share above 0"
            )
        for member in find_members(self.runs):
            if names := member.record.trained_on(corpus.test_files):
                raise InputError(
                    f"{KEY}={member.name}: was trained on {', '.join(names)}, which this dataset "
                    "tests on; vote on another dataset, or leave that run out"
                )
            votes_of(member, corpus)

    def tuned_on(self, experiment: Experiment, training_files: Mapping[str, str]) -> dict[str, str]:
        """The files that the runs were trained on, and those the validation split is part of."""
        files = dict(training_files)
        for member in find_members(self.runs):
            for name, digest in member.record.training_files.items():
                place = name if files.get(name, digest) == digest else f"{name} {digest[:8]}"
                files[place] = digest
        return files

    def inputs(self, experiment: Experiment) -> dict[str, str]:
        """The checksum of each run's predictions."""
        members = find_members(self.runs)
        return {f"{KEY} {place}": sha256_of(each.path) for place, each in enumerate(members)}

    def run(
        self, experiment: Experiment, corpus: Corpus, directory: Path, tracker: Tracker
    ) -> Outcome:
        """The elected entities of the test and the validation split."""
        members = find_members(self.runs)
        with tracker.timed("prepare"):
            votes = [votes_of(member, corpus) for member in members]
            alone = [placed_f1(corpus.validation, each) for each in votes]
            weights = self._weights(alone)
            lists = lists_of(experiment, corpus, SIMPLIFIED)
            election = self._election(corpus, votes, weights, lexicons_of(lists))
        began, sentences = time.perf_counter(), [*corpus.test, *corpus.validation]
        nested = corpus.labels.nested
        placed = {
            s.id: elected(election.count(s), election.thresholds, nested=nested) for s in sentences
        }
        seconds = time.perf_counter() - began
        together = placed_f1(corpus.validation, placed)
        tracker.log({"train/dev_f1": together}, 0)
        log.info("validation F1 %.2f; the runs alone: %s", together, [f"{f:.2f}" for f in alone])
        content = {
            "thresholds": dict(election.thresholds),
            **election.learnt,
            "validation_f1": together,
            "runs": [
                {"run": str(m.directory), "name": m.record.name, "weight": w, "validation_f1": f1}
                for m, w, f1 in zip(members, weights, alone, strict=True)
            ],
        }
        write_json(directory / ENSEMBLE_FILE, content)
        return placed_outcome(sentences, placed, nested=nested, seconds=seconds)

    def reopen(self, directory: Path, backbone: Backbone | None) -> NoReturn:
        """Refused by InputError: the votes are over the run's own sentences."""
        raise InputError(
            f"{directory}: an ensemble votes over predictions that its runs have kept, so it has "
            f"no model for other text; predict with one of its runs: {', '.join(self.runs)}"
        )

    def _election(
        self, corpus: Corpus, votes: Votes, weights: Sequence[float], lists: Lists
    ) -> Election:
        """The way of counting, with what is chosen on the validation split."""
        types, nested = corpus.labels.tags, corpus.labels.nested

        def ballots(sentence: Sentence) -> Ballots:
            return [each[sentence.id] for each in votes]

        if self.voting == STACKED:
            mentions = frozenset((s.mention(e), e.type) for s in corpus.train for e in s.entities)
            known = Known(mentions, lists)
            stacking = fit(corpus.validation, ballots, known, types, nested=nested)
            return Election(
                lambda sentence: stacking.candidates(sentence, ballots(sentence), known),
                dict.fromkeys(types, stacking.threshold),
                {"weights": stacking.weights, "intercept": stacking.intercept},
            )
        vote = VOTINGS[self.voting]

        def count(sentence: Sentence) -> list[Candidate]:
            return vote(ballots(sentence), weights)

        judged = [(sentence.entities, count(sentence)) for sentence in corpus.validation]
        return Election(count, choose_thresholds(types, judged, nested=nested))

    def _weights(self, alone: Sequence[float]) -> list[float]:
        """The votes of each run, whose F1 on the validation split is `alone` (percent)."""
        if self.weights == EQUAL:
            return [1.0] * len(alone)
        if self.weights == BY_F1:
            return [max(f1, 0.01) for f1 in alone]
        return [float(each) for each in self.weights]
