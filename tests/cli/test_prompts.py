"""`chmed-ner prompts`: looking at prompts and targets, and the exported data set."""

import json
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.run.config import compose, configure
from chmed_ner.run.runner import read_corpus


@pytest.fixture(scope="module")
def expected() -> dict[str, list[tuple[str, str]]]:
    """Prompt and target of every sentence of the sample, by split."""
    experiment = configure(compose([]), {})
    corpus = read_corpus(experiment)
    prompt = experiment.prompt.task(corpus.labels, experiment.script.name)
    return {
        split: [(prompt.fill(s.model_text), prompt.target(s)) for s in getattr(corpus, split)]
        for split in ("train", "validation", "test")
    }


def pair(record: dict[str, Any], style: str) -> tuple[str, str]:
    """Question and answer of an exported record, which has nothing beside them."""
    if style == "alpaca":
        assert set(record) == {"instruction", "input", "output"}
        return record["instruction"] + record["input"], record["output"]
    if style == "sharegpt":
        question, answer = record["conversations"]
        assert (question["from"], answer["from"]) == ("human", "gpt")
        return question["value"], answer["value"]
    question, answer = record["messages"]
    assert (question["role"], answer["role"]) == ("user", "assistant")
    return question["content"], answer["content"]


@pytest.mark.parametrize("style", ["alpaca", "sharegpt", "messages"])
def test_an_exported_data_set_reads_back(command, expected, tmp_path: Path, style: str) -> None:
    ended = command("prompts", "--out", str(tmp_path / "out"), "--format", style)
    assert ended.code == 0, ended.text
    for split, pairs in expected.items():
        file = tmp_path / "out" / f"{split}.jsonl"
        assert f"{file}: {len(pairs)} prompts" in ended.out
        records = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
        assert [pair(record, style) for record in records] == pairs


def test_show_prints_the_first_of_each_split(command, expected) -> None:
    ended = command("prompts", "--show", "2")
    assert ended.code == 0
    assert ended.out.count("--- target\n") == 6
    for split, pairs in expected.items():
        assert ended.out.count(f"=== {split} ") == 2
        for question, answer in pairs[:2]:
            assert f"{question}--- target\n{answer}\n" in ended.out
    assert command("prompts", "--show", "0").out == ""


def test_options_stand_anywhere_among_the_overrides(command) -> None:
    one = command("prompts", "script=traditional", "--show", "1", "prompt.answer.order=text_order")
    other = command(
        "prompts", "--show", "1", "script=traditional", "prompt.answer.order=text_order"
    )
    assert one.code == 0
    assert one.out == other.out
    assert "請列出句子中的醫療實體" in one.out
    assert "请列出" not in one.out


def test_a_place_that_cannot_be_written(command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    ended = command("prompts", "--out", str(tmp_path / "file" / "out"))
    assert ended.code == 2
    assert "--out" in ended.err
    assert "cannot be written" in ended.err
