"""What a run has learnt, in MLflow's list of models: its scores, and where its files lie.

The weights stay in the run's directory; `chmed-ner export` puts a model to load in their place.
"""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from chmed_ner.track.described import OPTIONS, Description
from chmed_ner.track.tracker import Value

LEARNT = ("adapter", "model")
"""The folders of a run directory that hold what was tuned or fitted."""
EXTERNAL = "mlflow.model.isExternal"
SCORES = re.compile(r"test/([^/]+/)?(f1|precision|recall)")
UNNAMED = re.compile(r"[/:.%\"']")
"""What MLflow takes in no model's name."""


def model_of(client: Any, run_id: str) -> str | None:
    """The id of the model that a run has put out, None without one."""
    outputs = client.get_run(run_id).outputs
    found = outputs.model_outputs if outputs else []
    return str(found[0].model_id) if found else None


def note_model(
    client: Any, run_id: str, run: Description, directory: Path, values: Sequence[Value]
) -> None:
    """List what the run has learnt, if anything, with its last scores; safe to repeat."""
    from mlflow.entities import Metric

    learnt = next((name for name in LEARNT if (directory / name).is_dir()), None)
    if learnt is None:
        return
    place = f"{directory.parent.name}/{directory.name}/{learnt}"
    model = model_of(client, run_id) or _made(client, run_id, run, place)
    tested = next((each for each in run.data if each.split == "test"), None)
    on = {"dataset_name": tested.name, "dataset_digest": tested.digest} if tested else {}
    last = {each.metric: each for each in values if SCORES.fullmatch(each.metric)}
    scores = [
        Metric(each.metric, each.value, each.time, each.step, model_id=model, **on)
        for each in last.values()
    ]
    client.log_batch(run_id, metrics=scores)


def _made(client: Any, run_id: str, run: Description, place: str) -> str:
    from mlflow.entities import LoggedModelOutput

    model = client.create_logged_model(
        client.get_run(run_id).info.experiment_id,
        name=UNNAMED.sub("_", run.name),
        source_run_id=run_id,
        tags={EXTERNAL: "true", "files": place},
        params={name: run.params[name] for name in (*OPTIONS, "seed")},
        model_type=run.params["method"],
    )
    client.finalize_logged_model(model.model_id, "READY")
    client.log_outputs(run_id, [LoggedModelOutput(model.model_id, step=0)])
    return str(model.model_id)
