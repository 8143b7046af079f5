"""Where a run belongs that may have been copied or moved, so that nothing is written elsewhere."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chmed_ner.files import output_directory
from chmed_ner.track import RunRecord, moved

log = logging.getLogger(__name__)


def own_output(run: Path, default: Path | None = None) -> Path:
    """The output directory that a run lies in, the user's own whatever its record says; one that
    lies in none belongs to `default` (None: the default output directory)."""
    return _around(run) or default or output_directory()


def output_of(run: Path, record: RunRecord, default: Path | None = None) -> Path:
    """The output directory of a run now: the one that it lies in; else, where it is no copy, the
    one that it was made for; else `default` (None: the default output directory)."""
    unmoved = record.output if record.directory == str(run.absolute()) else None
    return _around(run) or unmoved or own_output(run, default)


def _around(run: Path) -> Path | None:
    place = run.absolute()
    if place.parent.name == "rescore":
        place = place.parents[1]
    return place.parents[1] if place.parent.name == "runs" else None


def at_home(config: Mapping[str, Any], output: Path) -> dict[str, Any]:
    """A configuration whose runs and store lie in `output`, wherever they lay before."""
    before = Path(config["paths"]["output"]).absolute()
    if before == output:
        return dict(config)
    tracking = {
        key: moved(value, before, output)
        if key in ("uri", "store") and isinstance(value, str)
        else value
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
