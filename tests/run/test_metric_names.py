"""DESIGN's table of names, a run's metrics in MLflow and its metrics.json agree."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

GENRES = ("FT", "SM", "WA")
TYPES = ("BODY", "SYMP", "INST", "EXAM", "CHEM", "DISE", "DRUG", "SUPP", "TREAT", "TIME")
POLICIES = ("longest_first", "all_occurrences", "first", "in_order")
REASONS = (
    "unparsable_line", "unknown_label", "none_word", "not_in_sentence", "repeated_line", "draft",
    "altered_copy", "repaired", "truncated", "empty", "unread", "refused", "cut", "off_grammar",
)  # fmt: skip
STAGES = ("prepare", "generate")
NAMES = {
    *(f"test/{figure}" for figure in ("f1", "precision", "recall", "f1_low", "f1_high")),
    *(
        f"test/{genre}/{figure}"
        for genre in GENRES
        for figure in ("f1", "precision", "recall", "f1_low", "f1_high")
    ),
    *(f"test/{genre}/{type_}/f1" for genre in GENRES for type_ in TYPES),
    *(f"test/{figure}" for figure in ("tag_f1", "seen_f1", "unseen_f1")),
    "infer/mention_f1",
    *(
        f"restore/{policy}/{figure}"
        for policy in POLICIES
        for figure in ("f1", "ceiling_f1", "target_ceiling_f1")
    ),
    *(f"parse/{reason}_rate" for reason in (*REASONS, "problem")),
    *(f"error/{kind}" for kind in ("boundary", "type", "boundary_and_type", "missed", "spurious")),
    *(f"time/{stage}_seconds" for stage in STAGES),
    "time/sentences_per_second",
    "tokens/prompt",
    "tokens/completion",
    "cost/usd",
    "memory/peak_mib",
}
"""The table for a run that trains nothing: `train/` and `assess/` do not apply."""

TAGS = {
    "backbone": "scripted",
    "prompt": "extraction",
    "dataset": "sample",
    "regime": "zero_shot",
    "method": "generative",
    "decoding": "greedy",
    "restoration": "longest_first",
    "script": "simplified",
    "preset": "none",
    "gazetteer": "none",
    "sweep": "none",
    "seed": "13",
    "partial": "false",
    "altered": "false",
}
ARTIFACTS = {
    "hydra/config.yaml",
    "hydra/hydra.yaml",
    "hydra/overrides.yaml",
    "completions.jsonl",
    "predictions.jsonl",
    "submission/FT.txt",
    "submission/SM.txt",
    "submission/WA.txt",
    "metrics.json",
    "run.json",
    "report.html",
    "analysis/confusion.csv",
    "analysis/errors_by_type.csv",
    "analysis/f1_by_entity_length.csv",
    "analysis/f1_by_sentence_length.csv",
    "analysis/f1_by_seen.csv",
    "analysis/one_character_entities.csv",
    *(
        f"analysis/{name}.{style}"
        for name in ("confusion", "errors_by_type", "f1_by_length", "f1_by_string")
        for style in ("png", "svg", "pdf")
    ),
}
SECRETS = {
    "OPENAI_API_KEY": "sk-never-written-anywhere-0001",
    "MLFLOW_TRACKING_PASSWORD": "never-written-anywhere-0002",
    "HF_TOKEN": "hf_never_written_anywhere_0003",
}


@pytest.fixture(scope="module")
def output(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output directory of one run in MLflow, with secrets in its environment."""
    folder = tmp_path_factory.mktemp("tracked")
    ours = ("MLFLOW_", "CHMED_NER_FIGURES")
    environment = {k: v for k, v in os.environ.items() if not k.startswith(ours)}
    subprocess.run(
        [
            sys.executable, "-m", "chmed_ner", "run", "backbone=scripted", "regime=zero_shot",
            f"paths.output={folder}",
        ],
        cwd=folder,
        env={**environment, **SECRETS, "MLFLOW_RUN_ID": "not-ours", "OMP_NUM_THREADS": "1"},
        check=True,
        timeout=300,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def run_folder(output: Path) -> Path:
    """The run's directory."""
    (folder,) = (output / "runs").iterdir()
    return folder


@pytest.fixture(scope="module")
def client(output: Path) -> Any:
    """A client of the run's store."""
    from mlflow import MlflowClient

    return MlflowClient(f"sqlite:///{output / 'mlflow.db'}")


@pytest.fixture(scope="module")
def tracked(client: Any, run_folder: Path) -> Any:
    """The run as MLflow has it, found by the id in run.json."""
    record = json.loads((run_folder / "run.json").read_text(encoding="utf-8"))
    return client.get_run(record["mlflow_run_id"])


def test_the_table_the_json_and_mlflow_agree(run_folder: Path, tracked: Any) -> None:
    metrics = json.loads((run_folder / "metrics.json").read_text(encoding="utf-8"))
    assert set(metrics) == NAMES
    assert tracked.data.metrics == metrics
    assert all(re.fullmatch(r"[A-Za-z0-9_/.-]+", name) for name in metrics)
    assert all(type(value) in (int, float) for value in metrics.values())


def test_figures_lie_where_they_can(tracked: Any) -> None:
    figures = tracked.data.metrics
    for name, value in figures.items():
        upper = 1 if name.startswith("parse/") else 100 if "f1" in name else float("inf")
        assert 0 <= value <= upper, (name, value)
    for name in ("test", *(f"test/{genre}" for genre in GENRES)):
        assert figures[f"{name}/f1_low"] < figures[f"{name}/f1"] < figures[f"{name}/f1_high"]
    assert figures["restore/longest_first/f1"] == figures["test/f1"]
    assert figures["restore/longest_first/ceiling_f1"] > 95
    assert 0 < figures["parse/problem_rate"] < 1
    assert figures["memory/peak_mib"] > 50
    assert figures["tokens/prompt"] > figures["tokens/completion"] > 0


def test_every_metric_was_logged_once(client: Any, tracked: Any) -> None:
    for name in sorted(NAMES)[::9]:
        (entry,) = client.get_metric_history(tracked.info.run_id, name)
        assert entry.step == 0


def test_tags(run_folder: Path, tracked: Any) -> None:
    record = json.loads((run_folder / "run.json").read_text(encoding="utf-8"))
    tags = {k: v for k, v in tracked.data.tags.items() if not k.startswith("mlflow.")}
    variable = {"git_commit": record["git_commit"], "config_hash": record["config_hash"]}
    assert tags == {**TAGS, **variable}
    assert re.fullmatch("[0-9a-f]{64}", tags["config_hash"])
    assert tracked.info.status == record["status"] == "FINISHED"
    assert tracked.info.run_name == record["name"]


def test_params_are_the_options_and_the_flattened_configuration(tracked: Any) -> None:
    params = tracked.data.params
    options = ("backbone", "prompt", "dataset", "regime", "method", "decoding", "script", "seed")
    assert {name: params[name] for name in options} == {name: TAGS[name] for name in options}
    assert params["dataset.labels.name"] == "health10"
    assert not [name for name in params if "_target_" in name or "labels.types" in name]
    assert params["backbone.noise"] == "0.2"
    assert params["restoration.policy"] == "longest_first"
    assert params["prompt.answer.order"] == "unique"
    assert params["limit.test"] == "None"
    assert "resume" not in params
    roots = {name.split(".")[0] for name in params}
    assert roots == {
        "seed", "name", "experiment", "rerun", "validate", "limit", "paths", "dataset", "script",
        "prompt", "backbone", "regime", "decoding", "restoration", "method", "tracking",
        "gazetteer", "language", "figures",
    }  # fmt: skip


def test_data_source_and_note(run_folder: Path, tracked: Any) -> None:
    record = json.loads((run_folder / "run.json").read_text(encoding="utf-8"))
    (data,) = tracked.inputs.dataset_inputs  # nothing was learnt
    assert (data.dataset.name, [tag.value for tag in data.tags]) == ("sample", ["test"])
    assert len(data.dataset.digest) == 36
    profile = json.loads(data.dataset.profile)
    assert profile == {"num_rows": record["sentences"]["test"], "sha256": record["test_files"]}
    tags, command = tracked.data.tags, "chmed-ner run backbone=scripted regime=zero_shot"
    assert tags["mlflow.source.name"] == "chmed-ner run"
    commit = record["git_commit"].removesuffix("-dirty")
    assert tags.get("mlflow.source.git.commit", "") == commit
    note = tags["mlflow.note.content"]
    assert f"\n{command} " in note
    assert f"| {tracked.data.metrics['test/WA/f1']:.2f} |" in note
    assert not tracked.outputs or not tracked.outputs.model_outputs


def test_artifacts(client: Any, tracked: Any, output: Path, run_folder: Path) -> None:
    def listed(folder: str | None) -> list[str]:
        found = []
        for item in client.list_artifacts(tracked.info.run_id, folder):
            found += listed(item.path) if item.is_dir else [item.path]
        return found

    assert set(listed(None)) == ARTIFACTS
    (artifacts,) = output.glob(f"mlartifacts/*/{tracked.info.run_id}/artifacts")
    for name in ("predictions.jsonl", "metrics.json", "run.json", "submission/FT.txt"):
        assert (artifacts / name).read_bytes() == (run_folder / name).read_bytes()


def test_the_experiment_is_the_only_one_of_ours(client: Any, tracked: Any) -> None:
    names = {each.experiment_id: each.name for each in client.search_experiments()}
    assert names[tracked.info.experiment_id] == "chmed_ner"
    assert set(names.values()) <= {"chmed_ner", "Default"}


def test_no_secret_is_written_anywhere(output: Path) -> None:
    files = [path for path in output.rglob("*") if path.is_file()]
    assert len(files) > 20
    for path in files:
        content = path.read_bytes()
        for secret in SECRETS.values():
            assert secret.encode() not in content, path


def test_addresses_lose_their_credentials_and_secret_keys_stay_out() -> None:
    from chmed_ner.errors import without_secrets
    from chmed_ner.track.record import flattened

    config = {
        "tracking": {"uri": "http://me:s3cret@host:5000/x", "upload_adapter": False},
        "backbone": {"api_key": "s3cret", "hub_token": "s3cret", "password": "s3cret"},
        "paths": {"data": "/home/me@work/data"},
        "list": ["https://s3cret@host"],
    }
    flat = flattened(without_secrets(config))
    assert "s3cret" not in str(flat)
    assert flat["tracking.uri"] == "http://host:5000/x"
    assert flat["paths.data"] == "/home/me@work/data"
    assert not any("key" in name or "token" in name or "password" in name for name in flat)
