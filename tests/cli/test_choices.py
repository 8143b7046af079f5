"""`chmed-ner run --help`, and what is said where a name is wrong."""

import unicodedata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OPTIONS = [
    (path.parent.name, path.stem)
    for folder in (ROOT / "conf", ROOT / "experiments" / "sweep")
    for path in folder.rglob("*.yaml")
    if path.parent.name not in ("conf", "recipe")
]
GROUPS = "groups and their options (*: the default)"


def columns(line: str) -> int:
    """Of a terminal: a Chinese character takes two."""
    return sum(1 + (unicodedata.east_asian_width(each) in "WF") for each in line)


def test_the_help_is_a_screen(command) -> None:
    ended = command("run", "--help")
    assert ended.code == 0, ended.text
    lines = ended.out.splitlines()
    assert max(map(columns, lines)) <= 80
    assert len(lines) <= 64
    first, after = (lines.index(each) for each in (GROUPS, "keys, with their defaults"))
    words = " ".join(lines[first + 1 : after]).split()
    assert {word.removeprefix("*") for word in words} >= {part for each in OPTIONS for part in each}
    chosen = [word for word in words if word.startswith("*")]
    assert {"*sample", "*gemma3_270m", "*lora", "*generative", "*basic"} <= set(chosen)
    for part in ("seed=13", "regime.rank=16", "paths.output", "figures=[png", "--runs-in DIR"):
        assert any(part in line for line in lines), part
    examples = lines[lines.index("examples") + 1 :]
    assert len([line for line in examples if line.startswith("  chmed-ner run ")]) == 5


def test_a_group_says_what_each_option_is(command) -> None:
    groups = {group for group, _ in OPTIONS}
    ended = command("run", "--help", *sorted(groups), "hydra/launcher")
    assert ended.code == 0, ended.text
    lines = ended.out.splitlines()
    assert max(map(columns, lines)) <= 80
    assert "..." not in ended.out.replace("=...", "")
    shown, group = set(), ""
    for line in lines:
        if line.partition("=...")[1] and not line.startswith(" "):
            group = line.partition("=")[0]
        elif line.startswith("  ") and line[2] != " ":
            option, *meaning = line.split()
            shown.add((group, option, bool(meaning)))
    said = {(group, option) for group, option, is_explained in shown if is_explained}
    assert len(OPTIONS) > 90
    assert {*OPTIONS, ("hydra/launcher", "joblib")} <= said


def test_a_group_and_an_option_have_a_help_of_their_own(command) -> None:
    regimes = command("run", "--help", "regime")
    assert "qlora" in regimes.out
    assert "gemma3_270m" not in regimes.out
    lora = command("run", "regime=qlora", "-h").out
    for key in ("rank: 16", "epochs: 2", "the best one on validation is kept", "quantization: nf4"):
        assert key in lora, key
    assert "regime.KEY=VALUE" in lora
    assert "window: 512" in command("run", "--help", "method=tagger").out
    labels = command("run", "--help", "labels=health10").out
    assert "labels@dataset.labels=health10" in labels
    assert "definition: 由疾病引起的不適感覺" in labels


def test_an_option_of_the_user_s_own_is_shown(command, tmp_path: Path) -> None:
    folder = tmp_path / "dataset"
    folder.mkdir()
    content = "# Our ward's notes\ndefaults: [column_files, _self_]\ntest: x.txt # secret\n"
    (folder / "ward.yaml").write_text(content, encoding="utf-8")
    words = ("run", "--help", "--config-dir", str(tmp_path))
    assert "ward" in command(*words).out.split()
    assert "ward                 Our ward's notes" in command(*words, "dataset").out
    keys = command(*words, "dataset=ward").out
    assert "test: x.txt" in keys
    assert "max_characters: 512" in keys


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--help", "backbon"], ["no group 'backbon'", "backbone"]),
        (["--help", "regime=lroa"], ["no regime 'lroa'", "lora"]),
        (["epochs=3"], ["nearest: regime.epochs"]),
        (["regime.rnak=3"], ["with regime=lora", "nearest: regime.rank", "--help regime=lora"]),
        (["backbone=scripted", "backbone.nose=1"], ["with backbone=scripted", "backbone.noise"]),
        (["method=crf", "regime.rank=3"], ["regime is null here"]),
        (["dataset.zzz=3"], ["the keys are dataset.genres"]),
        (
            ["-m", "seed=1,2", "dataset=sample,rocling2022", "dataset.gnres=[FT]"],
            ["dataset.genres"],
        ),
        (["hydra/launcher=joblib"], ["pip install 'chmed-ner[joblib]'"]),
        (["sweep=tune_lora"], ["pip install 'chmed-ner[optuna]'"]),
    ],
)
def test_a_wrong_name_is_answered_with_right_ones(
    command, words: list[str], says: list[str], tmp_path: Path
) -> None:
    ended = command("run", *words, "--runs-in", str(tmp_path), "tracking=dry")
    assert ended.code == 2, ended.text
    assert "error: " in ended.err
    for word in says:
        assert word in ended.err
    assert "+" not in ended.err
    assert not list(tmp_path.glob("runs/*/run.json"))


def test_keys_of_a_swept_dataset_are_looked_for_in_each(command, tmp_path: Path) -> None:
    folder = tmp_path / "conf" / "dataset"
    folder.mkdir(parents=True)
    (tmp_path / "test.txt").write_text("頭 B-SYMP\n痛 I-SYMP\n。 O\n\n", encoding="utf-8")
    for name in ("one", "two"):
        content = f"defaults: [column_files, _self_]\nname: {name}\ntest: {tmp_path}/test.txt\n"
        (folder / f"{name}.yaml").write_text(content, encoding="utf-8")
    ended = command(
        "run", "-m", "dataset=one,two", "dataset.max_characters=64", "labels=health10",
        "backbone=scripted", "regime=zero_shot", "tracking=dry", "--runs-in", str(tmp_path),
        "--config-dir", str(tmp_path / "conf"),
    )  # fmt: skip
    assert ended.code == 0, ended.text
    runs = sorted(path.name.split("_", 1)[1] for path in tmp_path.glob("runs/*/"))
    assert [name.partition("-")[0] for name in runs] == ["one", "two"]
    assert not any("64" in name.rpartition("_")[0] for name in runs)
    for path in tmp_path.glob("runs/*/.hydra/config.yaml"):
        assert "max_characters: 64" in path.read_text(encoding="utf-8")
