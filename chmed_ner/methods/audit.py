"""`chmed-ner audit`: each sentence read by a model that was trained on other sentences."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from chmed_ner.data import Corpus, carve_validation
from chmed_ner.entities import Sentence, Span, cut, outermost
from chmed_ner.errors import InputError
from chmed_ner.machine import progress
from chmed_ner.methods.features import folds_of
from chmed_ner.methods.fitted import Fitted
from chmed_ner.run import Experiment
from chmed_ner.score import Suggestion, plant, suggestions
from chmed_ner.track import Tracker

VALIDATION = 0.1
"""The share of a fold's training sentences that settings are chosen on."""
PLANTED = 0.05
"""The share of the entities that get an error in each rehearsal."""
REHEARSALS = 4

Spans = Mapping[str, Sequence[Span]]


def audit_annotations(
    experiment: Experiment, sentences: Sequence[Sentence], folds: int, directory: Path
) -> list[Suggestion]:
    """What is probably wrong in the annotations, the surest first; `directory` holds the models.

    Entities inside others are judged where the method learns them.
    InputError: too few sentences.
    """
    scheme = experiment.dataset.scheme
    if scheme.nested and isinstance(experiment.method, Fitted):
        nests = experiment.method.nests
        sentences = [
            replace(each, entities=outermost(each.entities, of_its_type=nests))
            for each in sentences
        ]
    seeds = range(experiment.seed, experiment.seed + REHEARSALS)
    planted = [plant(sentences, scheme.tags, PLANTED, seed) for seed in seeds]
    versions = [sentences, *(spoiled for spoiled, _ in planted)]
    asked = {
        each[0].id: tuple(dict.fromkeys(span for version in each for span in version.entities))
        for each in zip(*versions, strict=True)
    }
    predicted, judged = out_of_fold(experiment, sentences, asked, folds, directory)
    read, *rehearsed = ([_confident(each, judged) for each in version] for version in versions)
    errors = [found for _, found in planted]
    return suggestions(read, predicted, zip(rehearsed, errors, strict=True))


def out_of_fold(
    experiment: Experiment,
    sentences: Sequence[Sentence],
    asked: Spans,
    folds: int,
    directory: Path,
) -> tuple[Spans, Spans]:
    """What the model fitted on the other folds predicts in each sentence, by its id, and the spans
    `asked` with its confidence in them. Sentences of one text are in one fold."""
    parts = folds_of(sentences, folds, experiment.seed)
    if len(parts) < 2:
        raise InputError(
            f"{len(sentences)} annotated sentences of dataset '{experiment.dataset.name}': two "
            "different ones are needed, one to learn from and one to look at"
        )
    predicted: dict[str, Sequence[Span]] = {}
    judged: dict[str, Sequence[Span]] = {}
    with progress(len(parts), "audit", "fold") as bar:
        for number, fold in enumerate(parts):
            corpus, folder = _corpus(experiment, sentences, fold), directory / str(number)
            folder.mkdir(parents=True)
            experiment.check(corpus)
            outcome = experiment.method.run(experiment, corpus, folder, Tracker(folder))
            predicted |= outcome.test.predicted(experiment.policy)
            judged |= _judged(experiment, fold, asked, folder)
            bar.update(1)
    return predicted, judged


def _corpus(
    experiment: Experiment, sentences: Sequence[Sentence], fold: Iterable[Sentence]
) -> Corpus:
    """The fold as the test split, the other sentences to learn from."""
    held = {each.id for each in fold}
    rest = [replace(each, split="train") for each in sentences if each.id not in held]
    train, validation = carve_validation(rest, VALIDATION, experiment.seed)
    return Corpus(
        name=experiment.dataset.name,
        labels=experiment.dataset.scheme,
        train=cut(train),
        validation=tuple(replace(each, split="validation") for each in validation),
        test=tuple(replace(each, split="test") for each in fold),
    )


def _judged(
    experiment: Experiment, fold: Sequence[Sentence], asked: Spans, folder: Path
) -> dict[str, Sequence[Span]]:
    """The spans `asked` with the confidence of the model in `folder`, where it can tell one."""
    model = experiment.method.reopen(folder, experiment.parts.get("backbone"))
    if model is None:
        return {each.id: asked[each.id] for each in fold}
    try:
        texts, spans = [each.model_text for each in fold], [asked[each.id] for each in fold]
        return dict(zip((each.id for each in fold), model.judge(texts, spans), strict=True))
    finally:
        model.close()


def _confident(sentence: Sentence, judged: Spans) -> Sentence:
    known = {span: span for span in judged[sentence.id]}
    return replace(sentence, entities=tuple(known[span] for span in sentence.entities))
