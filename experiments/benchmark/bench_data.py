"""What the sides of a comparison read: tokenised batches for training, sentences for decoding."""

import random
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from chmed_ner.errors import InputError
from chmed_ner.methods import prompt_for
from chmed_ner.model import load_tokenizer, torch_device, torch_dtype, wrapping
from chmed_ner.run import compose, configure, read_corpus
from chmed_ner.train import Example, LoRA, encode, epoch_batches

Batch = list[Example]
Built = TypeVar("Built")

DATASETS = (
    "dataset=rocling2022",
    "dataset=rocling2022 dataset.healthner_part=test",
    "dataset=sample",
)
"""Tried in this order unless the command line names one: the first whose files are there."""

HELD = (
    "regime.warmup_share=0", "regime.epochs=1", "regime.checkpoint_minutes=null",
    "decoding=greedy", "tracking=dry",
)  # fmt: skip
"""What every comparison sets: one pass over the batches, by a schedule that the peers have too."""


@dataclass(frozen=True)
class Material:
    """Everything that is compared on.

    `words` compose the experiment; `batches` are those of one epoch of our loop that are full;
    `test` are the test sentences' ids by length, longest first.
    """

    words: tuple[str, ...]
    model: str
    dtype: str
    device: str
    recipe: Mapping[str, Any]
    batches: tuple[Batch, ...]
    training_sentences: int
    test: tuple[str, ...]

    def job(self, peer: str, batches: Sequence[Batch], seed: int, **more: Any) -> dict[str, Any]:
        """A training job: `peer` (ours, trl or trainer) reads the examples of `batches`.

        Each side puts them into batches by our loop's rule and the job's seed.
        """
        return {
            "peer": peer,
            "words": self.words,
            "model": self.model,
            "dtype": self.dtype,
            "device": self.device,
            "recipe": self.recipe,
            "seed": seed,
            "examples": [(each.prompt, each.answer) for batch in batches for each in batch],
            **more,
        }

    def taken(self, start: int, count: int) -> list[Batch]:
        """`count` batches from number `start` on, beginning again at the end."""
        return [self.batches[(start + at) % len(self.batches)] for at in range(count)]

    def sentences(self, count: int, seed: int, name: str) -> list[str]:
        """A seeded sample of at most `count` test sentences."""
        return drawn(self.test, count, seed, name)

    def by_length(self, groups: int, count: int) -> list[list[str]]:
        """`count` sentences around the middle of each of `groups` equal parts by length."""
        size = len(self.test) // groups
        parts = [self.test[at * size : (at + 1) * size] for at in range(groups)]
        return [
            list(part[max(0, (size - count) // 2) :][:count]) for part in reversed(parts) if part
        ]


def drawn(test: Sequence[str], count: int, seed: int, name: str) -> list[str]:
    """A seeded sample of at most `count` ids of the `test` sentences."""
    return random.Random(f"{name} {seed}").sample(test, min(count, len(test)))


def material(words: Sequence[str], seed: int) -> Material:
    """The material that `words` (Hydra overrides) describe; InputError when they do not.

    Without `dataset=` among them, HealthNER and ROCLING-2022 where they are, else the sample.
    """
    return on_dataset((*words, *HELD, f"seed={seed}"), lambda chosen: _material(chosen, seed))


def on_dataset(words: Sequence[str], build: Callable[[Sequence[str]], Built]) -> Built:
    """What `build` makes of `words`, with the first of `DATASETS` whose files are there unless
    they name one."""
    if named(words, "dataset"):
        return build(words)
    for dataset in DATASETS[:-1]:
        try:
            return build((*words, *dataset.split()))
        except InputError as error:
            print(f"{dataset}: {error}")
    return build((*words, DATASETS[-1]))


def named(words: Sequence[str], group: str) -> bool:
    """Do `words` choose an option of `group`?"""
    return any(word.startswith(f"{group}=") for word in words)


def _material(words: Sequence[str], seed: int) -> Material:
    experiment = configure(compose(words), {})
    backbone, regime = experiment.backbone.tunable(), experiment.regime
    if not isinstance(regime, LoRA) or regime.quantization or backbone.quantization != "none":
        raise InputError(
            "the benchmark compares LoRA on weights that are not quantised; leave regime=lora and "
            "backbone.quantization=none"
        )
    backbone.check()
    corpus = read_corpus(experiment)
    location = backbone.location()
    wrapped = wrapping(load_tokenizer(location), backbone.chat, backbone.chat_options)
    with tempfile.TemporaryDirectory() as scratch:
        prompt = prompt_for(experiment, corpus, Path(scratch))
        pairs = [(prompt.fill(s.model_text), prompt.target(s)) for s in corpus.train]
    examples = encode(pairs, wrapped, regime.max_tokens).examples
    size = regime.batch_size
    full = [each for each in epoch_batches(examples, size, seed, 0) if len(each) == size]
    if not full or not corpus.test:
        raise InputError(
            f"{len(examples)} training examples and {len(corpus.test)} test sentences: the "
            f"benchmark needs {size} and 1; choose another dataset or a smaller regime.batch_size"
        )
    device = torch_device(backbone.device)
    return Material(
        words=tuple(words),
        model=location,
        dtype=str(torch_dtype(backbone.dtype, device)).removeprefix("torch."),
        device=device.type,
        recipe={
            "batch_size": size,
            "learning_rate": regime.learning_rate,
            "weight_decay": regime.weight_decay,
            "clip_norm": regime.clip_norm,
            "rank": regime.rank,
            "alpha": regime.alpha or 2.0 * regime.rank,
            "dropout": regime.dropout,
            "targets": regime.targets,
        },
        batches=tuple(full),
        training_sentences=len(corpus.train),
        test=tuple(s.id for s in sorted(corpus.test, key=lambda s: (-len(s.text), s.id))),
    )
