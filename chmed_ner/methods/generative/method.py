"""The paper's method: ask a language model for the entities, read its answer, restore the spans."""

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from chmed_ner.backbone.generate import generate, requests_for, stored_completions
from chmed_ner.backbone.regime import Task
from chmed_ner.backbone.store import CompletionStore
from chmed_ner.data.corpus import Corpus
from chmed_ner.entities.types import Completion, Sentence
from chmed_ner.model.asking import Generator, Request
from chmed_ner.prompt import Answer, TaskPrompt
from chmed_ner.prompt.formats.answer import PROBLEMS
from chmed_ner.prompt.lexicon_hints import FILE, hinted
from chmed_ner.run.experiment import OPTIONAL, Experiment, Method
from chmed_ner.run.outcome import Findings, Outcome
from chmed_ner.score.spans import span_scores
from chmed_ner.track.record import note_counts

if TYPE_CHECKING:
    from chmed_ner.track import Tracker

log = logging.getLogger(__name__)


class Generative(Method):
    """Prompt -> regime -> generate -> parse -> restore."""

    name = "generative"
    needs = OPTIONAL
    named_by: ClassVar[tuple[str, ...]] = ("backbone", "prompt", "regime")

    def check(self, experiment: Experiment, corpus: Corpus) -> None:
        """InputError when decoding or regime do not suit the prompt, or decoding the backbone."""
        experiment.regime.check(experiment.backbone, corpus.test_files)
        prompt = experiment.prompt.task(corpus.labels, experiment.script.name)
        experiment.decoding.check(prompt, experiment.backbone)
        experiment.regime.check_prompt(prompt)

    def tuned_on(self, experiment: Experiment, training_files: Mapping[str, str]) -> dict[str, str]:
        """The files of the regime."""
        return experiment.regime.tuned_on(training_files)

    def inputs(self, experiment: Experiment) -> dict[str, str]:
        """What goes into the run with the regime."""
        return experiment.regime.inputs()

    def run(
        self, experiment: Experiment, corpus: Corpus, directory: Path, tracker: "Tracker"
    ) -> Outcome:
        """Completions for the test split (and validation, where it is used), read and restored.

        Completions land in `directory/completions.jsonl` as they come; those already there are not
        asked again, and if none is missing no weights are loaded.
        """
        counts: dict[str, int] = {}
        prompt = prompt_for(experiment, corpus, directory, counts)
        store = CompletionStore(directory / "completions.jsonl")
        validation = corpus.validation if experiment.keeps_validation else ()
        splits = [split for split in (corpus.test, validation) if split]
        asked = [(requests_for(split, prompt, experiment.decoding), store) for split in splits]
        task = partial(judged_task, experiment, corpus, prompt, directory, tracker, counts)
        found = ask(experiment, asked, task, tracker)
        completions = {id_: each for split in found for id_, each in split.items()}
        outcome = outcome_of(corpus.test, validation, prompt, completions)
        return replace(outcome, counts=counts, usd=experiment.backbone.usd(store))


Judge = Callable[[Generator, int], float]
"""A generator and the epoch after which it is judged -> F1 (percent)."""
Asked = tuple[Sequence[Request], CompletionStore]
"""Questions, and where their answers are kept."""


def ask(
    experiment: Experiment, asked: Sequence[Asked], task: Callable[[], Task], tracker: "Tracker"
) -> list[dict[str, Completion]]:
    """The completions of each list of questions by sentence id; what is stored is not asked again.

    The backbone is loaded once, tuned or not as the regime says, and only if an answer is missing;
    without any question, too, so that a regime can train alone.
    """
    stores = list({id(store): store for _, store in asked}.values())
    if not all(_answered(requests, store) for requests, store in asked) or not asked:
        with tracker.timed("prepare"):
            generator = experiment.regime.prepare(experiment.backbone, task())
        try:
            for requests, store in asked:
                generate(generator, requests, store)
        except BaseException:  # a run that ends here has been paid for too
            tracker.log({"cost/usd": experiment.backbone.usd(chain.from_iterable(stores))}, 0)
            raise
        finally:
            generator.close()
    return [stored_completions(requests, store) for requests, store in asked]


def prompt_for(
    experiment: Experiment, corpus: Corpus, directory: Path, counts: dict[str, int] | None = None
) -> TaskPrompt:
    """The run's prompt, with its hints, and the demonstrations that its regime shows, if it shows
    any; what is counted of them lands in `counts`."""
    prompt = experiment.prompt.task(corpus.labels, experiment.script.name)
    return demonstrated(prompt, experiment, corpus, directory, counts)


def demonstrated(
    prompt: TaskPrompt,
    experiment: Experiment,
    corpus: Corpus,
    directory: Path,
    counts: dict[str, int] | None = None,
) -> TaskPrompt:
    """`prompt` with its hints, and the demonstrations that the regime shows, if it shows any."""
    regime, found = experiment.regime, {} if counts is None else counts
    prompt = hinted(prompt, corpus.train, directory, regime.inherited(FILE))
    return regime.demonstrated(
        prompt,
        experiment.backbone,
        directory,
        seed=experiment.seed,
        corpus=corpus,
        note=found.update,
    )


def outcome_of(
    test: Sequence[Sentence],
    validation: Sequence[Sentence],
    prompt: TaskPrompt,
    completions: Mapping[str, Completion],
) -> Outcome:
    """What the completions of both splits say."""
    tested = [completions[sentence.id] for sentence in test]
    return Outcome(
        read_completions(test, prompt, completions),
        read_completions(validation, prompt, completions),
        completions=tested,
        reasons=PROBLEMS,
        seconds=sum(completion.seconds for completion in tested),
    )


def read_completions(
    sentences: Sequence[Sentence], prompt: TaskPrompt, completions: Mapping[str, Completion]
) -> Findings:
    """Every completion parsed."""
    answers: dict[str, Answer] = {}
    for sentence in sentences:
        completion = completions[sentence.id]
        answers[sentence.id] = prompt.parse(completion.text, sentence.model_text, completion.stop)
    return Findings(sentences, answers, {s.id: prompt.target_mentions(s) for s in sentences})


def _answered(requests: Sequence[Request], store: CompletionStore) -> bool:
    return all(store.get(request.split, request.id) for request in requests)


def judge_of(experiment: Experiment, corpus: Corpus, prompt: TaskPrompt, directory: Path) -> Judge:
    """Scores a generator after an epoch: micro F1 (percent) of the headline policy on validation.

    Its completions are kept in `directory/validation`, apart from those of the run.
    """

    def dev_f1(generator: Generator, epoch: int) -> float:
        store = CompletionStore(directory / "validation" / f"epoch{epoch}.jsonl")
        store.clear()
        requests = requests_for(corpus.validation, prompt, experiment.decoding)
        found = read_completions(corpus.validation, prompt, generate(generator, requests, store))
        spans = found.predicted(experiment.policy)
        return span_scores((s.entities, spans[s.id]) for s in corpus.validation).f1

    return dev_f1


def task_of(
    experiment: Experiment,
    corpus: Corpus,
    prompt: TaskPrompt,
    directory: Path,
    dev_f1: Judge | None = None,
    **listeners: Any,
) -> Task:
    """What the regime is given: training pairs in the words of `prompt`, a judge, listeners."""
    texts = [sentence.model_text for sentence in corpus.train]
    return Task(
        pairs=[prompt.pair(sentence) for sentence in corpus.train],
        stop=prompt.stop,
        dev_f1=dev_f1,
        directory=directory,
        seed=experiment.seed,
        grammar=lambda number: prompt.grammar(texts[number], in_order=False),
        **listeners,
    )


def judged_task(
    experiment: Experiment,
    corpus: Corpus,
    prompt: TaskPrompt,
    directory: Path,
    tracker: "Tracker",
    counts: dict[str, int],
) -> Task:
    """The task of the first process: it judges epochs, logs metrics and notes counts."""

    def note(more: Mapping[str, int]) -> None:
        counts.update(more)
        note_counts(directory, more)

    judge = judge_of(experiment, corpus, prompt, directory) if corpus.validation else None
    return task_of(experiment, corpus, prompt, directory, judge, log=tracker.log, note=note)
