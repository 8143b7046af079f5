"""What is done to the training split, and to no other, before anything learns from it."""

from dataclasses import dataclass

from chmed_ner.errors import InputError


@dataclass(frozen=True, slots=True)
class Preparation:
    """How the training split is prepared; the defaults leave it as it is.

    `empty_share` of the sentences without an entity is kept (`corpus.keep_empty`). A type that has
    less than `repair_conflicts` of a string's entities gives way to the string's majority type
    (`conflicts.with_majority_types`). Copies with other entities are added, `replace_entities`
    times as many as there are sentences with an entity (`augmentation.replaced_copies`). Raises
    InputError, with the key of `dataset`, for a number outside its range.
    """

    empty_share: float = 1.0
    repair_conflicts: float = 0.0
    replace_entities: float = 0.0

    def __post_init__(self) -> None:
        for key, most in (("empty_share", 1), ("repair_conflicts", 0.5), ("replace_entities", 10)):
            value = getattr(self, key)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 <= value <= most:
                raise InputError(f"dataset.{key}={value!r}: give a number from 0 to {most}")


UNPREPARED = Preparation()
