"""What a check measures on: a shape's model, sentences, batches, and the memory that there is."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from bench_data import Material, material
from gpu_shapes import SEED, Shape, a_model, parameters

from chmed_ner.backbone import requests_for
from chmed_ner.machine import free_unused, peak_mib
from chmed_ner.methods import prompt_for
from chmed_ner.model import (
    LoadedModel,
    Request,
    load_tokenizer,
    torch_device,
    torch_dtype,
    wrapping,
)
from chmed_ner.run import compose, configure, read_corpus

DECODINGS = ("greedy", "constrained")

ROOM = 2**30
"""Memory for activations and caches, beside what a part asks for."""


@dataclass(frozen=True)
class Scale:
    """How much is measured: sentences with the most tokens of an answer, compared and timed; sizes
    of batches in decoding and in training; steps timed."""

    compared: tuple[int, int]
    timed: tuple[int, int]
    sizes: tuple[int, ...]
    batch: int
    steps: int


FULL = Scale((32, 24), (96, 64), (32, 96), 16, 8)
TINY = Scale((8, 16), (6, 12), (3, 6), 4, 2)


@dataclass(frozen=True)
class Measured:
    """A part's result: it `holds`, `differs`, or was only `measured`; the same in words."""

    status: str
    said: str
    figures: Mapping[str, Any] = field(default_factory=dict)


class Unfit(Exception):
    """Why a part cannot be measured here."""


@dataclass(frozen=True)
class Subject:
    """A shape, with its configuration and tokenizer in `folder`, on the first GPU or the CPU."""

    shape: Shape
    folder: Path
    scale: Scale

    @cached_property
    def device(self) -> Any:
        """torch's device."""
        return torch_device("auto")

    @cached_property
    def dtype(self) -> str:
        """The precision in which speed is measured: bfloat16 where the device multiplies it."""
        return str(torch_dtype("auto", self.device)).removeprefix("torch.")

    @cached_property
    def what(self) -> Material:
        """The shipped corpus in this tokenizer's tokens."""
        words = (
            "dataset=sample", "backbone=causal_lm", f"backbone.path={self.folder}",
            f"backbone.dtype={self.dtype}", f"backbone.device={self.device.type}",
            f"regime.batch_size={self.scale.batch}",
        )  # fmt: skip
        return material(words, SEED)

    def experiment(self, decoding: str = "greedy") -> Any:
        """The experiment that the material's words compose."""
        words = [word for word in self.what.words if not word.startswith("decoding=")]
        return configure(compose([*words, f"decoding={decoding}"]), {})

    @cached_property
    def _corpus(self) -> Any:
        return read_corpus(self.experiment())

    @cached_property
    def _prompt(self) -> Any:
        return prompt_for(self.experiment(), self._corpus, self.folder)

    @property
    def stop(self) -> tuple[str, ...]:
        """The prompt's stop strings."""
        return tuple(self._prompt.stop)

    def prompt_ids(self, request: Request) -> list[int]:
        """What a model reads for `request`."""
        wrapped = wrapping(self.tokenizer, "never", {})
        return wrapped.prompt_ids(request.prompt, request.demonstrations)

    def requests(self, decoding: str, sentences: int, tokens: int) -> list[Request]:
        """Questions on test sentences, the same for each decoding, with answers up to `tokens`."""
        by_id = {each.id: each for each in self._corpus.test}
        chosen = [by_id[each] for each in self.what.sentences(sentences, SEED, "gpu")]
        asked = requests_for(chosen, self._prompt, self.experiment(decoding).decoding)
        return [replace(each, max_new_tokens=min(each.max_new_tokens, tokens)) for each in asked]

    @cached_property
    def tokenizer(self) -> Any:
        """The folder's tokenizer, as a run loads it."""
        return load_tokenizer(self.folder)

    def loaded(self, dtype: str) -> LoadedModel:
        """The model with random weights, the same at every call."""
        return a_model(self.shape, self.tokenizer, dtype, self.device)

    def needs(self, bytes_each: float) -> None:
        """Unfit: the GPU has no room for a model with so many bytes a parameter."""
        import torch

        free_unused()
        if self.device.type != "cuda":
            return
        free, needed = torch.cuda.mem_get_info()[0], bytes_each * parameters(self.shape) + ROOM
        if needed > free:
            raise Unfit(
                f"it takes {needed / 2**30:.1f} GiB of the GPU's memory or more, and "
                f"{free / 2**30:.1f} are free"
            )

    def forget_peak(self) -> None:
        """Count the peak of the GPU's memory from here on."""
        import torch

        free_unused()
        if self.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats()

    def peak_mib(self) -> float:
        """The peak of the GPU's memory since then; on a CPU the process's since its start."""
        import torch

        if self.device.type == "cuda":
            return torch.cuda.max_memory_allocated() / 2**20
        return peak_mib()
