"""One training from examples to a file, resumed from its checkpoint where there is one."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from chmed_ner.methods.tagger.model import Tagger, save_weights
from chmed_ner.methods.tagger.recipe import Architecture, Recipe
from chmed_ner.methods.tagger.training import BestEpoch, Example, Training, training_id
from chmed_ner.train.checkpoint import Checkpoint


def fit(
    tagger: Tagger,
    examples: Sequence[Example],
    architecture: Architecture,
    recipe: Recipe,
    *,
    seed: int,
    weights: Path,
    checkpoint: tuple[Path, float | None],
    score: Callable[[], float] | None,
    tell: Callable[[Mapping[str, float], int], None],
    describe: Callable[[float], None],
) -> None:
    """Train `tagger`, write the best epoch's tensors to `weights`, have them described.

    `checkpoint` is the run's directory and the minutes between checkpoints (None: never); the last
    one is deleted when `describe`, given the best validation F1, has returned. `score` gives the F1
    of the tagger as it is, None where there is nothing to score on.
    """
    best = BestEpoch(tagger.network, score, tell)
    directory, minutes = checkpoint
    identity = training_id(examples, recipe, architecture, seed)
    kept = Checkpoint(directory, minutes, identity, best, tagger.network.base.device)
    Training(tagger.network, examples, recipe, best, kept, seed=seed).run()
    save_weights(weights, best.state)
    describe(best.best)
    kept.remove()
