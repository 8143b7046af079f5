"""The generative method's questions, their answers, and the entities that the answers name."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import chain
from pathlib import Path

from chmed_ner.backbone import CompletionStore, Task, faults, generate, stored_completions
from chmed_ner.data import Corpus
from chmed_ner.entities import Completion, Sentence, cut
from chmed_ner.model import Request
from chmed_ner.prompt import HINTS_FILE, PROBLEMS, TaskPrompt, add_hints
from chmed_ner.run import Experiment, Findings, Outcome
from chmed_ner.track import Tracker

Asked = tuple[Sequence[Request], CompletionStore]
"""Questions, and where their answers are kept."""


def prompt_for(
    experiment: Experiment, corpus: Corpus, directory: Path, counts: dict[str, int] | None = None
) -> TaskPrompt:
    """The run's prompt with hints and demonstrations; what is counted of these joins `counts`."""
    prompt = experiment.prompt.task(corpus.labels, experiment.script.name)
    regime = experiment.regime
    return regime.demonstrated(
        add_hints(prompt, corpus.train, directory, regime.inherited(HINTS_FILE)),
        experiment.backbone,
        directory,
        seed=experiment.seed,
        corpus=corpus,
        note=None if counts is None else counts.update,
    )


def ask(
    experiment: Experiment, asked: Sequence[Asked], task: Callable[[], Task], tracker: Tracker
) -> list[dict[str, Completion]]:
    """The completions of each list of questions by sentence id; what is stored is not asked again.

    The backbone is loaded once, tuned or not as the regime says, and only if an answer is missing;
    without any question, too, so that a regime can train alone.
    """
    stored = (store.get(each.split, each.id) for requests, store in asked for each in requests)
    if not asked or not all(stored):
        with tracker.timed("prepare"):
            generator = experiment.regime.prepare(experiment.backbone, task())
        try:
            for requests, store in asked:
                generate(generator, requests, store)
        except BaseException:  # a run that ends here has been paid for too
            stores = {id(store): store for _, store in asked}.values()
            tracker.log({"cost/usd": experiment.backbone.usd(chain.from_iterable(stores))}, 0)
            raise
        finally:
            generator.close()
    return [stored_completions(requests, store) for requests, store in asked]


def outcome_of(
    test: Sequence[Sentence],
    validation: Sequence[Sentence],
    prompt: TaskPrompt,
    completions: Mapping[str, Completion],
) -> Outcome:
    """What the completions of both splits say."""
    tested = [completions[sentence.id] for sentence in cut(test)]
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
    """Every completion parsed; its faults are counted with its problems."""
    answers, asked = {}, cut(sentences)
    for s in asked:
        each = completions[s.id]
        read = prompt.parse(each.text, s.model_text, each.stop, each.logprobs)
        answers[s.id] = replace(read, problems={**read.problems, **faults(each)})
    targets = {s.id: prompt.target_mentions(s) for s in asked}
    return Findings(sentences, answers, targets, prompt.labels.nested)
