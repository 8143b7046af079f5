"""A finished run as an MLflow model: in a folder, or logged to the run."""

import shutil
import tempfile
from pathlib import Path
from typing import Any

from chmed_ner.errors import InputError, RunError
from chmed_ner.knobs import NAMES_RUN, marked, named
from chmed_ner.run.confidences import CALIBRATION_FILE, CONFIDENCES_FILE
from chmed_ner.run.place import output_of, own_output
from chmed_ner.run.predict import load
from chmed_ner.track import (
    ARTIFACTS,
    EXTERNAL,
    RUN_FILE,
    Away,
    RunRecord,
    Store,
    check_store,
    model_of,
    moved,
    quiet_mlflow,
    version,
)

CODE = Path(__file__).with_name("pyfunc_model.py")
KEPT = ("adapter", "model", "few_shot", "hints", CALIBRATION_FILE, CONFIDENCES_FILE)
"""What a model is loaded from, with `run.json`; the backbone stays out."""
EXAMPLE = ["醫師說我有輕微的脂肪肝，需要吃藥嗎？"]
NAME = "chmed_ner"


def save_model(run: Path, folder: Path, *, trust_endpoint: bool = False) -> None:
    """Write the run as an MLflow model to a new folder; InputError: it exists, or as `load`."""
    if folder.exists():
        raise InputError(f"{folder}: is there already; name a new folder")
    _check_alone(run)
    load(run, trust_endpoint=trust_endpoint).close()
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as partial:
            _write(run, Path(partial) / "model")
            (Path(partial) / "model").rename(folder)
    except OSError as error:
        raise InputError(f"{folder}: cannot be written ({error.strerror or error})") from None


def log_model(run: Path, uri: str | None = None, *, trust_endpoint: bool = False) -> str:
    """Log the run as a model of its MLflow run, at `uri` if given; returns the model's address.

    InputError: the run is not in MLflow, or as `load`; RunError: the store cannot be used.
    """
    record = RunRecord.read(run)
    if record.mlflow_run_id is None or not (uri or record.mlflow_tracking_uri):
        raise InputError(
            f"{run}: is not in MLflow; write the model to a folder with --out DIR, or send the run "
            "first with chmed-ner report --sync"
        )
    known, output = str(record.mlflow_tracking_uri), output_of(run, record)
    home = known if record.output is None else moved(known, record.output, output)
    if not uri:
        check_store(run, home, trust=trust_endpoint, own=own_output(run))
    _check_alone(run)
    load(run, trust_endpoint=trust_endpoint).close()
    store = Store(uri or home, output / ARTIFACTS)
    try:
        client = store.client()
        with tempfile.TemporaryDirectory() as partial:
            return _logged(client, store, run, record.mlflow_run_id, Path(partial) / "model")
    except Away as error:
        raise RunError(f"MLflow at {store.shown} cannot be reached ({error}); try later") from None


def _check_alone(run: Path) -> None:
    """InputError where the method asks other runs, which would not be in the model."""
    method = RunRecord.read(run).config.get("method", {})
    for knob in marked(named(method.get("_target_"), "method"), NAMES_RUN):
        raise InputError(
            f"{run}: asks the runs of method.{knob}, which a model would not hold; export these, "
            "or read text with chmed-ner predict"
        )


def _logged(client: Any, store: Store, run: Path, run_id: str, folder: Path) -> str:
    """Announce the model, write it, upload it; it is READY only when all of it is there.

    A run that has listed what it has learnt gets no second model: its files take their place there.
    """
    from mlflow.entities import LoggedModelOutput
    from mlflow.models import Model

    with store.reported(), store.locked():
        listed = model_of(client, run_id)
        experiment = client.get_run(run_id).info.experiment_id
        new = {"name": NAME, "source_run_id": run_id}
        model = listed or client.create_logged_model(experiment, **new).model_id
    status = "FAILED"
    try:
        _write(run, folder, Model(run_id=run_id, model_id=model))
        with store.reported(), store.locked():
            client.log_model_artifacts(model, str(folder))
            if not listed:
                client.log_outputs(run_id, [LoggedModelOutput(model, step=0)])
            elif EXTERNAL in client.get_logged_model(model).tags:
                client.delete_logged_model_tag(model, EXTERNAL)
        status = "READY"
    finally:
        if not listed:
            with store.reported(), store.locked():
                client.finalize_logged_model(model, status)
    return f"models:/{model}"


def _write(run: Path, folder: Path, model: Any = None) -> None:
    """Write the model, which was loaded once as a check, to `folder`."""
    quiet_mlflow()
    import mlflow.pyfunc

    parts = {name: str(run / name) for name in (RUN_FILE, *KEPT) if (run / name).exists()}
    try:
        mlflow.pyfunc.save_model(
            str(folder),
            mlflow_model=model,
            python_model=str(CODE),
            artifacts=parts,
            input_example=EXAMPLE,
            pip_requirements=[f"chmed-ner=={version()}"],
        )
    except mlflow.MlflowException as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise RunError(f"MLflow cannot write the model of {run} ({error})") from error
