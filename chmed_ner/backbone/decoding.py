"""How answers are decoded, as `conf/decoding/*.yaml` says."""

import math
from dataclasses import dataclass
from typing import Any, Protocol

from chmed_ner.entities.grammar import Grammar
from chmed_ner.errors import InputError


class Guide(Protocol):
    """What of a prompt is needed here."""

    def grammar(self, model_text: str, *, in_order: bool) -> Grammar:
        """What an answer to one sentence may look like; InputError where the format has none."""


@dataclass(frozen=True)
class Greedy:
    """The likeliest token at each step, up to a cap that grows with the sentence.

    An answer is stopped after `spare_tokens + tokens_per_character * characters` new tokens; how
    often that happens is counted as `parse/truncated_rate`. Gold answers stay well under it: a
    mention is a piece of the sentence, and a line adds its category and a separator.
    """

    tokens_per_character: float = 2.0
    spare_tokens: int = 32

    def __post_init__(self) -> None:
        if self.tokens_per_character < 0 or self.spare_tokens < 1:
            raise InputError(
                f"decoding: tokens_per_character={self.tokens_per_character}, "
                f"spare_tokens={self.spare_tokens}; give at least 0 and 1"
            )

    def check(self, prompt: Guide, backbone: Any) -> None:
        """Any prompt and any backbone will do."""

    def grammar(self, prompt: Guide, model_text: str) -> Grammar | None:  # noqa: ARG002
        """None: an answer may say anything."""
        return None

    @property
    def bonus(self) -> float:
        """What is added to the logits of tokens that begin an entity: nothing."""
        return 0.0

    def max_new_tokens(self, characters: int) -> int:
        """The cap for a sentence of `characters` code points, in tokens."""
        return self.spare_tokens + math.ceil(self.tokens_per_character * characters)


@dataclass(frozen=True)
class Constrained(Greedy):
    """The likeliest token among those that keep to the answer format and the sentence's own words.

    Mentions are pieces of the sentence, categories those of the label scheme, no line is repeated,
    and an answer always ends before its cap, if that is not shorter than the shortest answer. With
    `text_order`, mentions are listed in the order of the text only. `entity_bonus` is added to the
    logits of tokens that begin an entity where the answer could pass on without one (a further line
    instead of the end, an opening mark or a B- tag instead of the next character): above 0 it makes
    more entities, trading precision for recall, below 0 fewer.
    """

    text_order: bool = False
    entity_bonus: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not math.isfinite(self.entity_bonus):
            raise InputError(
                f"decoding.entity_bonus={self.entity_bonus}: give a number, 0 for none"
            )

    @property
    def bonus(self) -> float:
        """What is added to the logits of tokens that begin an entity."""
        return self.entity_bonus

    def check(self, prompt: Guide, backbone: Any) -> None:
        """InputError when the answer format has no grammar, or the backbone cannot follow one."""
        prompt.grammar("-", in_order=self.text_order)
        if not backbone.constrains:
            raise InputError(
                f"decoding=constrained: backbone={backbone.name} cannot be held to a grammar; use "
                "decoding=greedy with it, or another backbone (for a server that takes grammars, "
                "backbone.grammar says how)"
            )
        if self.entity_bonus:
            _check_local(
                backbone,
                "decoding.entity_bonus",
                "computes its logits elsewhere, where nothing can be added to them; leave it at 0",
            )
        if self.text_order:
            _check_local(
                backbone,
                "decoding.text_order",
                "is held to a grammar elsewhere, and none of a server's keeps to the order of the "
                "text; leave it at false",
            )

    def grammar(self, prompt: Guide, model_text: str) -> Grammar:
        """What the answer to one sentence may look like."""
        return prompt.grammar(model_text, in_order=self.text_order)


def _check_local(backbone: Any, key: str, reason: str) -> None:
    """InputError, naming the setting `key`, when the logits of `backbone` are out of reach."""
    try:
        backbone.tunable()
    except InputError:
        raise InputError(
            f"{key}: backbone={backbone.name} {reason}, or use a local backbone"
        ) from None
