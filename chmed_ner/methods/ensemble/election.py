"""Runs that vote: what each says of every sentence, and how their votes are counted."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from chmed_ner.entities import Sentence, Span
from chmed_ner.methods.ensemble.stacking import Evidence, Known, Stacking, evidence_of, fit
from chmed_ner.methods.ensemble.voting import (
    VOTINGS,
    Ballots,
    Candidate,
    Judged,
    choose_thresholds,
    elected,
)

STACKED = "stacked"

Votes = Sequence[Mapping[str, Sequence[Span]]]
"""For each run: sentence id -> spans."""


@dataclass(frozen=True, slots=True)
class Election:
    """How a sentence's votes are counted, the share that each type must reach, learnt weights."""

    count: Callable[[Sentence], list[Candidate]]
    thresholds: Mapping[str, float]
    nested: bool
    learnt: Mapping[str, Any] = field(default_factory=dict)

    def elect(self, sentence: Sentence) -> tuple[Span, ...]:
        """The entities of a sentence."""
        return elected(self.count(sentence), self.thresholds, nested=self.nested)


@dataclass(frozen=True)
class Voters:
    """The votes of each run, what each vote weighs, and what stacked voting knows besides."""

    votes: Votes
    weights: Sequence[float]
    known: Known
    types: Sequence[str]
    nested: bool
    _judged: dict[tuple[str, str], Judged] = field(default_factory=dict, init=False, repr=False)
    _evidence: dict[str, Evidence] = field(default_factory=dict, init=False, repr=False)

    def only(self, places: Sequence[int]) -> "Voters":
        """The runs at these places alone."""
        votes = [self.votes[at] for at in places]
        return replace(self, votes=votes, weights=[self.weights[at] for at in places])

    def ballots(self, sentence: Sentence) -> Ballots:
        """What each run says of a sentence."""
        return [each[sentence.id] for each in self.votes]

    def evidence(self, sentence: Sentence) -> Evidence:
        """What stacked voting goes by in a sentence, collected once."""
        if sentence.id not in self._evidence:
            found = evidence_of(sentence, self.ballots(sentence), self.known)
            self._evidence[sentence.id] = found
        return self._evidence[sentence.id]

    def judged(self, voting: str, sentence: Sentence) -> Judged:
        """A sentence with gold, its votes counted by one of VOTINGS, once."""
        key = voting, sentence.id
        if key not in self._judged:
            found = VOTINGS[voting](self.ballots(sentence), self.weights)
            self._judged[key] = Judged(sentence.entities, found, nested=self.nested)
        return self._judged[key]

    def election(self, voting: str, sentences: Sequence[Sentence]) -> Election:
        """The way of voting, with what it learns from `sentences`; InputError: nothing to learn."""
        if voting == STACKED:
            return self._stacked(fit(sentences, self.evidence, self.types, nested=self.nested))
        judged = [self.judged(voting, each) for each in sentences]
        return self._counted(voting, choose_thresholds(self.types, judged))

    def kept(self, content: Mapping[str, Any]) -> Election:
        """The election of which `content` keeps way of voting, thresholds and what was learnt."""
        voting, thresholds = content["voting"], content["thresholds"]
        if voting == STACKED:
            (threshold,) = set(thresholds.values())
            return self._stacked(Stacking(content["weights"], content["intercept"], threshold))
        return self._counted(voting, thresholds)

    def _stacked(self, stacking: Stacking) -> Election:
        return Election(
            lambda each: stacking.candidates(self.evidence(each)),
            dict.fromkeys(self.types, stacking.threshold),
            self.nested,
            {
                "weights": stacking.weights,
                "intercept": stacking.intercept,
                "known": self.known.as_json(),
            },
        )

    def _counted(self, voting: str, thresholds: Mapping[str, float]) -> Election:
        vote = VOTINGS[voting]
        return Election(
            lambda each: vote(self.ballots(each), self.weights), thresholds, self.nested
        )
