"""`method=assessment`: a prompt asked in several ways, and how well it stands that."""

import logging
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Annotated, Any

from chmed_ner.backbone import CompletionStore, requests_for
from chmed_ner.data import Corpus
from chmed_ner.entities import Completion, LabelScheme, Sentence, Simplified, cut
from chmed_ner.errors import InputError
from chmed_ner.knobs import MAPPING, at_least
from chmed_ner.methods.assessment.measures import Reading, measures, single, write_tables
from chmed_ner.methods.generative.answers import ask, outcome_of, prompt_for, read_completions
from chmed_ner.methods.generative.method import Generative
from chmed_ner.methods.generative.training import judged_task
from chmed_ner.prompt import Prompt, TaskPrompt
from chmed_ner.run import Experiment, Outcome
from chmed_ner.track import Tracker

FOLDER = "assessment"
"""The folder of a run that holds the tables, and a folder of completions for each variant."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Variant:
    """A prompt that should bring the same entities; `kind` is what it varies."""

    kind: str
    name: str
    prompt: TaskPrompt

    def reading(
        self, sentences: Sequence[Sentence], found: Mapping[str, Completion], policy: str
    ) -> Reading:
        """What the completions `found` say of the sentences."""
        answers = {
            s.id: self.prompt.parse(found[s.id].text, s.model_text, found[s.id].stop)
            for s in sentences
        }
        spans = read_completions(sentences, self.prompt, found).predicted(policy)
        return Reading(self.kind, self.name, self.prompt, found, answers, spans)


@dataclass(frozen=True, kw_only=True)
class Assessment(Generative):
    """The generative method, its test questions also asked in variants of the prompt."""

    name = "assessment"
    named_by = ("backbone", "prompt", "regime", "method")

    paraphrases: Annotated[Mapping[str, Any], MAPPING]
    label_orders: Annotated[int, at_least(0)]
    seeds: Annotated[int, at_least(0)]

    def __post_init__(self) -> None:
        for prompt, instructions in self.paraphrases.items():
            listed = isinstance(instructions, Sequence) and not isinstance(instructions, str)
            if not listed or not all(
                isinstance(each, str) and "{categories}" in each for each in instructions
            ):
                raise InputError(
                    f"method.paraphrases.{prompt}={instructions!r}: give a list of instructions, "
                    "each naming {categories}"
                )

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
        if self.seeds and not experiment.regime.draws:
            raise InputError(
                f"method.seeds={self.seeds}: nothing that is asked depends on the seed here; give "
                "0, or draw demonstrations by chance with regime=few_shot regime.selection=random "
                "(the seeds of a training are runs of their own: -m seed=1,2)"
            )
        if not (self.paraphrases[name] or self.label_orders or self.seeds):
            raise InputError(
                "method=assessment: nothing to compare; give method.paraphrases, "
                "method.label_orders or method.seeds"
            )
        if not corpus.test:
            raise InputError("limit.test=0: an assessment needs test sentences; give 1 or more")
        if not corpus.gold:
            raise InputError("dataset.gold=false: an assessment measures F1; test files with gold")
        for words in self.paraphrases[name]:
            reworded_prompt(experiment, words)

    def run(
        self, experiment: Experiment, corpus: Corpus, directory: Path, tracker: Tracker
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
        test, decoding = cut(corpus.test), experiment.decoding
        asked = [(requests_for((*test, *cut(validation)), prompt, decoding), own)] + [
            (requests_for(test, each.prompt, decoding), store)
            for each, store in zip(variants, stores, strict=True)
        ]
        task = partial(judged_task, experiment, corpus, prompt, directory, tracker, counts)
        found = ask(experiment, asked, task, tracker)
        every = [Variant("prompt", "prompt", prompt), *variants]
        readings = [
            variant.reading(test, completions, experiment.policy)
            for variant, completions in zip(every, found, strict=True)
        ]
        metrics = measures(test, readings)
        rows: list[dict[str, str | float]] = [
            {"kind": each.kind, "variant": each.name, **single(test, each)} for each in readings
        ]
        table = write_tables(directory / FOLDER, metrics, rows)
        log.info("assessment over %d variants of the prompt:\n%s", len(readings), table)
        outcome = outcome_of(corpus.test, validation, prompt, found[0])
        paid = (completion for store in (own, *stores) for completion in store)
        usd = experiment.backbone.usd(paid)
        return replace(outcome, counts=counts, usd=usd, metrics=metrics)

    def _variants(self, experiment: Experiment, corpus: Corpus, directory: Path) -> list[Variant]:
        """The run's prompt in other words, with the categories in other orders, for other seeds."""
        variants = []
        for number, words in enumerate(self.paraphrases[experiment.prompt.name], start=1):
            parts = {**experiment.parts, "prompt": reworded_prompt(experiment, words)}
            prompt = prompt_for(replace(experiment, parts=parts), corpus, directory)
            variants.append(Variant("paraphrases", f"paraphrase{number}", prompt))
        for number in range(1, self.label_orders + 1):
            scheme, labels = corpus.labels, list(corpus.labels.labels)
            random.Random(f"label order {experiment.seed} {number}").shuffle(labels)
            shuffled = LabelScheme(scheme.name, labels, nested=scheme.nested)
            other = replace(corpus, labels=shuffled)
            prompt = prompt_for(experiment, other, directory)
            variants.append(Variant("label_orders", f"label_order{number}", prompt))
        for seed in range(experiment.seed + 1, experiment.seed + 1 + self.seeds):
            folder = directory / FOLDER / f"seed{seed}"  # each draws demonstrations of its own
            prompt = prompt_for(replace(experiment, seed=seed), corpus, folder)
            variants.append(Variant("seeds", folder.name, prompt))
        return variants


def reworded_prompt(experiment: Experiment, instruction: str) -> Prompt:
    """The run's prompt with another instruction (traditional script); InputError: unknown field."""
    script, words = experiment.script.name, f"{instruction.strip()}\n"
    if script == "simplified":
        words = Simplified().convert(words)
    return experiment.prompt.reworded(script, words)
