"""Mention strings -> flat spans in the sentence, by a named policy."""

from dataclasses import dataclass

from chmed_ner.errors import InputError
from chmed_ner.restore.policies import POLICIES, Restored, restore

__all__ = ["POLICIES", "Headline", "Restored", "restore"]


@dataclass(frozen=True)
class Headline:
    """The policy whose score is a run's headline; the others are scored beside it."""

    policy: str

    def __post_init__(self) -> None:
        if self.policy not in POLICIES:
            raise InputError(
                f"restoration.policy={self.policy!r}: choose one of {', '.join(POLICIES)}"
            )
