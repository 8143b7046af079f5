"""A tagger in memory: text in, entities out; how it is built, saved and opened again."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from chmed_ner.backbone.protocol import Backbone
from chmed_ner.entities.types import OUTSIDE, Span, chunks
from chmed_ner.errors import InputError, first_line
from chmed_ner.machine import give_back, progress
from chmed_ner.methods.tagger.architecture import (
    Architecture,
    positions_of,
    tokenizer_of,
    transformer_of,
    tune,
)
from chmed_ner.methods.tagger.lexicon_features import LexiconFeatures
from chmed_ner.methods.tagger.network import Features, TaggerNetwork, batch_of
from chmed_ner.methods.tagger.reading import Reader, Reading
from chmed_ner.train.examples import WIDTH_STEP


class Tagger:
    """Finds entities in text with a network.

    `features` computes the lexicon features of a text, None where the network has none.
    """

    def __init__(
        self,
        network: TaggerNetwork,
        reader: Reader,
        labels: Sequence[str],
        features: LexiconFeatures | None,
        batch_size: int,
    ) -> None:
        self.network = network
        self.reader = reader
        self.labels = tuple(labels)
        self.features = features
        self.batch_size = batch_size

    def find(self, texts: Sequence[str]) -> list[tuple[Span, ...]]:
        """The entities of each text."""
        return [chunks(tags) for tags in self.tags(texts)]

    def tags(self, texts: Sequence[str]) -> list[list[str]]:
        """The likeliest legal BIO tags of each text, one a character.

        Batches depend on the texts only, not on their order.
        """
        self.network.eval()
        found: dict[str, list[str]] = {"": []}
        readings = {text: self.reader(text) for text in texts if text}
        ordered = sorted(readings, key=lambda text: (-len(readings[text]), text))
        with progress(len(ordered), "tag", "sentence") as bar:
            for start in range(0, len(ordered), self.batch_size):
                some = ordered[start : start + self.batch_size]
                paths = self._paths([readings[text] for text in some], some)
                for text, path in zip(some, paths, strict=True):
                    found[text] = [self.labels[tag] for tag in path]
                bar.update(len(some))
        return [found[text] for text in texts]

    def features_of(self, text: str) -> Features:
        """The lexicon features of each character of `text`."""
        return [()] * len(text) if self.features is None else self.features(text)

    def close(self) -> None:
        """Free the model."""
        del self.network
        give_back()

    def _paths(self, readings: Sequence[Reading], texts: Sequence[str]) -> list[list[int]]:
        features = [self.features_of(text) for text in texts]
        batch = batch_of(readings, features, None, self.network.base.device)
        with torch.no_grad():
            scores = self.network(batch)
        return self.network.chain.best(scores, batch.lengths)


def bio_labels(types: Sequence[str]) -> tuple[str, ...]:
    """The BIO tags of entity types: O, then B and I of each."""
    return (OUTSIDE, *(f"{prefix}-{type_}" for type_ in types for prefix in "BI"))


def new_tagger(
    backbone: Backbone,
    architecture: Architecture,
    types: Sequence[str],
    features: LexiconFeatures | None,
    seed: int,
) -> Tagger:
    """An untrained tagger on the backbone; `seed` decides what its fresh weights are.

    InputError where the tokenizer or the number of positions does not fit `architecture`.
    """
    tokenizer = tokenizer_of(backbone)
    Reader(tokenizer, most=architecture.window)  # refused before the weights are loaded
    transformer = transformer_of(backbone)
    reader = Reader(
        tokenizer, most=int(min(architecture.window, positions_of(transformer.model, WIDTH_STEP)))
    )
    torch.manual_seed(seed)
    tune(transformer.model, architecture)
    labels = bio_labels(types)
    network = TaggerNetwork(transformer, labels, architecture, features=len(features or ()))
    network.to(transformer.model.device)
    return Tagger(network, reader, labels, features, getattr(backbone, "batch_size", 32))


def save_weights(path: Path, state: Mapping[str, Any]) -> None:
    """Write the trained tensors, atomically, as safetensors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, partial)
    partial.replace(path)


def load_weights(network: TaggerNetwork, path: Path) -> None:
    """Put the trained tensors of `path` into `network`; InputError unless they fit exactly."""
    own = network.trained()
    try:
        with safe_open(path, framework="pt") as file:
            names = set(file.keys())
            if names != set(own):
                raise ValueError(f"tensors such as {min(names ^ set(own))} do not match")
            with torch.no_grad():
                for name, parameter in own.items():
                    parameter.copy_(file.get_tensor(name))
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise InputError(
            f"{path}: not the weights of this tagger ({first_line(error)}); run the method again"
        ) from None
    network.requires_grad_(False)
