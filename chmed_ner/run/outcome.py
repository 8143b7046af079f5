"""What a method found, as the runner records and scores it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from chmed_ner.entities.restoration import POLICIES, restore
from chmed_ner.entities.types import Completion, Mention, Sentence, Span

Entities = Mapping[str, tuple[Span, ...]]
"""sentence id -> spans"""
Spans = Mapping[str, Entities]
"""policy -> sentence id -> spans"""


@dataclass(frozen=True)
class Outcome:
    """What a method found: per policy and sentence the spans, and what the model listed before.

    `mentions` and `targets` are what was listed and what a perfect model would list; `problems` are
    counted by reason, of all `reasons`; `completions` are those of the test split. `placed` are the
    entities of a method that places them itself; None where a restoration policy does. `answered`
    test sentences took `seconds`; `usd` were paid for the run's answers, validation included.
    `metrics` are what the method has measured itself, by their names in MLflow.
    """

    spans: Spans
    mentions: Mapping[str, tuple[Mention, ...]]
    targets: Mapping[str, tuple[Mention, ...]]
    problems: Mapping[str, Mapping[str, int]]
    completions: Sequence[Completion] = ()
    reasons: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=dict)
    placed: Entities | None = None
    answered: int = 0
    seconds: float = 0.0
    usd: float = 0.0
    metrics: Mapping[str, float] = field(default_factory=dict)

    def predicted(self, policy: str) -> Entities:
        """The entities that count: those the method placed, else those of the headline policy."""
        return self.spans[policy] if self.placed is None else self.placed


def placed_outcome(
    sentences: Sequence[Sentence],
    placed: Entities,
    *,
    seconds: float = 0.0,
    counts: Mapping[str, int] | None = None,
) -> Outcome:
    """The outcome of a method that places entities itself, for the sentences of every kept split.

    Its mentions are the strings of its entities in text order with repeats, and so are its targets.
    What the restoration policies make of them is kept for comparison only: what the same entities
    would score if they had been listed, as a language model lists them.
    """
    mentions = {sentence.id: listed(sentence, placed[sentence.id]) for sentence in sentences}
    return Outcome(
        spans={
            policy: {s.id: restore(policy, s.model_text, mentions[s.id]) for s in sentences}
            for policy in POLICIES
        },
        mentions=mentions,
        targets={sentence.id: listed(sentence, sentence.entities) for sentence in sentences},
        problems={sentence.id: {} for sentence in sentences},
        counts=counts or {},
        placed=placed,
        answered=sum(sentence.split == "test" for sentence in sentences),
        seconds=seconds,
    )


def listed(sentence: Sentence, spans: Sequence[Span]) -> tuple[Mention, ...]:
    """The mentions of `spans` in text order, with repeats, in the script the model reads."""
    text = sentence.model_text
    return tuple(Mention(text[span.start : span.end], span.type) for span in sorted(spans))
