"""What an original layout is, and how values of its config.json are read."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from chmed_ner.errors import InputError

if TYPE_CHECKING:
    from torch import Tensor
    from transformers import PreTrainedConfig

Config = Mapping[str, Any]


@dataclass(frozen=True)
class Layout:
    """A checkpoint's original layout and its way into a class of transformers.

    `model_config` turns the original config.json into the class's configuration (InputError for a
    value that the class cannot honour). `tensors` turns an original tensor into those of the class
    by name: one or several, none for a buffer that is computed anew, KeyError for a name that the
    layout does not know. `refusal(config, where)` says why a checkpoint is not of this layout
    although it shares its `model_type`, None when it is.
    """

    name: str
    slug: str
    model_class: str
    model_config: Callable[[Config], "PreTrainedConfig"]
    tensors: "Callable[[str, Tensor, Config], dict[str, Tensor]]"
    refusal: Callable[[Config, str], str | None]


def positive(config: Config, key: str) -> int:
    """The size under `key`; InputError unless it is a whole number above 0."""
    value = config.get(key)
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"config.json, {key}={value!r}: give a whole number above 0")
    return value


def number(config: Config, key: str) -> float:
    """The number under `key`; InputError unless it is above 0."""
    value = config.get(key)
    if not isinstance(value, int | float) or isinstance(value, bool) or not value > 0:
        raise InputError(f"config.json, {key}={value!r}: give a number above 0")
    return float(value)


def token_ids(config: Config, **defaults: int) -> dict[str, Any]:
    """The token ids of config.json under the names in `defaults`, which fill what is not there."""
    ids = {}
    for key, default in defaults.items():
        value = config.get(key, default)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise InputError(f"config.json, {key}={value!r}: give a token id")
        ids[key] = value
    return ids


def divided(config: Config, whole: str, part: str) -> int:
    """`whole` over `part`; InputError when the one does not divide the other."""
    total, count = positive(config, whole), positive(config, part)
    if total % count:
        raise InputError(f"config.json, {whole}={total}: {part}={count} does not divide it")
    return total // count
