"""What every reader takes and gives."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Annotated

from chmed_ner.entities import AnnotatedText
from chmed_ner.knobs import at_least, one_of

ENDS = ("exclusive", "inclusive")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How a file is to be read; None is recognised. `column` (of the tags) counts from 1, `units`
    are what offsets count; `gold` False reads the texts alone."""

    scheme: Annotated[str | None, one_of("BIO", "IOB1", "BIOES", "BILOU", "BMES")] = None
    separator: Annotated[str | None, one_of("space", "tab")] = None
    column: Annotated[int | None, at_least(2)] = None
    text_key: str | None = None
    entities_key: str | None = None
    start_key: str | None = None
    end_key: str | None = None
    type_key: str | None = None
    mention_key: str | None = None
    end: Annotated[str | None, one_of(*ENDS)] = None
    units: Annotated[str | None, one_of("characters", "utf16")] = None
    gold: bool = True


@dataclass(frozen=True, slots=True)
class Annotations:
    """The texts of a file, what was recognised in it, and what was met, counted by kind."""

    texts: tuple[AnnotatedText, ...]
    notes: tuple[str, ...] = ()
    counts: Mapping[str, int] = field(default_factory=lambda: MappingProxyType({}))


@dataclass(frozen=True, slots=True)
class Format:
    """A reader, and the options that it takes beside `gold`."""

    read: Callable[[Path, Options], Annotations]
    options: tuple[str, ...] = ()
