"""`chmed-ner prompts`: look at the filled prompts and targets, or export the prompt data set."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chmed_ner.cli.options import writing
from chmed_ner.errors import InputError
from chmed_ner.files import write_json_lines

FORMATS = ("alpaca", "sharegpt", "messages")


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument("overrides", nargs="*", help="Hydra overrides, as in `run`")
    parser.add_argument("--show", type=int, default=3, metavar="N", help="how many of each split")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write the prompt data set there")
    parser.add_argument("--format", choices=FORMATS, default="alpaca", help="of the exported files")


def execute(arguments: argparse.Namespace) -> int:
    """Print `--show` prompts of each split, or write all into `--out`."""
    from chmed_ner.prompt import HINTS_FILE, add_hints
    from chmed_ner.run import compose, configure, read_corpus

    if arguments.show < 0:
        raise InputError(f"--show {arguments.show}: give 0 or more")
    experiment = configure(compose(arguments.overrides), {})
    corpus = read_corpus(experiment)
    prompt = experiment.prompt.task(corpus.labels, experiment.script.name)
    prompt = add_hints(prompt, corpus.train, None, experiment.regime.inherited(HINTS_FILE))
    splits = {"train": corpus.train, "validation": corpus.validation, "test": corpus.test}
    for split, sentences in splits.items():
        pairs = (
            prompt.pair(s) if split == "train" else (prompt.fill(s.model_text), prompt.target(s))
            for s in sentences
        )
        if arguments.out is not None:
            records = (_record(*pair, arguments.format) for pair in pairs)
            with writing("--out", arguments.out):
                write_json_lines(arguments.out / f"{split}.jsonl", records)
            print(f"{arguments.out / split}.jsonl: {len(sentences)} prompts")
            continue
        for sentence, (question, answer) in zip(sentences[: arguments.show], pairs, strict=False):
            print(f"=== {split} {sentence.id}\n{question}--- target\n{answer}\n")
    return 0


def _record(question: str, answer: str, style: str) -> Mapping[str, Any]:
    if style == "alpaca":
        return {"instruction": question, "input": "", "output": answer}
    if style == "sharegpt":
        turns = [{"from": "human", "value": question}, {"from": "gpt", "value": answer}]
        return {"conversations": turns}
    roles = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    return {"messages": roles}
