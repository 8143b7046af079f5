"""A corpus of one's own, files in one of the formats: `dataset=column_files`, and the YAML files of
`conf/dataset/` that start from it."""

import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path
from typing import Annotated, Any

from chmed_ner.data.annotated_file import AnnotatedFile, overlap
from chmed_ner.data.dataset import Dataset
from chmed_ner.data.formats import FORMATS, read_annotated
from chmed_ner.data.formats.annotations import Annotations
from chmed_ner.data.sources import located
from chmed_ner.errors import InputError
from chmed_ner.knobs import MAPPING, Count, one_of

log = logging.getLogger(__name__)

_GENRE = re.compile(r"[\w][\w.-]*")
ONLY = "all"
"""The genre of a test file that is given without one."""

Files = str | Sequence[str] | Mapping[str, str] | None


@dataclass(frozen=True, kw_only=True)
class ColumnFiles(Dataset):
    """A user's own corpus: files in a format of `FORMATS`, and a label scheme.

    `test`, `train` and `validation` are a file, a list or a mapping of genres to files. A file
    without a genre gets the test genre where there is only one, else `mixed`. `options` are
    those of the reader. A text of more than `max_characters` is cut for the model. `source` says
    where the corpus is to be had, `checksums` are the SHA-256 of the published files.
    """

    test: Files
    train: Files
    validation: Files
    format: Annotated[str, one_of(*FORMATS)]
    options: Annotated[Mapping[str, Any], MAPPING]
    max_characters: Count | None
    source: str | None
    checksums: Annotated[Mapping[str, str], MAPPING]

    def __post_init__(self) -> None:
        """InputError also: no name, files that are no paths."""
        if not self.name:
            raise InputError(f"dataset.name={self.name!r}: give the corpus a name")
        if not self.test:
            raise InputError(
                f"dataset.test={self.test!r}: name the gold file, as in dataset.test=my/test.txt, "
                "or one a genre: 'dataset.test={FT: my/test.txt}'"
            )
        super().__post_init__()
        _ = self._listed

    @property
    def choices(self) -> tuple[str, ...]:
        """The genres of `test`."""
        return tuple(map(str, self.test)) if isinstance(self.test, Mapping) else (ONLY,)

    @cached_property
    def _listed(self) -> dict[str, tuple[tuple[str, str], ...]]:
        """Genre and path of each file of a split."""
        only = self.choices[0] if len(self.choices) == 1 else "mixed"
        files = {"test": self.test, "train": self.train, "validation": self.validation}
        return {split: _listed(split, given, only) for split, given in files.items()}

    def annotations(self, path: Path, *, gold: bool) -> Annotations:
        """What a file holds; without `gold` its texts count alone. A reader of one's own is a
        subclass that overrides this."""
        options = self.options if gold else {**self.options, "gold": False}
        return read_annotated(path, self.format, options)

    def with_labels(self, root: Path) -> "ColumnFiles":
        """For labels=auto: the dataset with every type in its files, the tag as its name."""
        if not self.guesses:
            return self
        whole = replace(self, genres=None)
        sources = [each for split in self._listed for each in whole.sources(root, split)]
        found = [
            text.entities
            for each in sources
            if each.path.exists()
            for text in each.annotations(each.path).texts
        ]
        types = dict.fromkeys(sorted({span.type for spans in found for span in spans}))
        if not types:
            raise InputError(
                f"labels=auto: no entity in {', '.join(str(each.path) for each in sources)}, so no "
                "type; name a scheme with labels@dataset.labels=NAME, or a file with gold"
            )
        log.warning(
            "labels=auto: the %d types in the files are %s; their tags serve as their names: a "
            "scheme of your own (conf/labels, --config-dir) says more to a model",
            len(types),
            ", ".join(types),
        )
        nested = any(map(overlap, found))
        tags = {re.sub(r"[^\w.-]+", "_", each): {"traditional": each} for each in types}
        return replace(self, labels={"name": "auto", "types": tags, "nested": nested})

    def sources(self, root: Path, split: str) -> tuple[AnnotatedFile, ...]:
        """The files of a split, in the order given."""
        by_genre = split == "test" and isinstance(self.test, Mapping)
        several = len(self._listed[split]) > 1
        gold = self.gold or split != "test"
        found = []
        for number, (genre, path) in enumerate(self._listed[split]):
            cure = f"dataset.{split} names {path!r}"
            if self.source:
                cure += f"; the corpus is to be had from {self.source}"
            if not Path(path).expanduser().is_absolute():
                cure += (
                    f"; relative paths start at the current directory, then at paths.data ({root}):"
                    " correct it, or give an absolute path"
                )
            part = f"{genre}/" if by_genre else f"{number}/" if several else ""
            file = AnnotatedFile(
                name=path,
                path=located(path, root),
                prefix=f"{self.name}/{split}/{part}",
                genres=(genre,),
                cure=cure,
                gold=gold,
                sha256=self.checksums.get(path),
                annotations=partial(self.annotations, gold=gold),
                longest=self.max_characters,
            )
            if split != "test" or genre in self.tested:
                found.append(file)
        return tuple(found)


def _listed(key: str, files: Files, genre: str) -> tuple[tuple[str, str], ...]:
    if files is None:
        return ()
    pairs: list[tuple[Any, Any]]
    if isinstance(files, Mapping):
        pairs = list(files.items())
        for name, _ in pairs:
            if not isinstance(name, str) or not _GENRE.fullmatch(name) or name == ONLY:
                raise InputError(
                    f"dataset.{key}: {name!r} cannot name a genre; use letters, digits, `_`, `.` "
                    "and `-` (`all` is taken: it names the sum of the genres); YAML wants quotes "
                    "around what looks like a number, yes or no"
                )
    else:
        listed = isinstance(files, Sequence) and not isinstance(files, str)
        pairs = [(genre, file) for file in (files if listed else [files])]
    for _, path in pairs:
        if not isinstance(path, str) or not path:
            raise InputError(f"dataset.{key}: {path!r} is not a path; name the file, or null")
    if len(pairs) != len({path for _, path in pairs}):
        raise InputError(f"dataset.{key}: a file is listed twice; list each once")
    return tuple(pairs)
