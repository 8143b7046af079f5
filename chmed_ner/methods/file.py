"""`method=file`: another system's predictions, in the official format, scored as a run."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, NoReturn

from chmed_ner.backbone import Backbone
from chmed_ner.data import SAME_CHARACTERS, Corpus, Limit, Row, located, read_rows
from chmed_ner.entities import LabelScheme, Sentence, Span, chunks
from chmed_ner.errors import InputError
from chmed_ner.files import sha256_of
from chmed_ner.knobs import Range, are_texts
from chmed_ner.run import Experiment, Method, Outcome, placed_outcome
from chmed_ner.track import Tracker


def _are_files(value: Any) -> bool:
    return isinstance(value, Mapping) and are_texts([*value, *value.values()])


@dataclass(frozen=True, kw_only=True)
class PredictedFiles(Method):
    """The entities in official-format files, one file a genre of the test split.

    A file holds the characters of the full test split of its genre, sentence by sentence; of a
    limited test split only the sampled sentences count.
    """

    name = "file"

    files: Annotated[
        Any,
        Range("a file a genre, as {FT: my/FT.txt}", _are_files),
    ]

    def check(self, experiment: Experiment, corpus: Corpus) -> None:
        """InputError: a genre without a file, or a file that is not of this test split."""
        if experiment.validate:
            raise InputError(
                "validate=true: method=file has predictions of the test split alone; leave it out"
            )
        for genre in sorted(set(corpus.genres) ^ set(self.files)):
            what = "has no file" if genre in corpus.genres else "is not a genre of the test split"
            raise InputError(
                f"method.files: genre {genre} {what}; give one file for each of "
                f"{', '.join(corpus.genres)}, or set dataset.genres"
            )
        self._entities(experiment, corpus)

    def inputs(self, experiment: Experiment) -> dict[str, str]:
        """The checksums of the files."""
        return {
            f"method.files.{genre}": sha256_of(path)
            for genre, path in self._paths(experiment).items()
        }

    def run(
        self, experiment: Experiment, corpus: Corpus, directory: Path, tracker: Tracker
    ) -> Outcome:
        """The entities of the test split, as the files have them."""
        with tracker.timed("prepare"):
            found = self._entities(experiment, corpus)
        placed = {s.id: found[s.id] for s in corpus.test}
        return placed_outcome(corpus.test, placed, nested=corpus.labels.nested)

    def reopen(self, directory: Path, backbone: Backbone | None) -> NoReturn:
        """Refused by InputError: the system that wrote the files is not here."""
        raise InputError(
            f"{directory}: its predictions came from another system's files (method=file), so "
            "there is no model for other text; predict with a run that trained or prompted one"
        )

    def _paths(self, experiment: Experiment) -> dict[str, Path]:
        paths = {genre: located(file, experiment.data) for genre, file in self.files.items()}
        for genre, path in paths.items():
            if not path.is_file():
                raise InputError(
                    f"method.files.{genre}={self.files[genre]}: no such file ({path}); relative "
                    "paths start at the current directory, then at paths.data"
                )
        return paths

    def _entities(self, experiment: Experiment, corpus: Corpus) -> dict[str, tuple[Span, ...]]:
        """The entities of every test sentence, beyond the limit too, by id."""
        limited = experiment.limit.test is not None
        full = replace(experiment, limit=Limit()).load() if limited else corpus
        entities: dict[str, tuple[Span, ...]] = {}
        for genre, path in self._paths(experiment).items():
            sentences = [each for each in full.test if each.genre == genre]
            rows = read_rows(path, scored=True).sentences
            _check_characters(path, sentences, rows)
            for sentence, tagged in zip(sentences, rows, strict=True):
                entities[sentence.id] = _spans(path, tagged, full.labels)
        return entities


def _check_characters(
    path: Path, sentences: Sequence[Sentence], found: Sequence[Sequence[Row]]
) -> None:
    """InputError naming the first line that differs from the corpus."""
    for sentence, rows in zip(sentences, found, strict=False):
        for row, character in zip(rows, sentence.text, strict=False):
            if row.character != character:
                raise InputError(
                    f"{path}, line {row.line}: {row.character!r}, but sentence {sentence.id} has "
                    f"{character!r}; {SAME_CHARACTERS}"
                )
        if len(rows) != len(sentence.text):
            raise InputError(
                f"{path}, line {rows[-1].line}: a sentence of {len(rows)} characters ends, but "
                f"sentence {sentence.id} has {len(sentence.text)}; {SAME_CHARACTERS}"
            )
    if len(found) != len(sentences):
        raise InputError(
            f"{path}, line {found[-1][-1].line}: the last of {len(found)} sentences, but the "
            f"corpus has {len(sentences)}; {SAME_CHARACTERS}"
        )


def _spans(path: Path, rows: Sequence[Row], labels: LabelScheme) -> tuple[Span, ...]:
    spans = chunks([row.tag for row in rows])
    for span in spans:
        if span.type not in labels.tags:
            raise InputError(
                f"{path}, line {rows[span.start].line}: type {span.type!r} is not in the label "
                f"scheme '{labels.name}' ({', '.join(labels.tags)}); correct the tag"
            )
    return spans
