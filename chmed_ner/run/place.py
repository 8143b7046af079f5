"""Where a run belongs that may have been copied or moved, so that nothing is written elsewhere."""

import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from chmed_ner.files import output_directory
from chmed_ner.knobs import NAMES_RUN, marked, named
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
    """A configuration whose runs, the ones that it names and store lie in `output`, wherever they
    lay before."""
    before = Path(config["paths"]["output"]).absolute()
    if before == output:
        return dict(config)
    groups = {
        group: _moved(node, _places(group, node), before, output)
        for group, node in config.items()
        if group in ("tracking", "regime", "method") and isinstance(node, Mapping)
    }
    return {**config, **groups, "paths": {**config["paths"], "output": str(output)}}


def _places(group: str, node: Mapping[str, Any]) -> frozenset[str]:
    """The knobs of a group that say where runs or their store lie."""
    if group == "tracking":
        return frozenset(("uri", "store"))
    return marked(named(node.get("_target_"), group), NAMES_RUN)


def _moved(
    node: Mapping[str, Any], knobs: frozenset[str], before: Path, now: Path
) -> dict[str, Any]:
    def there(value: Any) -> Any:
        if isinstance(value, list):
            return [there(each) for each in value]
        return moved(value, before, now) if isinstance(value, str) else value

    return {key: there(value) if key in knobs else value for key, value in node.items()}


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
