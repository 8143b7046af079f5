"""The same questions in other words: paraphrases, other label orders, other seeds."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from chmed_ner.data.corpus import Corpus
from chmed_ner.entities.labels import LabelScheme
from chmed_ner.entities.script import Simplified
from chmed_ner.errors import InputError
from chmed_ner.methods.generative.method import demonstrated
from chmed_ner.prompt import Prompt, TaskPrompt
from chmed_ner.run.experiment import Experiment


@dataclass(frozen=True)
class Variant:
    """A prompt that should bring the same entities; `kind` is what it varies."""

    kind: str
    name: str
    prompt: TaskPrompt


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
