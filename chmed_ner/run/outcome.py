"""What a method found, as the runner records and scores it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chmed_ner.entities.restoration import POLICIES, restore
from chmed_ner.entities.types import Completion, Mention, Sentence, Span

Entities = Mapping[str, tuple[Span, ...]]
"""sentence id -> spans"""


@dataclass(frozen=True)
class Findings:
    """What was found in the sentences of one split; every mapping is by sentence id.

    `mentions` were listed, `targets` is what a perfect model lists; `spans` are those of each
    restoration policy, `placed` those that the method placed itself, else None.
    """

    sentences: Sequence[Sentence]
    spans: Mapping[str, Entities]
    mentions: Mapping[str, tuple[Mention, ...]]
    targets: Mapping[str, tuple[Mention, ...]]
    problems: Mapping[str, Mapping[str, int]]
    placed: Entities | None = None

    def predicted(self, policy: str) -> Entities:
        """The entities that count: those the method placed, else those of the headline policy."""
        return self.spans[policy] if self.placed is None else self.placed


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
    sentences: Sequence[Sentence], placed: Entities, *, seconds: float = 0.0
) -> Outcome:
    """The outcome of a method that places entities itself, for the sentences of every kept split.

    The restoration policies are scored for comparison, as if the entities had been listed.
    """
    test = [sentence for sentence in sentences if sentence.split == "test"]
    others = [sentence for sentence in sentences if sentence.split != "test"]
    return Outcome(_placed(test, placed), _placed(others, placed), seconds=seconds)


def _placed(sentences: Sequence[Sentence], placed: Entities) -> Findings:
    mentions = {sentence.id: _listed(sentence, placed[sentence.id]) for sentence in sentences}
    return Findings(
        sentences,
        spans={
            policy: {s.id: restore(policy, s.model_text, mentions[s.id]) for s in sentences}
            for policy in POLICIES
        },
        mentions=mentions,
        targets={sentence.id: _listed(sentence, sentence.entities) for sentence in sentences},
        problems={sentence.id: {} for sentence in sentences},
        placed={sentence.id: placed[sentence.id] for sentence in sentences},
    )


def _listed(sentence: Sentence, spans: Sequence[Span]) -> tuple[Mention, ...]:
    """The mentions of `spans` in text order, with repeats, in the script the model reads."""
    text = sentence.model_text
    return tuple(Mention(text[span.start : span.end], span.type) for span in sorted(spans))
