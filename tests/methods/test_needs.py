"""A method and the groups it does without: defaults, refusals, names, tags, sweeps."""

from typing import Any

import pytest
from omegaconf import OmegaConf

from chmed_ner.cli import main
from chmed_ner.errors import InputError
from chmed_ner.run.config import compose, configure, option
from chmed_ner.run.experiment import OPTIONAL
from chmed_ner.run.recording import tags
from chmed_ner.track.record import RunRecord

NEEDED = {
    "ensemble": ["method.runs=[/a,/b]"],
    "file": ["method.files={FT: FT.txt}"],
}
METHODS = ["lexicon", "crf", "tagger", "ensemble", "file"]
OTHER = {
    "script": "traditional", "prompt": "extraction", "backbone": "scripted", "regime": "zero_shot",
    "decoding": "greedy", "restoration": "in_order",
}  # fmt: skip
CHOSEN = {"dataset": "sample"}


def configured(*words: str, **choices: str) -> Any:
    """The experiment that the words describe."""
    return configure(compose(list(words)), {**CHOSEN, **choices})


@pytest.mark.parametrize("method", ["lexicon", "crf", "tagger"])
def test_what_learns_names_the_files_that_it_learns_from(method: str) -> None:
    files = {"train.json": "sha256"}
    chosen = {"method": method, "backbone": "gemma3_270m"}
    experiment = configured(f"method={method}", **chosen)
    assert experiment.method.tuned_on(experiment, files) == files
    assert all(option("regime", each).tuned_on(files) == files for each in ("lora", "full"))


@pytest.mark.parametrize("method", METHODS)
def test_what_a_method_does_without_is_absent(method: str) -> None:
    chosen = {"method": method, "backbone": "gemma3_270m"}
    experiment = configured(f"method={method}", *NEEDED.get(method, []), **chosen)
    needs = set(experiment.method.needs)
    assert set(experiment.parts) == needs
    for group in set(OPTIONAL) - needs:
        assert experiment.config[group] is None
        with pytest.raises(InputError, match=f"{group}=none"):
            experiment.part(group)
    backbone = "gemma3_270m-" if "backbone" in needs else ""
    assert experiment.name == f"sample-{backbone}{method}-s13"
    assert experiment.policy == "none"


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("group", OPTIONAL)
def test_a_group_is_named_where_it_is_used_and_nowhere_else(method: str, group: str) -> None:
    used = group in {
        "lexicon": ["script"],
        "crf": ["script"],
        "tagger": ["script", "backbone"],
    }.get(method, [])
    option = "null" if used else OTHER[group]
    says = f"{group}={option}: method={method} {'needs a' if used else 'uses no'} {group}"
    choice = f"~{group}" if used else f"{group}={option}"
    with pytest.raises(InputError, match=says):
        configured(
            f"method={method}", *NEEDED.get(method, []), choice, method=method,
            **({} if used else {group: option}),
        )  # fmt: skip


@pytest.mark.parametrize("order", [0, 1])
def test_the_order_of_the_words_does_not_matter(order: int) -> None:
    words = ["method=crf", "backbone=scripted"]
    with pytest.raises(InputError, match="backbone"):
        configured(*(words if order else reversed(words)))


@pytest.mark.parametrize("group", OPTIONAL)
def test_generation_needs_every_group(group: str) -> None:
    with pytest.raises(InputError, match=f"{group}=null: method=generative needs a {group}"):
        configured(f"~{group}")


def test_a_preset_that_sets_an_unused_group_is_an_error() -> None:
    with pytest.raises(InputError, match="regime"):
        configured("method=crf", "preset=paper_lora")


def test_on_the_command_line_it_is_one_message_with_exit_code_2(run) -> None:
    ended = run("method=crf", "backbone=chatglm2_6b")
    assert ended.code == 2
    assert "backbone=chatglm2_6b: method=crf uses no backbone; leave backbone out" in ended.said
    assert "Traceback" not in ended.said


def test_the_metric_names_are_those_of_any_run(lexicon_run, scripted_run) -> None:
    found, names = lexicon_run.metrics(), set(scripted_run.metrics())
    metrics = {name: found[name] for name in found if not name.startswith("confidence/")}
    assert 0 < found["confidence/brier"] < 1  # a scripted model has no confidences
    reasons = {name for name in names if name.startswith("parse/")}
    assert set(metrics) == (names - reasons) | {"parse/problem_rate"}
    assert metrics["parse/problem_rate"] == 0
    assert metrics["restore/in_order/f1"] == pytest.approx(metrics["test/f1"], abs=2)
    assert metrics["restore/in_order/ceiling_f1"] > 99
    assert metrics["time/sentences_per_second"] > 10


def test_the_tags_say_none(lexicon_run) -> None:
    words = ["method=lexicon"]
    choices = {"method": "lexicon", "script": "simplified"}
    found = tags(configured(*words, **choices), RunRecord.read(lexicon_run.directory))
    others = {group: "none" for group in OPTIONAL if group != "script"}
    assert {group: found[group] for group in ("method", *OPTIONAL)} == {**choices, **others}
    hydra = OmegaConf.load(lexicon_run.directory / ".hydra" / "hydra.yaml")
    assert {group: hydra.hydra.runtime.choices[group] for group in choices} == choices


@pytest.mark.parametrize(
    ("words", "answer"),
    [
        (("rescore", "{run}"), "asks no language model; the newest run that has some: none under"),
        (("prompts", "method=lexicon"), "prompt=none"),
    ],
)
def test_commands_about_prompts_say_that_there_is_none(
    lexicon_run, words: tuple[str, ...], answer: str, capsys
) -> None:
    assert main([word.format(run=lexicon_run.directory) for word in words]) == 2
    said = capsys.readouterr().err
    assert answer in said
    assert "Traceback" not in said
