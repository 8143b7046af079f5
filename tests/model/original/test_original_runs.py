"""`chmed-ner run` on imported checkpoints: zero-shot, tuned, and the saved adapter on raw text."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from safetensors import safe_open

import chmed_ner
from chmed_ner.backbone import load_tokenizer
from chmed_ner.cli import main
from chmed_ner.entities.labels import Simplified
from chmed_ner.model.asking import Request
from chmed_ner.run.config import build, option

Run = Callable[..., Path]
LINEAR = {
    "chatglm2": {"q_proj", "k_proj", "v_proj", "o_proj", "gate_up_proj", "down_proj"},
    "baichuan": {"q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"},
}
OPTIONS = {"chatglm2": "chatglm2_6b", "baichuan": "baichuan_7b"}


@pytest.fixture(scope="module", params=sorted(LINEAR))
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def checkpoint(
    kind: str, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    original = request.getfixturevalue(kind)
    written: Path = original.write(tmp_path_factory.mktemp("checkpoint"), pickled=True)
    return written


@pytest.fixture(scope="module")
def run(kind: str, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Run]:
    """Runs in this process, with one cache; gives the run's directory."""
    output, cache = tmp_path_factory.mktemp("output"), tmp_path_factory.mktemp("cache")
    handlers = list(logging.root.handlers)

    def start(name: str, *words: str) -> Path:
        common = [
            f"backbone={OPTIONS[kind]}", f"backbone.path={checkpoint}", "backbone.dtype=float32",
            "backbone.device=cpu", "dataset=sample", "tracking=dry", f"name={name}",
            f"paths.output={output}", f"paths.cache={cache}", "limit.train=12",
            "limit.validation=0", "limit.test=2", "decoding.tokens_per_character=0",
        ]  # fmt: skip
        assert main(["run", *common, *words]) == 0
        assert len(list(cache.glob("converted/*/config.json"))) == 1
        (directory,) = output.glob(f"runs/*_{name}_*")
        return directory

    yield start
    for handler in [each for each in logging.root.handlers if each not in handlers]:
        logging.root.removeHandler(handler)
        handler.close()


@pytest.fixture(scope="module")
def asked(run: Run) -> Path:
    return run("asked", "regime=zero_shot")


@pytest.fixture(scope="module")
def tuned(run: Run) -> Path:
    return run("tuned", "regime=lora", "regime.learning_rate=0.01", "regime.epochs=3")


def records(file: Path) -> list[dict[str, Any]]:
    rows = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return sorted((row for row in rows if row["split"] == "test"), key=lambda row: str(row["id"]))


def test_zero_shot_asks_in_the_model_s_own_way(kind: str, checkpoint: Path, asked: Path) -> None:
    record = json.loads((asked / "run.json").read_text(encoding="utf-8"))
    assert record["backbone"] == OPTIONS[kind]
    config = (
        build(record["config"]["prompt"], "prompt"),
        build(record["config"]["dataset"], "dataset"),
    )
    prompt = config[0].task(config[1].scheme, "simplified")
    tokenizer = load_tokenizer(checkpoint)
    for answer, row in zip(
        records(asked / "completions.jsonl"), records(asked / "predictions.jsonl"), strict=True
    ):
        asks = prompt.fill(Simplified().convert(row["sentence"]))
        if kind == "chatglm2":
            asks = f"[Round 1]\n\n问：{asks}\n\n答："
        assert (answer["id"], answer["prompt_tokens"]) == (row["id"], len(tokenizer.encode(asks)))


def test_answers_are_those_of_generate(kind: str, checkpoint: Path, tmp_path: Path) -> None:
    import torch

    backbone = option(
        "backbone",
        "causal_lm",
        name=kind,
        path=str(checkpoint),
        dtype="float32",
        device="cpu",
        cache=str(tmp_path),
    )
    texts = ["头痛", "患者出现发热、咳嗽和呼吸困难，疑似肺炎。" * 3, "无", "体温38.5℃"]
    requests = [Request(str(n), "test", "FT", text, 9) for n, text in enumerate(texts)]
    generator = backbone.generator(stop=(), seed=0)
    replies = generator.answer(requests)
    generator.close()
    loaded = backbone.load()
    for request, reply in zip(requests, replies, strict=True):
        ids = loaded.wrapping.prompt_ids(request.prompt)
        output = loaded.model.generate(
            torch.tensor([ids]), max_new_tokens=9, do_sample=False, pad_token_id=0
        )
        new = [token for token in output[0, len(ids) :].tolist() if token != 2]
        assert reply.text == loaded.tokenizer.decode(new, skip_special_tokens=True)
        assert reply.prompt_tokens == len(ids)


def test_tuning_reaches_every_linear_layer(kind: str, asked: Path, tuned: Path) -> None:
    with safe_open(tuned / "adapter/adapter_model.safetensors", framework="pt") as adapter:
        names = list(adapter.keys())
        assert all(adapter.get_tensor(name).abs().max() > 0 for name in names)
    assert {name.split(".")[-3] for name in names} == LINEAR[kind]
    texts = [
        [answer["text"] for answer in records(directory / "completions.jsonl")]
        for directory in (asked, tuned)
    ]
    assert texts[0] != texts[1]


def test_the_saved_adapter_predicts_what_the_run_did(tuned: Path) -> None:
    rows = records(tuned / "predictions.jsonl")
    model = chmed_ner.load(tuned)
    try:
        found = model.predict([row["sentence"] for row in rows])
    finally:
        model.close()
    for row, prediction in zip(rows, found, strict=True):
        spans = [(span.start, span.end, span.type) for span in prediction.entities]
        assert spans == [(each["start"], each["end"], each["type"]) for each in row["entities"]]
        assert prediction.problems == row["problems"]


def test_the_adapter_scores_again_on_the_same_backbone(tuned: Path, run: Run) -> None:
    scored = run("scored", "regime=adapter", f"regime.path={tuned}")
    texts = [
        [(answer["id"], answer["text"]) for answer in records(each / "completions.jsonl")]
        for each in (tuned, scored)
    ]
    assert texts[0] == texts[1]
