"""`method=ensemble`: the votes of other runs, over the predictions they have kept."""

import logging
import math
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from chmed_ner.backbone import Backbone
from chmed_ner.data import Corpus
from chmed_ner.errors import InputError
from chmed_ner.files import read_json, sha256_of, write_json
from chmed_ner.knobs import NAMES_RUN, Range, are_texts, one_of
from chmed_ner.methods.ensemble.choice import Choice, CrossValidation
from chmed_ner.methods.ensemble.election import STACKED, Voters
from chmed_ner.methods.ensemble.members import KEY, find_members, votes_of
from chmed_ner.methods.ensemble.reopened import VotingModel
from chmed_ner.methods.ensemble.stacking import SIMPLIFIED, Known
from chmed_ner.methods.ensemble.voting import VOTINGS
from chmed_ner.methods.features import lexicons_of
from chmed_ner.methods.fitted import lists_of, placed_f1
from chmed_ner.run import Experiment, Method, Outcome, SpanModel, load, placed_outcome
from chmed_ner.track import Tracker

log = logging.getLogger(__name__)

ENSEMBLE_FILE = "model/ensemble.json"
EQUAL, BY_F1, AUTO = "equal", "validation_f1", "auto"
LEARN = (STACKED, AUTO)
"""The values of `voting` that learn what a run's vote is worth."""


@dataclass(frozen=True, kw_only=True)
class Ensemble(Method):
    """Entities that enough of the runs predict; what is enough is set on their validation split.

    `span` and `two_stage` have a threshold for each type, `stacked` has one; `auto` is one of these
    with some of the runs. All that is chosen is kept in `model/ensemble.json`.
    """

    name = "ensemble"
    uses = ("gazetteer",)
    trains = True  # thresholds are set on validation sentences, carved from the training files

    runs: Annotated[
        Sequence[str],
        Range("a list of two or more runs, as [RUN,RUN]", lambda runs: are_texts(runs, 2)),
        NAMES_RUN,
    ]
    voting: Annotated[str, one_of(*VOTINGS, *LEARN)]
    weights: Any

    def __post_init__(self) -> None:
        if self.voting in LEARN and self.weights != EQUAL:
            raise InputError(
                f"method.weights={self.weights}: method.voting={self.voting} learns what each "
                f"run's vote is worth; leave method.weights={EQUAL}"
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
        if "gazetteer" in experiment.parts and self.voting not in LEARN:
            raise InputError(
                f"gazetteer: method.voting={self.voting} counts votes alone; word lists are "
                f"evidence for method.voting={STACKED} and {AUTO}"
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
            known = Known(
                frozenset((s.mention(e), e.type) for s in corpus.train for e in s.entities),
                lexicons_of(lists_of(experiment, corpus, SIMPLIFIED)),
            )
            voters = Voters(votes, weights, known, corpus.labels.tags, corpus.labels.nested)
            choice = self._choice(voters, corpus, experiment.seed)
            chosen = choice.taken.runs if choice else range(len(members))
            voting = choice.taken.voting if choice else self.voting
            election = voters.only(chosen).election(voting, corpus.validation)
        began, sentences = time.perf_counter(), [*corpus.test, *corpus.validation]
        placed = {sentence.id: election.elect(sentence) for sentence in sentences}
        seconds = time.perf_counter() - began
        together = placed_f1(corpus.validation, placed)
        tracker.log({"train/dev_f1": choice.nested_f1 if choice else together}, 0)
        log.info("validation F1 %.2f; the runs alone: %s", together, [f"{f:.2f}" for f in alone])
        names = [each.record.name for each in members]
        content = {
            "voting": voting,
            "thresholds": dict(election.thresholds),
            "nested": corpus.labels.nested,
            **election.learnt,
            "validation_f1": together,
            "runs": [
                {"place": at, "run": str(members[at].directory), "name": names[at],
                 "weight": weights[at], "validation_f1": alone[at]}
                for at in chosen
            ],
            **({"choice": choice.as_json(names)} if choice else {}),
        }  # fmt: skip
        write_json(directory / ENSEMBLE_FILE, content)
        nested = corpus.labels.nested
        return placed_outcome(sentences, placed, nested=nested, seconds=seconds)

    def _choice(self, voters: Voters, corpus: Corpus, seed: int) -> Choice | None:
        """The runs and the way of voting, where they are to be chosen."""
        if self.voting != AUTO:
            return None
        found = CrossValidation(voters, corpus.validation, seed).choose()
        names = [self.runs[at] for at in found.taken.runs]
        log.info(
            "chosen of %d: method.voting=%s method.runs=[%s], F1 %.2f on folds of validation; "
            "choosing so gives %.2f on folds that the choice has not seen",
            len(found.options), found.taken.voting, ",".join(names), found.taken.f1,
            found.nested_f1,
        )  # fmt: skip
        return found

    def reopen(self, directory: Path, backbone: Backbone | None) -> SpanModel:
        """The models of the runs that vote, and how they vote; InputError as `load`, for each."""
        path = directory / ENSEMBLE_FILE
        content, members = read_json(path), find_members(self.runs)
        with ExitStack() as opened:
            try:
                chosen = [members[each["place"]] for each in content["runs"]]
                models = [opened.enter_context(load(each.directory)) for each in chosen]
                model = VotingModel(models, content)
            except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
                raise InputError(
                    f"{path}: not what an ensemble keeps ({error!r}); run the method again"
                ) from None
            opened.pop_all()
            return model

    def _weights(self, alone: Sequence[float]) -> list[float]:
        """The votes of each run, whose F1 on the validation split is `alone` (percent)."""
        if self.weights == EQUAL:
            return [1.0] * len(alone)
        if self.weights == BY_F1:
            return [max(f1, 0.01) for f1 in alone]
        return [float(each) for each in self.weights]
