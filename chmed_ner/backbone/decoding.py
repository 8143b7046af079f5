"""How answers are decoded, as `conf/decoding/*.yaml` says."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chmed_ner.entities import Grammar
from chmed_ner.errors import InputError
from chmed_ner.knobs import Count, NotNegative

if TYPE_CHECKING:
    from chmed_ner.prompt import TaskPrompt


@dataclass(frozen=True, kw_only=True)
class Greedy:
    """The likeliest token at each step, up to `spare_tokens + tokens_per_character * characters`.

    Gold answers stay well under that cap; `parse/truncated_rate` says how often it stops one.
    """

    tokens_per_character: NotNegative
    spare_tokens: Count

    def check(self, prompt: "TaskPrompt", backbone: Any) -> None:
        """Any prompt and any backbone will do."""

    def grammar(self, prompt: "TaskPrompt", model_text: str) -> Grammar | None:
        """None: an answer may say anything."""
        return None

    def max_new_tokens(self, characters: int) -> int:
        """The cap for a sentence of `characters` code points, in tokens."""
        return self.spare_tokens + math.ceil(self.tokens_per_character * characters)


@dataclass(frozen=True, kw_only=True)
class Constrained(Greedy):
    """The likeliest token among those that keep to the answer format and the sentence's own words.

    An answer always ends before its cap, if the shortest answer does. With `text_order`, mentions
    are listed in the order of the text only.
    """

    text_order: bool

    def check(self, prompt: "TaskPrompt", backbone: Any) -> None:
        """InputError when the answer format has no grammar, or the backbone cannot follow one."""
        prompt.grammar("-", in_order=self.text_order)
        if not backbone.constrains:
            raise InputError(
                f"decoding=constrained: backbone={backbone.name} cannot be held to a grammar; use "
                "decoding=greedy with it, or another backbone (for a server that takes grammars, "
                "backbone.grammar says how)"
            )
        if not self.text_order:
            return
        try:
            backbone.tunable()
        except InputError:
            raise InputError(
                f"decoding.text_order: backbone={backbone.name} is held to a grammar elsewhere, "
                "and none of a server's keeps to the order of the text; leave it at false, or use "
                "a local backbone"
            ) from None

    def grammar(self, prompt: "TaskPrompt", model_text: str) -> Grammar:
        return prompt.grammar(model_text, in_order=self.text_order)
