"""Two finished runs on the same test sentences, compared by what they predicted."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

from chmed_ner.backbone import read_completions
from chmed_ner.data import Corpus, Dataset, Limit, read_predictions
from chmed_ner.entities import Completion, LabelScheme, Sentence, Span
from chmed_ner.errors import InputError
from chmed_ner.run.config import build
from chmed_ner.run.recorded import check_unchanged, recorded_config
from chmed_ner.score import Comparison, Comparisons, Counts, compare_counts, sentence_counts
from chmed_ner.track import RUN_FILE, RunRecord

PREDICTIONS, COMPLETIONS = "predictions.jsonl", "completions.jsonl"
COMPARED_FILES = (RUN_FILE, PREDICTIONS)
"""The files of a run that are read; its gold is read from its corpus."""


@dataclass(frozen=True)
class TestedRun:
    """A finished run: its test sentences with gold, and the spans predicted, by sentence id."""

    directory: Path
    record: RunRecord
    sentences: Mapping[str, Sentence]
    spans: Mapping[str, tuple[Span, ...]]
    labels: LabelScheme

    def completions(self) -> list[Completion]:
        """What a model answered for the test split, a rescoring's those of its run; may be none."""
        for folder in (self.directory, self.directory.parents[1]):
            if (folder / COMPLETIONS).is_file():
                found = read_completions(folder / COMPLETIONS)
                return [each for each in found if each.split == "test"]
            if self.directory.parent.name != "rescore":
                break
        return []

    def counts(self, order: Iterable[Sentence]) -> dict[str, Counts]:
        """The counts of each sentence by genre, sentences in the order given."""
        pairs: defaultdict[str, list[tuple[tuple[Span, ...], tuple[Span, ...]]]] = defaultdict(list)
        for sentence in order:
            pairs[sentence.genre].append((sentence.entities, self.spans[sentence.id]))
        return {genre: sentence_counts(members) for genre, members in pairs.items()}


def read_run(directory: Path) -> TestedRun:
    """The finished run, or rescoring of one, in `directory`; gold is read from the corpus.

    InputError: not finished, no test sentences, or other gold or sentences than it was tested on.
    """
    record = RunRecord.read(directory)
    if record.status != "FINISHED":
        raise InputError(
            f"{directory}: the run is not finished ({record.status}); finish it with "
            f"`chmed-ner run ... resume={directory}`, or name another"
        )
    corpus = _tested(directory, record)
    sentences = {sentence.id: sentence for sentence in corpus.test}
    if not sentences or not corpus.gold:
        raise InputError(
            f"{directory}: the run has no test sentence with gold; compare runs that have"
        )
    return TestedRun(directory, record, sentences, _spans(directory, sentences), corpus.labels)


def compare_runs(first: TestedRun, second: TestedRun) -> Comparisons:
    """What `compare_counts` finds; InputError where the test sentences differ."""
    _check_same(first, second)
    order = first.sentences.values()
    return compare_counts(first.counts(order), second.counts(order))


def comparison_json(first: TestedRun, second: TestedRun, found: Comparisons) -> dict[str, object]:
    """What `chmed-ner compare --json` writes; chmed_ner/score/README.md lists the keys."""
    return {
        "run_a": _named(first),
        "run_b": _named(second),
        "macro": _figures(found.macro),
        "genres": {genre: _figures(each) for genre, each in found.genres.items()},
        "resamples": found.resamples,
        "rounds": found.rounds,
        "seed": found.seed,
    }


def _named(run: TestedRun) -> dict[str, object]:
    record = run.record
    more = {key: getattr(record, key) for key in ("mlflow_run_id", "config_hash", "seed")}
    return {"name": record.name, "directory": str(run.directory), **more}


def _figures(found: Comparison) -> dict[str, object]:
    of = {"run_a": found.first, "run_b": found.second, "difference": found.difference}
    return {
        "sentences": found.sentences,
        **{key: {"f1": e.f1, "f1_low": e.low, "f1_high": e.high} for key, e in of.items()},
        "p_value": found.p_value,
    }


def _tested(directory: Path, record: RunRecord) -> Corpus:
    """The test split of the run's own configuration, its files checked against the record."""
    config = recorded_config(directory, record)
    chosen: Dataset = build(config["dataset"], "dataset")
    limit = Limit(test=config["limit"]["test"])
    corpus = chosen.load_test(Path(config["paths"]["data"]), seed=config["seed"], limit=limit)
    check_unchanged(directory, record, corpus)
    return corpus


def _spans(directory: Path, sentences: Mapping[str, Sentence]) -> dict[str, tuple[Span, ...]]:
    """The predicted spans of the test sentences, by id, in their order."""
    path = directory / PREDICTIONS
    found = {each.id: each for each in read_predictions(path) if each.split == "test"}
    for id_ in sorted(sentences.keys() ^ found.keys())[:1]:
        problem = "has no prediction" if id_ in sentences else "is not in the run's test split"
        raise InputError(f"{path}: sentence {id_} {problem}; restore the file, or rescore the run")
    for id_, sentence in sentences.items():
        if found[id_].text != sentence.text:
            raise InputError(
                f"{path}: sentence {id_} has another text than its gold file; restore the file"
            )
    return {id_: found[id_].entities for id_ in sentences}


def _check_same(first: TestedRun, second: TestedRun) -> None:
    names = f"{first.directory} and {second.directory}"
    for id_ in [*first.sentences, *second.sentences]:
        one, two = first.sentences.get(id_), second.sentences.get(id_)
        if one is None or two is None:
            only = first if two is None else second
            problem = f"only {only.directory} was tested on it"
        else:
            problem = _difference(one, two)
        if problem:
            raise InputError(
                f"{names} were tested on different sentences; the first difference is "
                f"sentence {id_}: {problem}; compare runs with the same test split "
                "(dataset, genres, limit.test, seed)"
            )


def _difference(one: Sentence, two: Sentence) -> str:
    """What differs between two sentences of one id; empty for nothing."""
    if one.genre != two.genre:
        return f"genre {one.genre}, but {two.genre}"
    golds: list[Sequence[object]] = [each.tags or each.entities for each in (one, two)]
    columns = (("text", one.text, two.text), ("gold", *golds))
    for what, ones, twos in columns:
        for position, (a, b) in enumerate(zip_longest(ones, twos)):
            if a != b:
                return f"its {what} at offset {position} is {_shown(a)}, but {_shown(b)}"
    return "" if one.entities == two.entities else "its gold entities"


def _shown(value: object) -> str:
    return "at its end" if value is None else repr(value)
