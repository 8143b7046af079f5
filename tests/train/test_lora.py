"""Tuning with LoRA, end to end on a tiny model in float32."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from chmed_ner.backbone.local_models import CausalLM
from chmed_ner.backbone.regime import Task, ZeroShot
from chmed_ner.errors import InputError, RunError
from chmed_ner.model.asking import Generator, Request
from chmed_ner.run.config import option
from chmed_ner.train.learning_regimes import LoRA
from chmed_ner.train.tuned_weights import merged

ANSWERS = ("头痛-症状", "无", "胃-人体\n药-药品", "水泡-症状", "血糖-化学物质\n胃-人体")


@dataclass
class Journal:
    """What a training reports."""

    losses: list[float] = field(default_factory=list)
    f1: list[float] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """A step's loss or an epoch's F1."""
        self.losses += [value for key, value in metrics.items() if key == "train/loss"]
        self.f1 += [value for key, value in metrics.items() if key == "train/dev_f1"]
        self.steps += [step for key in metrics if key == "train/loss"]

    def note(self, counts: Mapping[str, int]) -> None:
        """Counts for `run.json`."""
        self.counts.update(counts)


def a_backbone(folder: Path, **knobs: Any) -> CausalLM:
    """The checkpoint in float32 on the CPU, under a name of its own."""
    return option(
        "backbone",
        "causal_lm",
        name="tiny",
        path=str(folder),
        **{"dtype": "float32", "device": "cpu", **knobs},
    )


def a_regime(**knobs: Any) -> LoRA:
    """A recipe that learns fast."""
    defaults = {"learning_rate": 0.01, "epochs": 1, "batch_size": 4, "rank": 8}
    regime: LoRA = option("regime", "lora", **{**defaults, **knobs})
    return regime


def a_task(
    directory: Path,
    pairs: list[tuple[str, str]],
    journal: Journal | None = None,
    dev_f1: Callable[[Generator, int], float] | None = None,
    seed: int = 13,
) -> Task:
    """A task whose validation F1 is whatever `dev_f1` says."""
    journal = journal or Journal()
    return Task(
        pairs=pairs,
        stop=("\n\n",),
        dev_f1=dev_f1,
        directory=directory,
        seed=seed,
        log=journal.log,
        note=journal.note,
    )


@pytest.fixture(scope="module")
def pairs(sample_sentences: list[str]) -> list[tuple[str, str]]:
    """30 sentences with answers that a model can only know by heart."""
    return [
        (f"句子：{sentence[:12]}\n医疗实体：\n", ANSWERS[number % len(ANSWERS)])
        for number, sentence in enumerate(sample_sentences[:30])
    ]


def weights(directory: Path) -> dict[str, torch.Tensor]:
    """The adapter's tensors."""
    return load_file(directory / "adapter" / "adapter_model.safetensors")


def test_it_learns_thirty_sentences_by_heart(
    tiny_llama: Path, pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    """What was trained is what is generated: same encoding, same end token, same weights."""
    journal = Journal()
    regime = a_regime(epochs=25, rank=16, tokens_at_once=150)
    backbone = a_backbone(tiny_llama)
    generator = regime.prepare(backbone, a_task(tmp_path, pairs, journal))
    assert journal.steps == list(range(1, 25 * 8 + 1))
    assert sum(journal.losses[-8:]) < 0.05 * sum(journal.losses[:8])
    size = sum(p.numel() * 4 for p in backbone.load().model.parameters())
    counts = {"truncated_examples": 0, "skipped_examples": 0, "weight_bytes": size}
    assert journal.counts == counts
    requests = [Request(str(n), "test", "FT", prompt, 40) for n, (prompt, _) in enumerate(pairs)]
    replies = generator.answer(requests)
    right = [r.text == answer for r, (_, answer) in zip(replies, pairs, strict=True)]
    assert sum(right) >= 28
    assert {reply.stop for reply in replies} == {"end"}
    untuned = ZeroShot().prepare(backbone, a_task(tmp_path, pairs)).answer(requests)
    assert sum(r.text == answer for r, (_, answer) in zip(untuned, pairs, strict=True)) == 0
    reopened = regime.reopen(backbone, tmp_path, ("\n\n",))
    assert reopened.answer(requests) == replies


def test_the_adapter_directory(
    tiny_llama: Path, pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    a_regime().prepare(a_backbone(tiny_llama), a_task(tmp_path / "run", pairs))
    adapter = tmp_path / "run" / "adapter"
    assert sorted(file.name for file in adapter.iterdir()) == [
        "adapter_config.json",
        "adapter_model.safetensors",
    ]
    assert [file.name for file in (tmp_path / "run").iterdir()] == ["adapter"]
    text = (adapter / "adapter_config.json").read_text(encoding="utf-8")
    config = json.loads(text)
    assert config["base_model_name_or_path"] == str(tiny_llama)
    assert (config["r"], config["lora_alpha"]) == (8, 16.0)
    assert config["target_modules"] == sorted(config["target_modules"])
    found = weights(tmp_path / "run")
    assert len(found) == 2 * 2 * 7  # A and B, two layers, seven linear layers each
    assert {tensor.dtype for tensor in found.values()} == {torch.float32}
    assert any(bool(tensor.any()) for name, tensor in found.items() if "lora_B" in name)


def test_peft_finds_the_backbone_of_an_adapter_by_itself(
    tiny_llama: Path, pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    from peft import AutoPeftModelForCausalLM

    backbone, ids = a_backbone(tiny_llama), torch.arange(5, 45)[None]
    a_regime().prepare(backbone, a_task(tmp_path, pairs))
    found = AutoPeftModelForCausalLM.from_pretrained(tmp_path / "adapter", dtype=torch.float32)
    with torch.inference_mode():
        theirs = found(ids).logits
        ours = merged(backbone.load().model, tmp_path / "adapter")(ids).logits
    torch.testing.assert_close(theirs, ours, rtol=0, atol=1e-4)


def test_the_best_epoch_is_kept(
    tiny_llama: Path, pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    """The second of three epochs; of two equal ones, the earlier."""
    seen: list[int] = []

    def dev_f1(generator: Generator, epoch: int) -> float:
        generator.answer([Request("a", "validation", "FT", "头痛", 3)])
        seen.append(epoch)
        return [10.0, 30.0, 30.0][epoch - 1]

    journal = Journal()
    backbone = a_backbone(tiny_llama)
    regime = a_regime(epochs=3, schedule="constant", warmup_share=0.0)
    regime.prepare(backbone, a_task(tmp_path / "best", pairs[:8], journal, dev_f1))
    assert (seen, journal.f1) == ([1, 2, 3], [10.0, 30.0, 30.0])
    for epochs in (1, 2, 3):
        other = a_regime(epochs=epochs, schedule="constant", warmup_share=0.0)
        other.prepare(backbone, a_task(tmp_path / f"last{epochs}", pairs[:8]))
    kept, last = weights(tmp_path / "best"), [weights(tmp_path / f"last{n}") for n in (1, 2, 3)]
    same = [all(torch.equal(kept[name], other[name]) for name in kept) for other in last]
    assert same == [False, True, False]


def test_the_last_epoch_is_kept_if_that_is_asked_for(
    tiny_llama: Path, pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    journal = Journal()
    for keep, dev_f1 in (("last", lambda _generator, epoch: 10.0 - epoch), ("best", None)):
        regime = a_regime(epochs=2, keep=keep)
        regime.prepare(a_backbone(tiny_llama), a_task(tmp_path / keep, pairs[:8], journal, dev_f1))
    assert journal.f1 == [9.0, 8.0]
    kept, last = weights(tmp_path / "last"), weights(tmp_path / "best")
    assert all(torch.equal(kept[name], last[name]) for name in kept)
    with pytest.raises(InputError, match=r"regime\.keep=middle"):
        a_regime(keep="middle")


def test_validation_sees_the_model_as_it_will_be_merged(
    tiny_llama: Path, pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    requests = [Request(str(n), "validation", "FT", p, 12) for n, (p, _) in enumerate(pairs[:6])]
    heard: list[Any] = []

    def dev_f1(generator: Generator, epoch: int) -> float:
        heard.append(generator.answer(requests))
        return float(epoch)

    regime = a_regime(epochs=2, dropout=0.3)
    generator = regime.prepare(a_backbone(tiny_llama), a_task(tmp_path, pairs, dev_f1=dev_f1))
    assert heard[0] != heard[1]
    assert generator.answer(requests) == heard[1]


def test_the_same_seed_gives_the_same_bytes(
    tiny_llama: Path, pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    for name, seed, noise in (("a", 13, 1), ("b", 13, 2), ("c", 14, 1)):
        torch.manual_seed(noise)
        task = a_task(tmp_path / name, pairs[:12], seed=seed)
        a_regime(dropout=0.2).prepare(a_backbone(tiny_llama), task)
    first, second, third = (
        [(tmp_path / name / "adapter" / file).read_bytes() for file in files]
        for name in "abc"
        for files in [("adapter_model.safetensors", "adapter_config.json")]
    )
    assert first == second
    assert first[0] != third[0]


def test_reading_batches_in_parts_changes_nothing(
    tiny_gemma3: Path, pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    journals = {}
    for tokens in (1, 120, 100_000):
        journals[tokens] = Journal()
        task = a_task(tmp_path / str(tokens), pairs, journals[tokens])
        a_regime(batch_size=8, learning_rate=0.001, tokens_at_once=tokens).prepare(
            a_backbone(tiny_gemma3), task
        )
    whole = journals[100_000].losses
    assert len(whole) == 4
    assert journals[1].losses == pytest.approx(whole, rel=1e-3)
    assert journals[120].losses == pytest.approx(whole, rel=1e-3)


def test_a_resumed_run_does_not_train_again(
    tiny_llama: Path, pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    backbone, first, second = a_backbone(tiny_llama), Journal(), Journal()
    request = [Request("a", "test", "FT", "头痛", 12)]
    replies = a_regime().prepare(backbone, a_task(tmp_path, pairs, first)).answer(request)
    before = (tmp_path / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns
    again = a_regime().prepare(backbone, a_task(tmp_path, pairs, second)).answer(request)
    assert first.losses
    assert (second.losses, list(second.counts)) == ([], ["weight_bytes"])
    assert (tmp_path / "adapter" / "adapter_model.safetensors").stat().st_mtime_ns == before
    assert again == replies


def test_an_interrupted_training_leaves_nothing_that_looks_finished(
    tiny_llama: Path, pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    def dev_f1(*_: Any) -> float:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        a_regime().prepare(a_backbone(tiny_llama), a_task(tmp_path, pairs[:4], dev_f1=dev_f1))
    assert not (tmp_path / "adapter").exists()
    (tmp_path / "adapter.partial").mkdir()  # killed while it was being written
    (tmp_path / "adapter.partial" / "README.md").write_text("half", encoding="utf-8")
    a_regime().prepare(a_backbone(tiny_llama), a_task(tmp_path, pairs[:4]))
    assert [file.name for file in tmp_path.iterdir()] == ["adapter"]


def test_cut_examples_are_noted(
    tiny_llama: Path, pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    journal = Journal()
    mixed = [*pairs[:4], ("痛" * 300, "无")]
    a_regime(max_tokens=100).prepare(a_backbone(tiny_llama), a_task(tmp_path, mixed, journal))
    assert (journal.counts["truncated_examples"], journal.counts["skipped_examples"]) == (1, 1)
    with pytest.raises(InputError, match=r"no training example is left: 4 .*max_tokens=5"):
        a_regime(max_tokens=5).prepare(
            a_backbone(tiny_llama), a_task(tmp_path / "none", pairs[:4], journal)
        )


def test_a_loss_that_is_no_number_stops_the_run(
    tiny_llama: Path, pairs: list[tuple[str, str]], tmp_path: Path
) -> None:
    regime = a_regime(learning_rate=1e18, epochs=5, warmup_share=0.0, clip_norm=1e9)
    with pytest.raises(RunError, match=r"the loss is .*lower regime\.learning_rate"):
        regime.prepare(a_backbone(tiny_llama), a_task(tmp_path, pairs))
    assert not (tmp_path / "adapter").exists()
