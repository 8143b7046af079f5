"""An exponential average of the weights over the optimiser steps (Polyak and Juditsky 1992)."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from chmed_ner.train.master_weights import MasterWeights


class WeightAverage:
    """The average of float32 `weights`; `tensors`, in their order, are it. Decay None: no average.

    After step t (from 1) the average a of the weights w becomes d a + (1 - d) w, where d is the
    decay but at most (1 + t) / (10 + t), so that the first steps are soon forgotten (the rule of
    TensorFlow's ExponentialMovingAverage). It looks back over about 1 / (1 - decay) steps.
    """

    def __init__(self, weights: MasterWeights, decay: float | None) -> None:
        self.weights = weights
        self.decay = decay
        kept = () if decay is None else weights.parameters
        self.tensors = [parameter.detach().clone() for parameter in kept]

    def update(self, step: int) -> None:
        """Take up the weights after optimiser step `step`, counted from 1."""
        if self.decay is None:
            return
        kept = min(self.decay, (1 + step) / (10 + step))
        with torch.no_grad():
            for average, parameter in zip(self.tensors, self.weights.parameters, strict=True):
                average.lerp_(parameter, 1 - kept)

    @contextmanager
    def in_model(self) -> Iterator[None]:
        """Within the block the model has the average for its weights; without one, its own."""
        self._swap()
        try:
            yield
        finally:
            self._swap()

    def _swap(self) -> None:
        """Exchange average and weights, a tensor at a time: no third copy of all is held."""
        if self.decay is None:
            return
        with torch.no_grad():
            for average, parameter in zip(self.tensors, self.weights.parameters, strict=True):
                held = parameter.detach().clone()
                parameter.copy_(average)
                average.copy_(held)
        self.weights.publish()
