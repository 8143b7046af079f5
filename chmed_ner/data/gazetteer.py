"""Word lists that a user has, as evidence for methods (conf/gazetteer/README.md)."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from math import log1p
from pathlib import Path
from typing import Annotated, Any

from chmed_ner.data.sources import located
from chmed_ner.entities import Entry, LabelScheme, Lexicon, Script, Sentence
from chmed_ner.errors import InputError
from chmed_ner.files import read_text, sha256_of
from chmed_ner.knobs import MAPPING, Count, check_knobs, one_of

UNTYPED = ""
"""The type of the strings of a list that names none."""


@dataclass(frozen=True)
class WordList:
    """How often a list has each string as each type (UNTYPED: it names none).

    `taken_from` begins the ids of the sentences whose mentions the list holds, if it was made so.
    """

    counts: Mapping[str, Counter[str]]
    taken_from: str | None

    @property
    def typed(self) -> bool:
        """Whether its strings have types."""
        return all(UNTYPED not in types for types in self.counts.values())

    @cached_property
    def lexicon(self) -> Lexicon:
        """Strings with the type that they have most often; their probability is how frequent they
        are on a logarithmic scale (1: as the most frequent)."""
        most = log1p(max((types.total() for types in self.counts.values()), default=0)) or 1
        shares = {string: log1p(types.total()) / most for string, types in self.counts.items()}
        return Lexicon(
            {
                string: Entry(self.counts[string].most_common(1)[0][0], share, share)
                for string, share in shares.items()
            }
        )

    def without(self, sentences: Iterable[Sentence]) -> "WordList":
        """The list as it would be without these sentences, if it was taken from them: without the
        strings that it has no more often than they have such mentions. Else itself."""
        own = Counter(
            sentence.model_text[span.start : span.end]
            for sentence in sentences
            if self.taken_from is not None and sentence.id.startswith(self.taken_from)
            for span in sentence.entities
        )
        kept = {s: types for s, types in self.counts.items() if types.total() > own[s]}
        return replace(self, counts=kept) if len(kept) < len(self.counts) else self


@dataclass(frozen=True, slots=True, kw_only=True)
class ListFile:
    """Where a list is, and what its lines say; conf/gazetteer/README.md."""

    file: str
    second: Annotated[str | None, one_of("type", "frequency")] = None
    type: str | None = None
    script: Annotated[str | None, one_of("simplified", "traditional")] = None
    lines: Count | None = None
    taken_from: str | None = None
    sha256: str | None = None


@dataclass(frozen=True, kw_only=True)
class Gazetteer:
    """Word lists by name, each described by the keys of ListFile."""

    lists: Annotated[Mapping[str, Any], MAPPING]

    def __post_init__(self) -> None:
        """InputError: a list is not described by these keys."""
        _ = self.files

    @cached_property
    def files(self) -> dict[str, ListFile]:
        """The descriptions of the lists."""
        found = {}
        for name, given in self.lists.items():
            key = f"gazetteer.lists.{name}"
            if not isinstance(given, Mapping):
                raise InputError(f"{key}={given}: give a mapping, as in {{file: my/words.txt}}")
            check_knobs(ListFile, given, key)
            found[str(name)] = ListFile(**given)
            if found[name].second == "type" and found[name].type is not None:
                raise InputError(f"{key}: its second column names types; leave {key}.type out")
        return found

    def checksums(self, root: Path) -> dict[str, str]:
        """The SHA-256 of each file; InputError: it is not there, or another one than described."""
        return {f"gazetteer.lists.{name}": self._checked(name, root) for name in self.files}

    def _checked(self, name: str, root: Path) -> str:
        given, key = self.files[name], f"gazetteer.lists.{name}"
        path = located(given.file, root)
        if not path.is_file():
            raise InputError(
                f"{key}.file={given.file}: no such file ({path}); relative paths start at the "
                "current directory, then at paths.data"
            )
        found = sha256_of(path)
        if given.sha256 not in (None, found):
            raise InputError(
                f"{path}: its SHA-256 is {found}, {key}.sha256 is {given.sha256}; bring the file "
                f"that was meant, or set {key}.sha256=null"
            )
        return found

    def read(self, root: Path, labels: LabelScheme, script: Script) -> dict[str, WordList]:
        """The lists in `script`; InputError, naming file and line, where one cannot be read."""
        self.checksums(root)
        return {
            name: _read(located(each.file, root), each, labels, script, f"gazetteer.lists.{name}")
            for name, each in self.files.items()
        }


def _read(path: Path, given: ListFile, labels: LabelScheme, script: Script, key: str) -> WordList:
    convert = _converter(script, given.script)
    counts: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for number, line in enumerate(read_text(path).split("\n")[: given.lines], start=1):
        string, *more = (cell.strip() for cell in line.split("\t"))
        where = f"{path}, line {number}"
        if len(more) != (given.second is not None) and line.strip():
            raise InputError(
                f"{where}: {len(more) + 1} columns, separated by tabs; {key}.second says what the "
                "second one is: type, frequency, or null where there is none"
            )
        if not string:
            continue
        type_, times = given.type, 1
        if given.second == "type":
            (type_,) = more
        elif given.second == "frequency":
            if not more[0].isdecimal():
                raise InputError(f"{where}: the frequency {more[0]!r} is not a whole number")
            times = int(more[0])
        tag = UNTYPED if type_ is None else labels.tag_of(type_)
        if tag is None:
            raise InputError(
                f"{where}: type {type_!r} is not in the label scheme '{labels.name}' "
                f"({', '.join(labels.tags)}); correct it, or leave the list untyped"
            )
        try:
            counts[convert(string)][tag] += times
        except InputError as error:
            raise InputError(f"{where}: {error}") from None
    if not counts:
        raise InputError(f"{path}: holds no string; leave {key} out")
    return WordList(dict(counts), given.taken_from)


def _converter(script: Script, written: str | None) -> Callable[[str], str]:
    """What brings a string `written` in a script into that of the run."""
    if script.name == "traditional" and written == "simplified":
        import opencc

        convert: Callable[[str], str] = opencc.OpenCC("s2t").convert
        return convert
    return script.convert
