"""`method=assessment`: a prompt asked in several ways, and how well it stands that."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from chmed_ner.backbone.generate import requests_for
from chmed_ner.backbone.store import CompletionStore
from chmed_ner.data.corpus import Corpus
from chmed_ner.entities.types import Completion
from chmed_ner.errors import InputError
from chmed_ner.methods.assessment.measures import Reading, measures, single, write_tables
from chmed_ner.methods.generative.method import (
    Generative,
    ask,
    judged_task,
    outcome_of,
    prompt_for,
    read_completions,
)
from chmed_ner.run.experiment import Experiment
from chmed_ner.run.outcome import Outcome

if TYPE_CHECKING:
    from chmed_ner.track import Tracker

import random
from dataclasses import dataclass

from chmed_ner.entities.labels import LabelScheme, Simplified
from chmed_ner.methods.generative.method import demonstrated
from chmed_ner.prompt import Prompt, TaskPrompt

FOLDER = "assessment"
"""The folder of a run that holds the tables, and a folder of completions for each variant."""


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Variant:
    """A prompt that should bring the same entities; `kind` is what it varies."""

    kind: str
    name: str
    prompt: TaskPrompt


class Assessment(Generative):
    """The generative method, its test questions also asked in variants.

    `paraphrases` maps a prompt's name to other instructions for it, in traditional characters;
    `label_orders` and `seeds` say how many other orders of the categories and other seeds are
    asked. The run's own scores and predictions are those of the prompt itself. Raises InputError
    for paraphrases of another shape or numbers below 0.
    """

    name = "assessment"
    named_by = ("backbone", "prompt", "regime", "method")

    def __init__(
        self, paraphrases: Mapping[str, Sequence[str]], label_orders: int, seeds: int
    ) -> None:
        for prompt, instructions in paraphrases.items():
            listed = isinstance(instructions, Sequence) and not isinstance(instructions, str)
            if not listed or not all(
                isinstance(each, str) and "{categories}" in each for each in instructions
            ):
                raise InputError(
                    f"method.paraphrases.{prompt}={instructions!r}: give a list of instructions, "
                    "each naming {categories}"
                )
        for key, value in (("label_orders", label_orders), ("seeds", seeds)):
            if value < 0:
                raise InputError(f"method.{key}={value}: give 0 or more")
        self.paraphrases = paraphrases
        self.label_orders = label_orders
        self.seeds = seeds

    def check(self, experiment: Experiment, corpus: Corpus) -> None:
        """InputError when there is nothing to compare, or no test sentence."""
        super().check(experiment, corpus)
        name = experiment.prompt.name
        if name not in self.paraphrases:
            raise InputError(
                f"method=assessment: no paraphrases for prompt={name}; list some under "
                f"method.paraphrases.{name} (an empty list for none); there are some for "
                f"{', '.join(self.paraphrases)}"
            )
        check_draws(experiment, self.seeds)
        if not (self.paraphrases[name] or self.label_orders or self.seeds):
            raise InputError(
                "method=assessment: nothing to compare; give method.paraphrases, "
                "method.label_orders or method.seeds"
            )
        if not corpus.test:
            raise InputError("limit.test=0: an assessment needs test sentences; give 1 or more")
        for words in self.paraphrases[name]:
            reworded_prompt(experiment, words)

    def run(
        self, experiment: Experiment, corpus: Corpus, directory: Path, tracker: "Tracker"
    ) -> Outcome:
        """The outcome of the prompt itself, with `assess/` metrics; tables in `assessment/`."""
        counts: dict[str, int] = {}
        prompt = prompt_for(experiment, corpus, directory, counts)
        own = CompletionStore(directory / "completions.jsonl")
        validation = corpus.validation if experiment.keeps_validation else ()
        variants = self._variants(experiment, corpus, directory)
        stores = [
            CompletionStore(directory / FOLDER / each.name / "completions.jsonl")
            for each in variants
        ]
        asked = [(requests_for((*corpus.test, *validation), prompt, experiment.decoding), own)] + [
            (requests_for(corpus.test, each.prompt, experiment.decoding), store)
            for each, store in zip(variants, stores, strict=True)
        ]
        task = partial(judged_task, experiment, corpus, prompt, directory, tracker, counts)
        found = ask(experiment, asked, task, tracker)
        every = [Variant("prompt", "prompt", prompt), *variants]
        readings = [
            _reading(experiment, corpus, variant, completions)
            for variant, completions in zip(every, found, strict=True)
        ]
        metrics = measures(corpus.test, readings)
        rows: list[dict[str, str | float]] = [
            {"kind": each.kind, "variant": each.name, **single(corpus.test, each)}
            for each in readings
        ]
        table = write_tables(directory / FOLDER, metrics, rows)
        log.info("assessment over %d variants of the prompt:\n%s", len(readings), table)
        outcome = outcome_of(corpus.test, validation, prompt, found[0])
        paid = (completion for store in (own, *stores) for completion in store)
        usd = experiment.backbone.usd(paid)
        return replace(outcome, counts=counts, usd=usd, metrics=metrics)

    def _variants(self, experiment: Experiment, corpus: Corpus, directory: Path) -> list[Variant]:
        instructions = self.paraphrases[experiment.prompt.name]
        return [
            *paraphrased(experiment, corpus, directory, instructions),
            *reordered(experiment, corpus, directory, self.label_orders),
            *reseeded(experiment, corpus, directory / FOLDER, self.seeds),
        ]


def _reading(
    experiment: Experiment,
    corpus: Corpus,
    variant: Variant,
    completions: Mapping[str, Completion],
) -> Reading:
    prompt = variant.prompt
    found = read_completions(corpus.test, prompt, completions)
    answers = {
        s.id: prompt.parse(completions[s.id].text, s.model_text, completions[s.id].stop)
        for s in corpus.test
    }
    spans = found.predicted(experiment.policy)
    return Reading(variant.kind, variant.name, prompt, completions, answers, spans)


def paraphrased(
    experiment: Experiment, corpus: Corpus, directory: Path, instructions: Sequence[str]
) -> list[Variant]:
    """The run's prompt with each of the instructions (in traditional characters, which OpenCC turns
    into simplified ones where the prompt is in that script)."""
    script = experiment.script.name
    variants = []
    for number, words in enumerate(instructions, start=1):
        reworded = reworded_prompt(experiment, words)
        prompt = reworded.task(corpus.labels, script)
        prompt = demonstrated(prompt, experiment, corpus, directory)
        variants.append(Variant("paraphrases", f"paraphrase{number}", prompt))
    return variants


def reworded_prompt(experiment: Experiment, instruction: str) -> Prompt:
    """The run's prompt with another instruction, a line of traditional characters; InputError for a
    field that it does not know."""
    script, words = experiment.script.name, f"{instruction.strip()}\n"
    if script == "simplified":
        words = Simplified().convert(words)
    return experiment.prompt.reworded(script, words)


def reordered(
    experiment: Experiment, corpus: Corpus, directory: Path, orders: int
) -> list[Variant]:
    """The run's prompt with the categories in `orders` other orders, drawn by the run's seed."""
    variants = []
    for number in range(1, orders + 1):
        labels = list(corpus.labels.labels)
        random.Random(f"label order {experiment.seed} {number}").shuffle(labels)
        scheme = LabelScheme(corpus.labels.name, labels)
        prompt = experiment.prompt.task(scheme, experiment.script.name)
        prompt = demonstrated(prompt, experiment, corpus, directory)
        variants.append(Variant("label_orders", f"label_order{number}", prompt))
    return variants


def reseeded(experiment: Experiment, corpus: Corpus, directory: Path, seeds: int) -> list[Variant]:
    """The run's prompt with the demonstrations of `seeds` other seeds, each kept in a folder of its
    own under `directory`."""
    variants = []
    for number in range(1, seeds + 1):
        other = replace(experiment, seed=experiment.seed + number)
        prompt = experiment.prompt.task(corpus.labels, experiment.script.name)
        name = f"seed{other.seed}"
        prompt = demonstrated(prompt, other, corpus, directory / name)
        variants.append(Variant("seeds", name, prompt))
    return variants


def check_draws(experiment: Experiment, seeds: int) -> None:
    """InputError for other seeds where no seed has a say."""
    if seeds and not experiment.regime.draws:
        raise InputError(
            f"method.seeds={seeds}: nothing that is asked depends on the seed here; give 0, or "
            "draw demonstrations by chance with regime=few_shot regime.selection=random (the seeds "
            "of a training are runs of their own: -m seed=1,2)"
        )
