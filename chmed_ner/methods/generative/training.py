"""What a regime gets to train on; and the processes that torchrun starts, which only train."""

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from chmed_ner.backbone import CompletionStore, Task, generate, requests_for
from chmed_ner.data import Corpus
from chmed_ner.entities import cut
from chmed_ner.errors import InputError
from chmed_ner.methods.generative.answers import prompt_for, read_completions
from chmed_ner.model import SPLIT, Generator
from chmed_ner.prompt import TaskPrompt
from chmed_ner.run import Experiment, read_corpus
from chmed_ner.score import span_scores
from chmed_ner.track import Tracker, note_counts
from chmed_ner.train import Tuned, called, joined, processes


def task_of(
    experiment: Experiment,
    corpus: Corpus,
    prompt: TaskPrompt,
    directory: Path,
    dev_f1: Callable[[Generator, int], float] | None = None,
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
    tracker: Tracker,
    counts: dict[str, int],
) -> Task:
    """The task of the first process: it logs metrics, notes counts and judges epochs.

    An epoch's F1 is that of the headline policy on the validation split; its completions are kept
    in `directory/validation`, apart from those of the run.
    """

    def dev_f1(generator: Generator, epoch: int) -> float:
        store = CompletionStore(directory / "validation" / f"epoch{epoch}.jsonl")
        store.clear()
        requests = requests_for(cut(corpus.validation), prompt, experiment.decoding)
        found = read_completions(corpus.validation, prompt, generate(generator, requests, store))
        spans = found.predicted(experiment.policy)
        return span_scores((s.entities, spans[s.id]) for s in corpus.validation).f1

    def note(more: Mapping[str, int]) -> None:
        counts.update(more)
        note_counts(directory, more)

    judge = dev_f1 if corpus.validation else None
    return task_of(experiment, corpus, prompt, directory, judge, log=tracker.log, note=note)


def check_processes(experiment: Experiment, *, sweep: bool) -> None:
    """InputError when torchrun started several processes for what is not trained by several."""
    count = processes().count
    if count == 1:
        return
    if sweep:
        raise InputError(
            f"torchrun started {count} processes: a multirun cannot share them; start each run of "
            "it by a torchrun of its own, or leave torchrun out"
        )
    if "regime" not in experiment.parts or not experiment.regime.trains:
        raise InputError(
            f"torchrun started {count} processes, but this run tunes nothing; start it without "
            "torchrun, or choose a regime that trains, such as regime=lora"
        )
    if getattr(experiment.backbone, "device", "") == SPLIT:
        raise InputError(
            f"backbone.device=split: torchrun started {count} processes, and each would take all "
            "GPUs; start the run without torchrun, or use device=auto"
        )


def assists() -> bool:
    """Is this a process that only trains along?"""
    return not processes().first


def assist(experiment: Experiment) -> None:
    """Train whenever the first process calls, until it tells this one to stop."""
    logging.getLogger().setLevel(logging.WARNING)  # the first process says the same
    with joined():
        while (directory := called()) is not None:
            corpus = read_corpus(experiment)
            prompt = prompt_for(experiment, corpus, directory)
            assert isinstance(experiment.regime, Tuned), "checked before"
            task = task_of(experiment, corpus, prompt, directory)
            experiment.regime.train(experiment.backbone, task)


@contextmanager
def assisted() -> Iterator[None]:
    """In the first process: the others can be called within the block, and stop after it.

    When the block fails they are not told to stop: torchrun ends them after this process.
    """
    if processes().count == 1:
        yield
        return
    with joined():
        yield
        called(None)
