"""What a method found, as the runner records and scores it."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

from chmed_ner.entities import (
    POLICIES,
    Completion,
    Mention,
    Sentence,
    Span,
    gold_mentions,
    in_text_order,
    joined,
    pieces,
    restore,
)
from chmed_ner.prompt import Answer

Entities = Mapping[str, tuple[Span, ...]]
"""sentence id -> spans"""


@dataclass(frozen=True)
class Findings:
    """What was found in the sentences of one split, long ones put together again.

    `answers` and `targets` (what a perfect model lists) are by the id of a sentence, or of each of
    its pieces; every other mapping is by sentence id. `nested`: entities may lie inside others.
    """

    sentences: Sequence[Sentence]
    answers: Mapping[str, Answer]
    targets: Mapping[str, tuple[Mention, ...]]
    nested: bool = False

    @cached_property
    def spans(self) -> Mapping[str, Entities]:
        """The entities that each restoration policy makes of the mentions."""
        asked = {p.id: p.model_text for each in self._asked.values() for p in each}
        return {
            policy: self._joined(
                {
                    id_: restore(policy, asked[id_], answer.mentions, nested=self.nested)
                    for id_, answer in self.answers.items()
                }
            )
            for policy in POLICIES
        }

    @property
    def placed(self) -> Entities | None:
        """The entities where the answers placed them; None where only restoration can."""
        placed = {id_: a.spans for id_, a in self.answers.items() if a.spans is not None}
        return self._joined(placed) if len(placed) == len(self.answers) else None

    @property
    def mentions(self) -> Mapping[str, tuple[Mention, ...]]:
        """The mentions that the answers list."""
        return {
            id_: tuple(mention for each in asked for mention in self.answers[each.id].mentions)
            for id_, asked in self._asked.items()
        }

    @property
    def problems(self) -> Mapping[str, Mapping[str, int]]:
        """The problems of each answer, counted by reason."""
        found: dict[str, Counter[str]] = {}
        for id_, asked in self._asked.items():
            found[id_] = Counter()
            for each in asked:
                found[id_].update(self.answers[each.id].problems)
        return found

    def predicted(self, policy: str) -> Entities:
        """The entities that count: those the answers placed, else those of the headline policy."""
        placed = self.placed
        return self.spans[policy] if placed is None else placed

    @cached_property
    def _asked(self) -> Mapping[str, Sequence[Sentence]]:
        """What was asked for each sentence: itself, or its pieces."""
        return {
            each.id: [piece for _, piece in pieces(each, self.answers)] for each in self.sentences
        }

    def _joined(self, found: Entities) -> Entities:
        return {sentence.id: joined(sentence, found) for sentence in self.sentences}


@dataclass(frozen=True)
class Outcome:
    """What a method found in the test split, and in validation where that is kept.

    `completions` answer the test sentences and took `seconds`; `usd` were paid for both splits.
    `metrics` are what the method has measured itself; `counts` go into `run.json`.
    """

    test: Findings
    validation: Findings
    completions: Sequence[Completion] = ()
    reasons: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    seconds: float = 0.0
    usd: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)


def placed_outcome(
    sentences: Sequence[Sentence],
    placed: Entities,
    *,
    nested: bool = False,
    seconds: float = 0.0,
) -> Outcome:
    """The outcome of a method that places entities itself, for the sentences of every kept split.

    The restoration policies are scored for comparison, as if the entities had been listed.
    """
    test = [sentence for sentence in sentences if sentence.split == "test"]
    others = [sentence for sentence in sentences if sentence.split != "test"]
    return Outcome(_placed(test, placed, nested), _placed(others, placed, nested), seconds=seconds)


def _placed(sentences: Sequence[Sentence], placed: Entities, nested: bool) -> Findings:
    answers = {}
    for sentence in sentences:
        text, spans = sentence.model_text, placed[sentence.id]
        listed = tuple(
            Mention(text[span.start : span.end], span.type, span.confidence)
            for span in in_text_order(spans)
        )
        answers[sentence.id] = Answer(listed, spans=spans)
    targets = {each.id: gold_mentions(each) for each in sentences}
    return Findings(sentences, answers, targets, nested)
