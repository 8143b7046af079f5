"""How answers are decoded, as `conf/decoding/*.yaml` says."""

import math
from dataclasses import dataclass

from chmed_ner.errors import InputError


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

    def max_new_tokens(self, characters: int) -> int:
        """The cap for a sentence of `characters` code points, in tokens."""
        return self.spare_tokens + math.ceil(self.tokens_per_character * characters)
