"""Runs found by what users call them; a broken record is no reason to find no other run."""

import logging
from collections.abc import Iterator
from pathlib import Path

from chmed_ner.errors import InputError
from chmed_ner.files import output_directory
from chmed_ner.track.record import RUN_FILE, RunRecord
from chmed_ner.track.trust import check_links

log = logging.getLogger(__name__)


def records_in(runs: Path) -> Iterator[tuple[Path, RunRecord]]:
    """The runs below a folder with their records, by name; a broken one is named and left out."""
    for path in sorted(runs.glob(f"*/{RUN_FILE}")):
        try:
            yield path.parent, RunRecord.read(path.parent)
        except InputError as error:
            log.warning("%s; the run is left out: restore the file, or remove the folder", error)


def find_run(name: str, *, key: str = "RUN", output: Path | None = None) -> Path:
    """The directory of a run, named by it, by its MLflow id, or by `latest` (of the finished ones).

    InputError, which names what the user set (`key`), when there is none or a link leads out.
    """
    found = _found(name, key, output)
    check_links(found)
    return found


def _found(name: str, key: str, output: Path | None) -> Path:
    place = Path(name).expanduser()
    if (place / RUN_FILE).is_file():
        return place.absolute()
    runs = (output or output_directory()) / "runs"
    records = list(records_in(runs))
    if name == "latest":
        finished = [(r.started, str(d), d) for d, r in records if r.status == "FINISHED"]
        if finished:
            return max(finished)[2]
        raise InputError(f"{key}=latest: no finished run under {runs}")
    for directory, record in records:
        if record.mlflow_run_id == name or directory.name == name:
            return directory
    raise InputError(
        f"{key}={name}: not a run directory (no {RUN_FILE} there), nor the MLflow id of a run "
        f"under {runs}; give a run directory, an MLflow run id, or latest"
    )
