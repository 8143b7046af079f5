"""Runs found by what users call them; a broken record is no reason to find no other run."""

import logging
from collections.abc import Iterator
from pathlib import Path

from chmed_ner.errors import InputError
from chmed_ner.files import output_directory
from chmed_ner.track.record import RUN_FILE, RunRecord
from chmed_ner.track.tracker import best
from chmed_ner.track.trust import check_links

OBJECTIVE = "train/dev_f1"
"""F1 on the validation split: what `best` and a sweeper go by, never the test split."""

log = logging.getLogger(__name__)


def records_in(runs: Path) -> Iterator[tuple[Path, RunRecord]]:
    """The runs below a folder with their records, by name; a broken one is named and left out."""
    for path in sorted(runs.glob(f"*/{RUN_FILE}")):
        try:
            yield path.parent, RunRecord.read(path.parent)
        except InputError as error:
            log.warning("%s; the run is left out: restore the file, or remove the folder", error)


def find_run(name: str, *, key: str = "RUN", output: Path | None = None) -> Path:
    """The directory of a run, named by it, by its MLflow id, by `latest` (of the finished ones), or
    by `best`: of the finished ones on the data of the latest, by validation F1.

    InputError, which names what the user set (`key`), when there is none or a link leads out.
    """
    found = _found(name, key, output)
    check_links(found)
    return found


def finished_in(runs: Path) -> list[tuple[Path, RunRecord]]:
    """The finished runs below a folder, the newest first."""
    found = [(r.started, str(d), d, r) for d, r in records_in(runs) if r.status == "FINISHED"]
    found.sort(key=lambda each: each[:2], reverse=True)
    return [(directory, record) for _, _, directory, record in found]


def _found(name: str, key: str, output: Path | None) -> Path:
    place = Path(name).expanduser()
    if (place / RUN_FILE).is_file():
        return place.absolute()
    runs = (output or output_directory()) / "runs"
    if name in ("latest", "best"):
        finished = finished_in(runs)
        if not finished:
            raise InputError(f"{key}={name}: no finished run under {runs}")
        if name == "best":
            finished = [_best(finished, key, runs)]
        directory, record = finished[0]
        # a warning, so that it is said where nobody has set up logging, too
        log.warning("%s=%s: %s (%s)", key, name, directory, _said(directory, record))
        return directory
    for directory, record in records_in(runs):
        if record.mlflow_run_id == name or directory.name == name:
            return directory
    raise InputError(
        f"{key}={name}: not a run directory (no {RUN_FILE} there), nor the MLflow id of a run "
        f"under {runs}; give a run directory, an MLflow run id, latest or best"
    )


def _best(finished: list[tuple[Path, RunRecord]], key: str, runs: Path) -> tuple[Path, RunRecord]:
    data = _data(finished[0][1])
    same = [each for each in finished if _data(each[1]) == data]
    scored = {directory: _validation_f1(directory) for directory, _ in same}
    judged = [each for each in same if scored[each[0]] is not None]
    if not judged:
        raise InputError(
            f"{key}=best: no finished run under {runs} on {data[0]} has a validation F1; tune one "
            "(regime=lora), or name a run"
        )
    return max(judged, key=lambda each: scored[each[0]] or 0.0)


def _data(record: RunRecord) -> tuple[str, ...]:
    """The dataset of a run, and what is tested: runs on other data cannot be compared."""
    return record.choices.get("dataset", ""), *sorted(record.test_files.values())


def _said(directory: Path, record: RunRecord) -> str:
    f1 = _validation_f1(directory)
    judged = "" if f1 is None else f", validation F1 {f1:.2f}"
    return f"{record.name}, of {record.started[:16]}{judged}"


def _validation_f1(directory: Path) -> float | None:
    try:
        return best(directory, OBJECTIVE)
    except InputError as error:  # no reason to find no other run
        log.warning("%s", error)
        return None
