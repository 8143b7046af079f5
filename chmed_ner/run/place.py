"""Where a run belongs that may have been copied or moved, so that nothing is written elsewhere."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from chmed_ner.files import output_directory
from chmed_ner.track import RunRecord, moved

log = logging.getLogger(__name__)


def output_of(run: Path, record: RunRecord, default: Path | None = None) -> Path:
    """The output directory of a run now: where it lies in `runs/`, else where it was made.

    A copy that lies in none belongs to `default` (None: the default output directory).
    """
    place = run.absolute()
    if place.parent.name == "rescore":
        place = place.parents[1]
    if place.parent.name == "runs":
        return place.parents[1]
    made = hydra_settings(run).get("runtime", {}).get("output_dir")
    unmoved = record.output if made and Path(made).absolute() == place else None
    return unmoved or default or output_directory()


def at_home(config: Mapping[str, Any], before: Path | None, output: Path) -> dict[str, Any]:
    """A configuration whose runs and store lie in `output`, no longer in `before`."""
    if before in (None, output):
        return dict(config)
    tracking = {
        key: moved(value, before, output) if key in ("uri", "store") and value else value
        for key, value in config["tracking"].items()
    }
    paths = {**config["paths"], "output": str(output)}
    return {**config, "paths": paths, "tracking": tracking}


def warn_of_place(run: Path, output: Path) -> None:
    """Say so where a resumed run does not lie in the output directory that tracks it."""
    own = run.parents[1]
    if run.parent.name == "runs" and own.resolve() != output.resolve():
        log.warning(
            "resume=%s: lies in %s, and is tracked in paths.output=%s; give paths.output=%s to "
            "keep them together",
            run,
            own,
            output,
            own,
        )


def hydra_settings(run: Path) -> dict[str, Any]:
    """What the run's `.hydra/hydra.yaml` holds; empty without it."""
    path = run / ".hydra" / "hydra.yaml"
    if not path.is_file():
        return {}
    found: Any = OmegaConf.to_container(OmegaConf.load(path), resolve=False)
    return dict(found["hydra"])
