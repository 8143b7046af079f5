"""Training over candidate tokens: which they are, what they leave alone, and whole runs."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from chmed_ner.backbone.regime import Task
from chmed_ner.cli import main
from chmed_ner.entities.labels import label_scheme
from chmed_ner.errors import InputError
from chmed_ner.prompt.formats.extraction import Extraction
from chmed_ner.run.config import option
from chmed_ner.train.answer_loss import answer_loss, candidates_of, with_candidates
from chmed_ner.train.checkpoint import training_id
from chmed_ner.train.recipe import Example, encode

LABELS = label_scheme("two", {"A": {"simplified": "疾病"}, "B": {"simplified": "时间"}})
SENTENCES = ("血糖高三年，口干。", "胃痛两天", "头痛")
ANSWERS = ("糖尿病-疾病", "胃痛-疾病\n两天-时间", "无")  # the first is not in its sentence


def a_task(directory: Path, stop: tuple[str, ...] = ("\n\n",), **knobs: Any) -> Task:
    """Three questions."""
    return Task(
        pairs=[(f"句子：{s}\n实体：\n", a) for s, a in zip(SENTENCES, ANSWERS, strict=True)],
        stop=stop,
        dev_f1=None,
        directory=directory,
        seed=13,
        log=lambda _metrics, _step: None,
        note=lambda _counts: None,
        **knobs,
    )


def grammar(number: int) -> Any:
    """That of the extraction format."""
    return Extraction(order="unique", separator="-").grammar(
        SENTENCES[number], LABELS, "simplified", in_order=False
    )


def loaded_from(folder: Path) -> Any:
    """The tiny model in float32."""
    return option(
        "backbone", "causal_lm", name="tiny", path=str(folder), dtype="float32", device="cpu"
    ).load()


def examples_of(loaded: Any, task: Task, max_tokens: int | None = None) -> tuple[Example, ...]:
    """The encoded examples with their candidates."""
    return with_candidates(encode(task.pairs, loaded.wrapping, max_tokens), task, loaded)


def text_of(loaded: Any, example: Example) -> set[str]:
    """The candidates that are whole characters or more, as text."""
    words = {loaded.tokenizer.decode([token]) for token in example.candidates}
    return {word for word in words if "\ufffd" not in word}


def test_they_are_the_sentence_s_own_and_the_answer_s(tiny_llama: Path, tmp_path: Path) -> None:
    loaded = loaded_from(tiny_llama)
    examples = examples_of(loaded, a_task(tmp_path, grammar=grammar))
    for example in examples:
        assert list(example.candidates) == sorted(set(example.candidates))
        assert set(example.answer) <= set(example.candidates)
        assert loaded.wrapping.end_id() in example.candidates
        assert {"-", "\n"} <= text_of(loaded, example)
    odd, own, other = (set(example.candidates) for example in examples)
    written = [set(loaded.tokenizer.encode(word)) for word in ("两天", "糖尿病")]
    assert written[0] <= own
    assert written[0] - other
    assert written[1] <= odd  # a target is a candidate, legal or not
    assert written[1] - own


def test_an_example_that_was_left_out_does_not_shift_the_others(
    tiny_llama: Path, tmp_path: Path
) -> None:
    loaded = loaded_from(tiny_llama)
    task = a_task(tmp_path, grammar=grammar)
    whole = examples_of(loaded, task)
    longest = max(len(example.prompt) for example in whole)
    kept = examples_of(loaded, task, max_tokens=longest)
    assert [each.prompt for each in kept] == [each.prompt for each in whole[1:]]
    for example in kept:
        (same,) = (each for each in whole if each.prompt == example.prompt)
        assert example.candidates == same.candidates


def test_stop_strings_are_candidates(tiny_llama: Path, tmp_path: Path) -> None:
    loaded = loaded_from(tiny_llama)
    marks = [
        {"※" in text_of(loaded, each) or set(loaded.tokenizer.encode("※")) <= set(each.candidates)
         for each in examples_of(loaded, a_task(tmp_path, stop, grammar=grammar))}
        for stop in (("\n※",), ("\n\n",))
    ]  # fmt: skip
    assert marks == [{True}, {False}]


def test_the_loss_of_an_example_does_not_depend_on_its_batch(
    tiny_llama: Path, tmp_path: Path
) -> None:
    """So a batch may be read in parts, or by several processes."""
    loaded = loaded_from(tiny_llama)
    model = loaded.model
    examples = list(examples_of(loaded, a_task(tmp_path, grammar=grammar)))
    model.requires_grad_(True)
    counts = [len(example.answer) for example in examples]
    together = answer_loss(model, examples, ()) * sum(counts)
    alone = [answer_loss(model, [each], ()) * len(each.answer) for each in examples]
    torch.testing.assert_close(together, torch.stack(alone).sum())
    head = model.get_output_embeddings().weight
    (of_batch,) = torch.autograd.grad(together, head)
    (of_each,) = torch.autograd.grad(torch.stack(alone).sum(), head)
    torch.testing.assert_close(of_batch, of_each, rtol=1e-4, atol=1e-6)
    union = {token for example in examples for token in example.candidates}
    assert set(of_batch.abs().sum(1).nonzero()[:, 0].tolist()) == union
    whole = answer_loss(model, [Example(e.prompt, e.answer) for e in examples], ())
    assert whole > together / sum(counts) + 0.1


def test_each_answer_token_chooses_among_its_example_s_candidates() -> None:
    batch = [Example((1,), (5, 2), (2, 5, 9)), Example((1, 1), (7,), (2, 7))]
    found = candidates_of(batch, torch.device("cpu"))
    assert found is not None
    assert found.tokens.tolist() == [2, 5, 7, 9]
    first, second = [True, True, False, True], [True, False, True, False]
    assert found.legal.tolist() == [first, first, second]
    assert candidates_of([Example((1,), (5,))], torch.device("cpu")) is None


def test_a_checkpoint_knows_which_softmax_it_was() -> None:
    one, other = (option("regime", "lora", candidate_softmax=each) for each in (False, True))
    examples = [Example((1,), (2,))]
    assert training_id(one, examples, 13) != training_id(other, examples, 13)


def test_without_a_grammar_it_is_refused(tiny_llama: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="candidate_softmax=false"):
        examples_of(loaded_from(tiny_llama), a_task(tmp_path))


def run(output: Path, llama: Path, *words: str) -> int:
    """`chmed-ner run` in this process, on the tiny model."""
    common = [
        "backbone=causal_lm", f"backbone.path={llama}", "backbone.dtype=float32",
        "backbone.device=cpu", "tracking=dry", f"paths.output={output}",
        "limit.train=12", "limit.validation=1", "limit.test=1", "regime.epochs=2",
        "regime.batch_size=4", "regime.warmup_share=0", "regime.candidate_softmax=true",
    ]  # fmt: skip
    return main(["run", *common, *words])


def losses(run_directory: Path) -> list[float]:
    """The loss of every step."""
    rows = map(json.loads, (run_directory / "history.jsonl").read_text().splitlines())
    return [row["value"] for row in rows if row["metric"] == "train/loss"]


@pytest.mark.parametrize(
    ("prompt", "regime", "decoding"),
    [
        ("extraction", "lora", "greedy"), ("extraction", "full", "constrained"),
        ("inline", "lora", "constrained"), ("bio_runs", "lora", "constrained"),
    ],
)  # fmt: skip
def test_a_run_trains_and_decodes(
    prompt: str, regime: str, decoding: str, tiny_llama: Path, tmp_path: Path
) -> None:
    words = [f"prompt={prompt}", f"regime={regime}", f"decoding={decoding}"]
    assert run(tmp_path, tiny_llama, *words, "regime.learning_rate=0.003") == 0
    (directory,) = (tmp_path / "runs").iterdir()
    found = losses(directory)
    assert len(found) == 6
    assert sum(found[3:]) < sum(found[:3])
    metrics = json.loads((directory / "metrics.json").read_text())
    if decoding == "constrained":
        assert metrics["parse/unparsable_line_rate"] == 0
    completions = (directory / "completions.jsonl").read_text(encoding="utf-8").splitlines()
    assert len(completions) == 4  # one of each genre, and of the validation split


def test_full_tuning_moves_no_other_row_of_an_untied_head(tiny_llama: Path, tmp_path: Path) -> None:
    words = ["regime=full", "regime.learning_rate=0.003", "limit.train=1", "regime.weight_decay=0"]
    assert run(tmp_path, tiny_llama, *words) == 0
    (model,) = (tmp_path / "runs").glob("*/model/model.safetensors")
    before = load_file(tiny_llama / "model.safetensors")["lm_head.weight"]
    changed = (load_file(model)["lm_head.weight"] != before).any(1)
    assert 20 < int(changed.sum()) < len(changed) - 20


def test_a_prompt_without_a_grammar_is_refused_before_anything_is_loaded(
    tiny_llama: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(tmp_path, tiny_llama, "prompt=json", "regime=lora") == 2
    said = "".join(capsys.readouterr())
    assert "regime.candidate_softmax=true" in said
    assert "prompt=json" in said
    assert "extraction, inline or bio" in said
    assert "weights" not in said
