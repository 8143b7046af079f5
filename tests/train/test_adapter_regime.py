"""A tuned run, its adapter scored again in a run of its own, and the text that either predicts."""

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import chmed_ner
from chmed_ner.cli import main
from chmed_ner.errors import InputError
from chmed_ner.files import PACKAGE, sha256_of

SAMPLE = PACKAGE / "data" / "sample"


def run(output: Path, name: str, llama: Path, *words: str) -> tuple[int, Path | None]:
    """Run in this process; the exit code and the run's directory."""
    common = [
        "backbone=causal_lm", f"backbone.path={llama}", "backbone.dtype=float32",
        "backbone.device=cpu", "tracking=dry", f"paths.output={output}", f"name={name}",
        "limit.train=12", "limit.validation=2", "limit.test=2", "decoding.tokens_per_character=0",
    ]  # fmt: skip
    code = main(["run", *common, *words])
    return code, next(iter(output.glob(f"runs/*_{name}_*/predictions.jsonl")), output).parent


def rows_of_test(directory: Path) -> list[dict[str, object]]:
    """The test split's predictions, without what `predict` cannot know."""
    lines = (directory / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    return [row for row in rows if row["split"] == "test"]


def spans(run_directory: Path, texts: list[str]) -> list[list[tuple[int, int, str]]]:
    model = chmed_ner.load(run_directory)
    try:
        found = model.predict(texts)
    finally:
        model.close()
    return [[(s.start, s.end, s.type) for s in prediction.entities] for prediction in found]


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, tiny_llama: Path) -> tuple[Path, Path, Path]:
    """The output folder, a tuned run, and a run that scored its adapter."""
    output = tmp_path_factory.mktemp("output")
    code, tuned = run(output, "tuned", tiny_llama, "regime=lora", "regime.learning_rate=0.01",
                      "regime.epochs=20")  # fmt: skip
    assert code == 0
    code, scored = run(output, "scored", tiny_llama, "regime=adapter", f"regime.path={tuned}")
    assert code == 0
    return output, tuned, scored


def test_an_adapter_scores_as_the_run_that_tuned_it(runs: tuple[Path, Path, Path]) -> None:
    _, tuned, scored = runs
    assert rows_of_test(scored) == rows_of_test(tuned)
    first, again = (
        [json.loads(line) for line in (each / "completions.jsonl").read_text().splitlines()]
        for each in (tuned, scored)
    )
    said = {row["id"]: row["text"] for row in first if row["split"] == "test"}
    assert said == {row["id"]: row["text"] for row in again}
    assert any(said.values())


def test_predict_gives_either_run_s_own_predictions(runs: tuple[Path, Path, Path]) -> None:
    for directory in runs[1:]:
        rows = rows_of_test(directory)
        found = spans(directory, [str(row["sentence"]) for row in rows])
        wanted = [[(e["start"], e["end"], e["type"]) for e in row["entities"]] for row in rows]  # type: ignore[attr-defined]
        assert found == wanted


def test_a_saved_adapter_needs_no_run_of_its_own_to_answer(
    runs: tuple[Path, Path, Path], tiny_llama: Path
) -> None:
    _, tuned, _ = runs
    rows = rows_of_test(tuned)
    settings = (f"backbone.path={tiny_llama}", "backbone.dtype=float32", "backbone.device=cpu",
                f"regime.path={tuned}", "decoding.tokens_per_character=0")  # fmt: skip
    with chmed_ner.extractor(*settings, backbone="causal_lm", regime="adapter") as model:
        found = model.predict([str(row["sentence"]) for row in rows])
    assert [len(each.entities) for each in found] == [len(row["entities"]) for row in rows]  # type: ignore[arg-type]
    assert [each.problems for each in found] == [row["problems"] for row in rows]


def test_the_adapter_knows_what_it_was_tuned_on_at_second_hand_too(
    runs: tuple[Path, Path, Path], tiny_llama: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output, tuned, scored = runs
    for source in (tuned, scored):
        code, _ = run(
            output, "leak", tiny_llama, "regime=adapter", f"regime.path={source}",
            "dataset=column_files", f"dataset.test={{FT: '{SAMPLE / 'train_FT.txt'}'}}",
        )  # fmt: skip
        assert code == 2
        assert "was trained on" in "".join(capsys.readouterr())


def test_the_record_holds_the_checksums_of_the_adapter(runs: tuple[Path, Path, Path]) -> None:
    _, tuned, scored = runs
    for directory in (tuned, scored):
        weights = json.loads((directory / "run.json").read_text())["weights"]
        files = sorted((directory / "adapter").iterdir())
        assert weights == {f"adapter/{file.name}": sha256_of(file) for file in files}


def flip(file: Path) -> None:
    """Changes the last bit of a file, whose times stay."""
    content, status = bytearray(file.read_bytes()), file.stat()
    content[-1] ^= 1
    file.write_bytes(content)
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (lambda adapter: flip(adapter / "adapter_model.safetensors"), "is not what was saved"),
        (lambda adapter: flip(adapter / "adapter_config.json"), "config.json: is not what"),
        (lambda adapter: (adapter / "adapter_model.safetensors").unlink(), "is missing"),
        (lambda adapter: (adapter / "adapter_config.json").unlink(), "config.json: is missing"),
        (lambda adapter: (adapter / "backbone.json").write_text("{}"), "json: was not saved by"),
        (shutil.rmtree, "is missing"),
        (lambda adapter: adapter.rename(adapter.with_name("model")), "is missing"),
    ],
)
def test_what_is_not_as_it_was_saved_is_neither_loaded_nor_scored(
    runs: tuple[Path, Path, Path],
    tiny_llama: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    spoil: Callable[[Path], Any],
    message: str,
) -> None:
    directory = Path(shutil.copytree(runs[1], tmp_path / "run"))
    spoil(directory / "adapter")
    with pytest.raises(InputError, match=rf"{directory}/adapter/.*{message}.*tune again"):
        chmed_ner.load(directory)
    code, _ = run(tmp_path, "again", tiny_llama, "regime=adapter", f"regime.path={directory}")
    assert code == 2
    said = "".join(capsys.readouterr())
    assert message in said or "holds no adapter/" in said
