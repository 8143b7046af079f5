"""A method and the groups it does without: defaults, refusals, names, tags, sweeps."""

import json
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.cli import main
from chmed_ner.config import OPTIONAL, compose, configure
from chmed_ner.errors import InputError
from chmed_ner.unused import Unused

NEEDED = {
    "ensemble": ["method.runs=[a,b]"],
    "file": ["method.files={FT: FT.txt}"],
}
METHODS = ["lexicon", "crf", "ensemble", "file"]
OTHER = {
    "script": "traditional", "prompt": "extraction", "backbone": "scripted", "regime": "zero_shot",
    "decoding": "greedy", "restoration": "in_order",
}  # fmt: skip
CHOSEN = {"dataset": "sample"}


def configured(*words: str, **choices: str) -> Any:
    """The experiment that the words describe."""
    return configure(compose(list(words)), {**CHOSEN, **choices})


@pytest.mark.parametrize("method", METHODS)
def test_what_a_method_does_without_is_none(method: str) -> None:
    experiment = configured(f"method={method}", *NEEDED.get(method, []), method=method)
    uses = set(experiment.method.uses)
    for group in OPTIONAL:
        assert isinstance(getattr(experiment, group), Unused) is (group not in uses)
    assert experiment.name == f"sample-{method}-s13"
    assert experiment.restoration.policy == "none"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("group", OPTIONAL)
def test_naming_a_group_that_a_method_does_without_is_an_error(method: str, group: str) -> None:
    words = [f"method={method}", *NEEDED.get(method, [])]
    uses = configured(*words).method.uses
    none = configured(*words, f"{group}=none") if group not in uses else None
    if none is None:
        with pytest.raises(InputError, match=f"{group}=none: method={method} needs a {group}"):
            configured(*words, f"{group}=none", method=method)
        return
    option = OTHER[group]
    with pytest.raises(InputError, match=f"{group}={option}: method={method} uses no {group}"):
        configured(*words, f"{group}={option}", **{group: option, "method": method})


@pytest.mark.parametrize("order", [0, 1])
def test_the_order_of_the_words_does_not_matter(order: int) -> None:
    words = ["method=crf", "backbone=scripted"]
    with pytest.raises(InputError, match="backbone"):
        configured(*(words if order else reversed(words)))


@pytest.mark.parametrize("group", OPTIONAL)
def test_generation_needs_every_group(group: str) -> None:
    with pytest.raises(InputError, match=f"{group}=none: method=generative needs a {group}"):
        configured("regime=zero_shot", f"{group}=none")


def test_a_preset_that_sets_an_unused_group_is_an_error() -> None:
    with pytest.raises(InputError, match="regime"):
        configured("method=crf", "preset=paper_lora")


def test_on_the_command_line_it_is_one_message_with_exit_code_2(run) -> None:
    ended = run("method=crf", "backbone=chatglm2_6b")
    assert ended.code == 2
    assert "backbone=chatglm2_6b: method=crf uses no backbone; leave backbone out" in ended.said
    assert "Traceback" not in ended.said


def test_a_sweep_over_methods_gives_each_its_own_parts(tmp_path: Path, capsys) -> None:
    words = ["limit.train=40", "limit.validation=10", "limit.test=2", "method=lexicon,crf"]
    assert main(["run", "-m", "tracking=dry", f"paths.output={tmp_path}", *words]) == 0
    capsys.readouterr()
    names = set()
    for path in tmp_path.glob("runs/*/run.json"):
        record = json.loads(path.read_text("utf-8"))
        names.add(record["name"])
        assert record["config"]["backbone"]["_target_"] == "chmed_ner.unused.NoBackbone"
        assert record["backbone"] == "none"
    assert names == {"sample-lexicon-s13", "sample-crf-s13"}


@pytest.fixture(scope="module")
def tracked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Any, dict[str, Any]]:
    """A lexicon run and a scripted run in MLflow, and the lexicon run's metrics.json."""
    from mlflow import MlflowClient

    output = tmp_path_factory.mktemp("tracked")
    for words in (["method=lexicon"], ["backbone=scripted", "regime=zero_shot"]):
        assert main(["run", f"paths.output={output}", "limit.test=5", *words]) == 0
    client = MlflowClient(f"sqlite:///{output / 'mlflow.db'}")
    runs = client.search_runs([each.experiment_id for each in client.search_experiments()])
    by_method = {each.data.tags["method"]: each for each in runs}
    (directory,) = output.glob("runs/*lexicon*")
    metrics = json.loads((directory / "metrics.json").read_text("utf-8"))
    return by_method["lexicon"], by_method["generative"], metrics


def test_the_metric_names_are_those_of_any_run(tracked: tuple[Any, Any, dict[str, Any]]) -> None:
    lexicon, scripted, metrics = tracked
    reasons = {name for name in scripted.data.metrics if name.startswith("parse/")}
    expected = (set(scripted.data.metrics) - reasons) | {"parse/problem_rate"}
    assert set(metrics) == expected
    assert set(lexicon.data.metrics) == expected | {"train/dev_f1"}
    assert {n: v for n, v in lexicon.data.metrics.items() if n != "train/dev_f1"} == metrics
    assert metrics["parse/problem_rate"] == 0
    assert metrics["restore/in_order/f1"] == pytest.approx(metrics["test/f1"], abs=2)
    assert metrics["restore/in_order/ceiling_f1"] > 99
    assert metrics["time/sentences_per_second"] > 100


def test_the_tags_say_none(tracked: tuple[Any, Any, dict[str, Any]]) -> None:
    tags = tracked[0].data.tags
    assert {group: tags[group] for group in ("method", *OPTIONAL)} == {
        "method": "lexicon", "script": "simplified", "prompt": "none", "backbone": "none",
        "regime": "none", "decoding": "none", "restoration": "none",
    }  # fmt: skip


@pytest.mark.parametrize("words", [("rescore", "{run}"), ("prompts", "method=lexicon")])
def test_commands_about_prompts_say_that_there_is_none(
    lexicon_run, words: tuple[str, ...], capsys
) -> None:
    assert main([word.format(run=lexicon_run.directory) for word in words]) == 2
    said = capsys.readouterr().err
    assert "prompt=none" in said
    assert "Traceback" not in said
