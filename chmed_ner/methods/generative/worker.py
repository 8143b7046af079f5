"""What the processes after the first do in a data-parallel run: train along, and nothing else."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chmed_ner.errors import InputError
from chmed_ner.machine import keep_threads_awake, prepare_memory
from chmed_ner.model.checkpoint.hardware import SPLIT
from chmed_ner.run.experiment import Experiment
from chmed_ner.train.parallel import call, called, joined, processes
from chmed_ner.train.tuned import Tuned


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
    if not experiment.regime.trains:
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
    """Train along whenever the first process calls, until it sends this one home."""
    from chmed_ner.methods.generative.method import task_of
    from chmed_ner.prompt.lexicon_hints import hinted
    from chmed_ner.run.runner import read_corpus

    logging.getLogger().setLevel(logging.WARNING)  # the first process says the same
    _prepare()
    with joined():
        while (directory := called()) is not None:
            corpus = read_corpus(experiment)
            prompt = experiment.prompt.task(corpus.labels, experiment.script.name)
            prompt = hinted(prompt, corpus.train, Path(directory))
            task = task_of(experiment, corpus, prompt, Path(directory))
            assert isinstance(experiment.regime, Tuned), "checked before"
            experiment.regime.train(experiment.backbone, task)


@contextmanager
def assisted() -> Iterator[None]:
    """In the first process: the others can be called within the block, and go home after it.

    When the block fails they are not sent home: torchrun ends them when this process has ended.
    """
    if processes().count == 1:
        yield
        return
    _prepare()
    with joined():
        yield
        call(None)


def _prepare() -> None:
    """Memory and threads as for any run: before torch is imported, which `joined` does."""
    prepare_memory()
    keep_threads_awake()
