"""Every option, preset and sweep composes and builds; a corpus of one's own is two YAML files."""

import inspect
import json
import logging
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from chmed_ner.cli import main
from chmed_ner.errors import InputError
from chmed_ner.run.config import GROUPS, build, compose, configure, plain_config
from chmed_ner.run.experiment import EXTRA

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"
OPTIONS = sorted(
    (path.parent.relative_to(CONF).as_posix(), path.stem)
    for path in CONF.rglob("*.yaml")
    if path.parent != CONF
)
BUILT = [(group, option) for group, option in OPTIONS if group in (*GROUPS, *EXTRA)]
PRESETS = [option for group, option in OPTIONS if group == "preset"]
LABELS = [option for group, option in OPTIONS if group == "labels" and option != "auto"]
DEFINITIONS = [option for group, option in OPTIONS if group == "definitions"]
PROMPTS = [option for group, option in OPTIONS if group == "prompt" and option != "none"]
SWEEPS = sorted(path.stem for path in (ROOT / "experiments" / "sweep").glob("*.yaml"))
NEEDED = {
    ("regime", "adapter"): ["regime.path=some/run"],
    ("backbone", "causal_lm"): ["backbone.path=some/model"],
    ("backbone", "encoder"): ["backbone.path=some/model"],
    ("backbone", "gguf"): ["backbone.path=some.gguf"],
    ("dataset", "column_files"): ["dataset.test={FT: test.txt}"],
    ("backbone", "openai_compatible"): [
        "backbone.base_url=http://127.0.0.1:8000/v1", "backbone.model=some-model",
    ],
    ("method", "ensemble"): ["method.runs=[one,two]"],
    ("method", "file"): ["method.files={FT: test.txt}"],
    ("tracking", "server"): ["tracking.uri=http://127.0.0.1:5000"],
}  # fmt: skip
"""What an option cannot do without."""
INHERITED = {
    "gemma3_270m": {"chat", "chat_options", "revision"},
    "causal_lm": {"cache"},
    **{
        path.stem: {"cache"}
        for family in ("qwen*", "glm4*", "llama*", "gemma3_[14]b")
        for path in (CONF / "backbone").glob(f"{family}.yaml")
    },
}
"""Knobs that a constructor shares with its kin and that say nothing for an option."""


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MLFLOW_TRACKING_URI", raising=False)


def test_there_is_something_to_test() -> None:
    assert {group for group, _ in OPTIONS} == {
        *GROUPS, *EXTRA, "definitions", "examples", "hints", "labels", "preset", "recipe",
    }  # fmt: skip
    assert all(sum(1 for group, _ in OPTIONS if group == each) for each in GROUPS)
    assert len(BUILT) >= 20
    assert PRESETS
    assert LABELS
    assert SWEEPS


@pytest.mark.parametrize(("group", "option"), BUILT)
def test_every_option_composes_and_builds(group: str, option: str) -> None:
    config = compose([f"{group}={option}", *NEEDED.get((group, option), [])])
    part = build(config[group], group)
    assert type(part).__module__.startswith("chmed_ner.")


@pytest.mark.parametrize(("group", "option"), BUILT)
def test_an_option_and_its_constructor_have_the_same_knobs(group: str, option: str) -> None:
    """Each knob has its line in the YAML file, where a user looks for it."""
    node = OmegaConf.to_container(compose([f"{group}={option}"])[group], resolve=False)
    assert isinstance(node, dict)
    module, _, name = node.pop("_target_").rpartition(".")
    parameters = inspect.signature(getattr(import_module(module), name)).parameters
    variadic = {inspect.Parameter.VAR_KEYWORD, inspect.Parameter.VAR_POSITIONAL}
    assert not [each for each in parameters.values() if each.kind in variadic]
    assert set(node) <= set(parameters)
    assert set(parameters) - set(node) <= INHERITED.get(option, set())


@pytest.mark.parametrize(("group", "option"), BUILT)
def test_a_stray_knob_is_refused_by_every_option(group: str, option: str) -> None:
    config = compose([f"{group}={option}", f"+{group}.stray=1", *NEEDED.get((group, option), [])])
    with pytest.raises(InputError, match=f"{group}.*stray"):
        build(config[group], group)
    with pytest.raises(InputError, match=f"{group}.stray"):
        compose([f"{group}={option}", f"{group}.stray=1"])


@pytest.mark.parametrize("label", LABELS)
def test_every_label_scheme_serves_a_dataset(label: str) -> None:
    config = compose([f"labels@dataset.labels={label}"])
    dataset = build(config.dataset, "dataset")
    assert dataset.scheme.name == label
    assert dataset.scheme.tags


@pytest.mark.parametrize("definitions", DEFINITIONS)
def test_every_definition_set_serves_every_prompt(definitions: str) -> None:
    for prompt in PROMPTS:
        words = [f"prompt={prompt}", f"definitions@prompt.definitions={definitions}"]
        experiment = configure(compose(words), {})
        config = experiment.config["prompt"]["definitions"]
        assert config["name"] == definitions
        labels = experiment.dataset.scheme
        for script in ("simplified", "traditional"):
            with_them = experiment.prompt.task(labels, script).fill("头痛")
            none = configure(compose([f"prompt={prompt}"]), {}).prompt.task(labels, script)
            assert (with_them == none.fill("头痛")) == (definitions == "none")


@pytest.mark.parametrize("preset", PRESETS)
def test_every_preset_is_a_runnable_setting(preset: str) -> None:
    experiment = configure(compose([f"preset={preset}"]), {"preset": preset})
    assert experiment.choices["preset"] == preset
    base = plain_config(compose([]))
    assert plain_config(compose([f"preset={preset}"])) != base


def test_an_option_on_the_command_line_wins_over_the_preset() -> None:
    config = compose(["preset=paper_lora", "regime.batch_size=7"])
    assert (config.regime.batch_size, config.regime.max_tokens) == (7, 256)


@pytest.mark.parametrize("model", ["chatglm2_6b", "baichuan_7b"])
def test_the_paper_s_models_are_tuned_by_the_paper_s_recipe(model: str) -> None:
    config = compose([f"preset=paper_{model.partition('_')[0]}_lora"])
    assert config.backbone.name == model
    assert config.regime == compose(["preset=paper_lora"]).regime
    assert (config.regime.batch_size, config.regime.learning_rate) == (4, 5e-5)
    assert (config.regime.schedule, config.regime.max_tokens) == ("cosine_per_epoch", 256)


@pytest.mark.parametrize("sweep", SWEEPS)
def test_every_cell_of_every_sweep_composes_and_builds(sweep: str) -> None:
    text = (ROOT / "experiments" / "sweep" / f"{sweep}.yaml").read_text(encoding="utf-8")
    assert text.startswith("# @package _global_\n")
    assert "# Question: " in text
    content = OmegaConf.to_container(OmegaConf.create(text))
    assert isinstance(content, dict)
    assert content["experiment"] not in (None, "chmed_ner"), "a sweep has an experiment of its own"
    assert content["hydra"]["mode"] == "MULTIRUN"
    grid = content["hydra"]["sweeper"]["params"]
    assert grid
    if any("hydra/sweeper" in str(each) for each in content.get("defaults", [])):
        return  # it needs a plugin: tests/cli/test_launchers.py runs it
    for key, values in grid.items():
        options = re.split(r",(?![^\[{(]*[\]})])", str(values))
        assert len(options) > 1, f"{key} does not vary"
        for option in options:
            experiment = configure(compose([f"sweep={sweep}", f"{key}={option.strip()}"]), {})
            assert experiment.experiment == content["experiment"]


def test_the_defaults_list_names_every_group() -> None:
    text = (CONF / "config.yaml").read_text(encoding="utf-8")
    content = OmegaConf.to_container(OmegaConf.create(text), resolve=False)
    assert isinstance(content, dict)
    named = {next(iter(each)) for each in content["defaults"] if isinstance(each, dict)}
    named = {group for group in named if not group.startswith("override ")}
    assert named == {*GROUPS, *EXTRA, "preset", "sweep"}


def test_only_targets_of_ours() -> None:
    for path in CONF.rglob("*.yaml"):
        for target in re.findall(r"_target_:\s*(\S+)", path.read_text(encoding="utf-8")):
            assert target.startswith("chmed_ner."), path


# ---------------------------------------------------------------- a corpus of one's own

TOY_LABELS = """\
name: toy
types:
  FRUIT: {traditional: 水果, simplified: 水果}
  TOOL: {traditional: 廚具, simplified: 厨具, aliases: [工具]}
"""
TOY_DATASET = """\
defaults:
  - column_files
  - override /labels@labels: toy
  - _self_
name: toy
train: train.txt
test: {KITCHEN: kitchen.txt, MARKET: market.txt}
validation_share: 0.2
"""


def columns(*sentences: str) -> str:
    """Column files from `吃[蘋果|FRUIT]。`."""
    lines: list[str] = []
    for sentence in sentences:
        for words, type_, plain_text in re.findall(r"\[([^|]+)\|(\w+)\]|([^\[])", sentence):
            lines += [f"{plain_text} O"] if plain_text else [
                f"{character} {'I' if at else 'B'}-{type_}" for at, character in enumerate(words)
            ]  # fmt: skip
        lines.append("")
    return "\n".join(lines) + "\n"


@pytest.fixture
def toy(tmp_path: Path) -> Iterator[tuple[str, ...]]:
    """The words of a run on the toy corpus, which is two YAML files and its column files."""
    for name, text in {
        "conf/labels/toy.yaml": TOY_LABELS,
        "conf/dataset/toy.yaml": TOY_DATASET,
        "data/train.txt": columns(*(f"我在{n}樓用[刀|TOOL]切[蘋果|FRUIT]。" for n in "一二三四五")),
        "data/kitchen.txt": columns(
            "拿[鍋鏟|TOOL]炒[鳳梨|FRUIT]", "洗手", "[鳳梨|FRUIT]和[鳳梨|FRUIT]"
        ),
        "data/market.txt": columns("買[香蕉|FRUIT]送[刀|TOOL]"),
    }.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    handlers = list(logging.root.handlers)
    yield (
        "run", "--config-dir", str(tmp_path / "conf"), "dataset=toy", "backbone=scripted",
        "regime=zero_shot", "tracking=dry", f"paths.data={tmp_path / 'data'}",
        f"paths.output={tmp_path / 'outputs'}",
    )  # fmt: skip
    for handler in [each for each in logging.root.handlers if each not in handlers]:
        logging.root.removeHandler(handler)
        handler.close()


def test_a_two_label_corpus_of_one_s_own_is_two_yaml_files(
    toy: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*toy, "backbone.noise=0", "validate=true"]) == 0
    assert "toy-scripted-extraction-zero_shot-s13" in capsys.readouterr().out
    (run,) = (tmp_path / "outputs" / "runs").iterdir()
    metrics: dict[str, Any] = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["test/f1"] == 100
    types = {name for name in metrics if re.fullmatch(r"test/[^/]+/[^/]+/f1", name)}
    assert types == {
        f"test/{genre}/{type_}/f1" for genre in ("KITCHEN", "MARKET") for type_ in ("FRUIT", "TOOL")
    }
    answers = (run / "completions.jsonl").read_text(encoding="utf-8")
    assert "菠萝" not in answers
    assert "凤梨-水果" in answers
    assert "锅铲-厨具" in answers
    gold = (tmp_path / "data" / "kitchen.txt").read_text(encoding="utf-8")
    assert (run / "submission" / "KITCHEN.txt").read_text(encoding="utf-8") == gold


def test_a_corpus_of_one_s_own_in_its_own_script(toy: tuple[str, ...], tmp_path: Path) -> None:
    assert main([*toy, "backbone.noise=0", "script=traditional"]) == 0
    (run,) = (tmp_path / "outputs" / "runs").iterdir()
    assert "鍋鏟-廚具" in (run / "completions.jsonl").read_text(encoding="utf-8")


def test_a_wrong_tag_in_it_is_named(
    toy: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    train = tmp_path / "data" / "train.txt"
    train.write_text("刀 B-KNIFE\n\n", encoding="utf-8")
    assert main(list(toy)) == 2
    said = "".join(capsys.readouterr())
    assert f"{train}, line 1" in said
    assert "label scheme 'toy' (FRUIT, TOOL)" in said


def test_a_tag_that_no_metric_name_can_hold_is_refused_before_anything_is_asked(
    toy: tuple[str, ...], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for file in [*tmp_path.glob("conf/labels/*"), *tmp_path.glob("data/*")]:
        text = file.read_text(encoding="utf-8").replace("FRUIT", "水果/類")
        file.write_text(text, encoding="utf-8")
    assert main(list(toy)) == 2
    said = "".join(capsys.readouterr())
    assert "'水果/類'" in said
    assert "with letters, digits" in said
    assert not list(tmp_path.glob("outputs/runs/*/completions.jsonl"))
