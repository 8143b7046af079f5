"""A sweep in MLflow: a run without scores, whose children are the cells."""

from collections.abc import Mapping
from typing import Any

from chmed_ner.track.described import NOTE, PARENT
from chmed_ner.track.store import KEY_TAG, Store

SWEEP_TAG = "mlflow.chmed_ner.sweep"
"""Marks the run of a sweep; hidden in the UI, as MLflow hides its own."""
AT_ONCE = 1000


def parent_of(client: Any, store: Store, experiment: str, sweep: Mapping[str, str]) -> str:
    """The id of a sweep's run in an experiment, which is made if it is not there.

    Two processes may make it at once where a server is not locked: the older one counts.
    """
    with store.locked():
        known = _known(client, experiment, sweep["key"])
        if known:
            return known[0]
        parts = [sweep["question"], f"```bash\n{sweep['command']}\n```"]
        tags = {
            KEY_TAG: sweep["key"],
            SWEEP_TAG: sweep["name"],
            NOTE: "\n\n".join(filter(None, parts)),
            "mlflow.source.name": "chmed-ner run",
            "mlflow.source.type": "LOCAL",
        }
        made = client.create_run(experiment, run_name=sweep["name"], tags=tags).info.run_id
        first = _known(client, experiment, sweep["key"])[0]
        if first != made:
            client.delete_run(made)
        return first


def settle_around(client: Any, run_id: str) -> None:
    """Settle the sweep that a run is a cell of, if any."""
    parent = client.get_run(run_id).data.tags.get(PARENT)
    if parent:
        settle(client, parent)


def settle(client: Any, parent: str) -> None:
    """Give a sweep's run the status of its cells: RUNNING, else FAILED or KILLED, else FINISHED."""
    run = client.get_run(parent)
    cells = client.search_runs(
        [run.info.experiment_id], f"tags.`{PARENT}` = '{parent}'", max_results=AT_ONCE
    )
    found = {cell.info.status for cell in cells}
    status = next((s for s in ("RUNNING", "FAILED", "KILLED") if s in found), "FINISHED")
    if status == "RUNNING":
        client.update_run(parent, status=status)
    else:
        client.set_terminated(parent, status)


def _known(client: Any, experiment: str, key: str) -> list[str]:
    """The runs of that sweep, the oldest first."""
    order = ["attributes.start_time ASC", "attributes.run_id ASC"]
    found = client.search_runs([experiment], f"tags.`{KEY_TAG}` = '{key}'", order_by=order)
    return [run.info.run_id for run in found]
