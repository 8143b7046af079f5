"""The runs that an ensemble votes over: their predictions, checked against the corpus."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from chmed_ner.data import Corpus, read_predictions
from chmed_ner.entities import LabelScheme, Prediction, Sentence, Span
from chmed_ner.errors import InputError
from chmed_ner.track import RunRecord, find_run

PREDICTIONS_FILE = "predictions.jsonl"
KEY = "method.runs"


@dataclass(frozen=True)
class Member:
    """A finished run: how it was named, its folder, what it records."""

    name: str
    directory: Path
    record: RunRecord

    @property
    def path(self) -> Path:
        """Its predictions."""
        return self.directory / PREDICTIONS_FILE


def find_members(names: Sequence[str]) -> list[Member]:
    """The runs called `names`; InputError: no such run, no predictions, or named twice."""
    found: list[Member] = []
    for name in names:
        directory = find_run(name, key=KEY).resolve()
        member = Member(name, directory, RunRecord.read(directory))
        if not member.path.is_file():
            raise InputError(
                f"{KEY}={name}: {directory} holds no {PREDICTIONS_FILE}; finish that run first "
                f"with resume={directory}"
            )
        twin = next((other.name for other in found if other.directory == directory), None)
        if twin is not None:
            raise InputError(
                f"{KEY}: {twin} and {name} are the same run ({directory}); name each run once"
            )
        found.append(member)
    return found


def votes_of(member: Member, corpus: Corpus) -> dict[str, tuple[Span, ...]]:
    """The run's entities in both splits of `corpus`, by sentence id; InputError: another corpus."""
    found = read_predictions(member.path)
    votes: dict[str, tuple[Span, ...]] = {}
    for split, sentences in (("test", corpus.test), ("validation", corpus.validation)):
        tested = split == "test"  # whatever else is kept is validation
        predicted = {each.id: each for each in found if (each.split == "test") is tested}
        _check_ids(member, split, {sentence.id for sentence in sentences}, set(predicted))
        for sentence in sentences:
            prediction = predicted[sentence.id]
            _check_prediction(member, sentence, prediction, corpus.labels)
            votes[sentence.id] = prediction.entities
    return votes


def _check_ids(member: Member, split: str, ids: set[str], predicted: set[str]) -> None:
    if not predicted and ids:
        cure = "run it again with validate=true" if split == "validation" else "run it on this one"
        raise InputError(
            f"{KEY}={member.name}: {member.path} holds no prediction for the {split} split; {cure}"
        )
    for id_ in sorted(ids ^ predicted)[:1]:
        where = "not in its predictions" if id_ in ids else "not in this run's"
        raise InputError(
            f"{KEY}={member.name}: other {split} sentences ({len(predicted)} against {len(ids)}; "
            f"{id_} is {where}); every run needs the same dataset, seed and limit.{split} (with "
            "dataset.split_seed, runs of several seeds have one)"
        )


def _check_prediction(
    member: Member, sentence: Sentence, prediction: Prediction, labels: LabelScheme
) -> None:
    where = f"{member.path}, sentence {sentence.id}"
    if prediction.text != sentence.text:
        raise InputError(
            f"{where}: {prediction.text[:20]!r}..., but the corpus has "
            f"{sentence.text[:20]!r}...; every run needs the same corpus"
        )
    for type_ in (span.type for span in prediction.entities if span.type not in labels.tags):
        raise InputError(
            f"{where}: type {type_!r} is not in the label scheme '{labels.name}' "
            f"({', '.join(labels.tags)})"
        )
