"""A tagger in memory: text in, entities out; its tokenizer, its positions, its weights on disk."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from chmed_ner.backbone import Backbone, Encoder
from chmed_ner.entities import OUTSIDE, Span, chunks, surest
from chmed_ner.errors import InputError, first_line
from chmed_ner.files import keep
from chmed_ner.machine import give_back, progress
from chmed_ner.methods.features import NumberedFeatures
from chmed_ner.methods.tagger.network import TaggerNetwork, batch_of
from chmed_ner.methods.tagger.reading import Reader, Reading
from chmed_ner.train import WIDTH_STEP


@dataclass
class Tagger:
    """Finds entities in text with a network; `features` is None where it uses no lexicon."""

    network: TaggerNetwork
    reader: Reader
    features: NumberedFeatures | None
    batch_size: int

    def find(self, texts: Sequence[str]) -> list[tuple[Span, ...]]:
        """The entities of each text by its likeliest legal tags, with their probability among all
        legal ones, of two that cross the surer one; batches do not depend on the texts' order."""
        self.network.eval()
        found: dict[str, tuple[Span, ...]] = {"": ()}
        readings = {text: self.reader(text) for text in texts if text}
        ordered = sorted(readings, key=lambda text: (-len(readings[text]), text))
        with progress(len(ordered), "tag", "sentence") as bar:
            for start in range(0, len(ordered), self.batch_size):
                some = {text: readings[text] for text in ordered[start : start + self.batch_size]}
                placed = self._entities(list(some.items()))
                found |= zip(some, (surest(each, nested=True) for each in placed), strict=True)
                bar.update(len(some))
        return [found[text] for text in texts]

    def close(self) -> None:
        """Free the model."""
        del self.network
        give_back()

    def judge(
        self, texts: Sequence[str], spans: Sequence[Sequence[Span]]
    ) -> list[tuple[Span, ...]]:
        """The given entities of each text, with their probability; 0 for a type not met."""
        self.network.eval()
        judged: list[tuple[Span, ...]] = [()] * len(texts)
        ordered = sorted(
            (at for at, text in enumerate(texts) if text), key=lambda at: len(texts[at])
        )
        for start in range(0, len(ordered), self.batch_size):
            some = ordered[start : start + self.batch_size]
            asked = [spans[at] for at in some]
            found = self._entities([(texts[at], self.reader(texts[at])) for at in some], asked)
            for at, each in zip(some, found, strict=True):
                sure = {span: span.confidence for span in each}
                judged[at] = tuple(replace(s, confidence=sure.get(s, 0.0)) for s in spans[at])
        return judged

    def _entities(
        self, read: Sequence[tuple[str, Reading]], asked: Sequence[Sequence[Span]] | None = None
    ) -> list[list[Span]]:
        """The entities asked for, or the likeliest ones, of each text, with their probability."""
        features = [self.features(text) if self.features else [()] * len(text) for text, _ in read]
        batch = batch_of([reading for _, reading in read], features, None, self.network.base.device)
        with torch.no_grad():
            scored = self.network(batch)
        found: list[list[Span]] = [[] for _ in read]
        for chain, scores in scored:
            if asked is None:
                paths = chain.best(scores, batch.lengths)
                some = [chunks([chain.labels[tag] for tag in path]) for path in paths]
            else:
                some = [tuple(s for s in spans if f"B-{s.type}" in chain.labels) for spans in asked]
            emissions = scores.double().cpu().numpy()
            sure = chain.lattice().confident(some, emissions, batch.lengths.tolist())
            for spans, more in zip(found, sure, strict=True):
                spans += more
        return found


def tag_sets(types: Sequence[str], *, nested: bool) -> tuple[tuple[str, ...], ...]:
    """The BIO tags that exclude one another: O, then B and I of all types; where entities may lie
    inside others, a set for each type."""
    kinds = [[type_] for type_ in types] if nested else [types]
    return tuple(
        (OUTSIDE, *(f"{prefix}-{type_}" for type_ in kind for prefix in "BI")) for kind in kinds
    )


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
