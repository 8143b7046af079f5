"""A tagger in memory: text in, entities out; its tokenizer, its positions, its weights on disk."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from chmed_ner.backbone import Backbone, Encoder
from chmed_ner.entities import OUTSIDE, Span, chunks, tags_of
from chmed_ner.errors import InputError, first_line
from chmed_ner.files import keep
from chmed_ner.machine import give_back, progress
from chmed_ner.methods.features import NumberedFeatures
from chmed_ner.methods.tagger.network import Batch, TaggerNetwork, batch_of
from chmed_ner.methods.tagger.reading import Reader, Reading
from chmed_ner.train import WIDTH_STEP


@dataclass
class Tagger:
    """Finds entities in text with a network; `features` is None where it uses no lexicon."""

    network: TaggerNetwork
    reader: Reader
    labels: Sequence[str]
    features: NumberedFeatures | None
    batch_size: int

    def find(self, texts: Sequence[str]) -> list[tuple[Span, ...]]:
        """The entities of each text by its likeliest legal BIO tags, with their probability among
        all legal ones; batches do not depend on the texts' order."""
        self.network.eval()
        found: dict[str, tuple[Span, ...]] = {"": ()}
        readings = {text: self.reader(text) for text in texts if text}
        ordered = sorted(readings, key=lambda text: (-len(readings[text]), text))
        with progress(len(ordered), "tag", "sentence") as bar:
            for start in range(0, len(ordered), self.batch_size):
                some = {text: readings[text] for text in ordered[start : start + self.batch_size]}
                found |= zip(some, self._found(some), strict=True)
                bar.update(len(some))
        return [found[text] for text in texts]

    def tags(self, texts: Sequence[str]) -> list[list[str]]:
        """The likeliest legal BIO tags of each text."""
        found = zip(self.find(texts), texts, strict=True)
        return [list(tags_of(spans, len(text))) for spans, text in found]

    def close(self) -> None:
        """Free the model."""
        del self.network
        give_back()

    def judge(
        self, texts: Sequence[str], spans: Sequence[Sequence[Span]]
    ) -> list[tuple[Span, ...]]:
        """The given entities of each text, with their probability."""
        self.network.eval()
        judged: list[tuple[Span, ...]] = [()] * len(texts)
        ordered = sorted(
            (at for at, text in enumerate(texts) if text), key=lambda at: len(texts[at])
        )
        for start in range(0, len(ordered), self.batch_size):
            some = ordered[start : start + self.batch_size]
            batch, scores = self._scores([(texts[at], self.reader(texts[at])) for at in some])
            found = self.network.chain.lattice().confident(
                [spans[at] for at in some], scores.double().cpu().numpy(), batch.lengths.tolist()
            )
            for at, confident in zip(some, found, strict=True):
                judged[at] = confident
        return judged

    def _scores(self, read: Sequence[tuple[str, Reading]]) -> tuple[Batch, torch.Tensor]:
        features = [self.features(text) if self.features else [()] * len(text) for text, _ in read]
        device = self.network.base.device
        batch = batch_of([reading for _, reading in read], features, None, device)
        with torch.no_grad():
            return batch, self.network(batch)

    def _found(self, readings: Mapping[str, Reading]) -> list[tuple[Span, ...]]:
        batch, scores = self._scores(list(readings.items()))
        chain = self.network.chain
        paths = chain.best(scores, batch.lengths)
        placed = [chunks([self.labels[tag] for tag in path]) for path in paths]
        emissions = scores.double().cpu().numpy()
        return chain.lattice().confident(placed, emissions, batch.lengths.tolist())


def bio_labels(types: Sequence[str]) -> tuple[str, ...]:
    """The BIO tags of entity types: O, then B and I of each."""
    return (OUTSIDE, *(f"{prefix}-{type_}" for type_ in types for prefix in "BI"))


def tokenizer_of(backbone: Backbone) -> Any:
    """The tokenizer of a backbone, without its weights; InputError when it has none."""
    if isinstance(backbone, Encoder):
        return backbone.tokenizer()
    from chmed_ner.model import load_tokenizer

    source = backbone.tunable()
    return load_tokenizer(source.location(), revision=source.revision)


def positions_of(model: Any) -> float:
    """How many tokens the model can read at once, in full steps; infinite if nothing limits it."""
    most = getattr(model.config, "max_position_embeddings", None)
    if most is None:
        return math.inf
    # RoBERTa's first position follows its padding id: it has fewer than its configuration says
    table = getattr(getattr(model, "embeddings", None), "position_embeddings", None)
    padding = getattr(table, "padding_idx", None)
    return int(most - (0 if padding is None else padding + 1)) // WIDTH_STEP * WIDTH_STEP


def save_weights(path: Path, state: Mapping[str, Any]) -> None:
    """Write the trained tensors, atomically, as safetensors."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, partial)
    keep(partial, path)


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
