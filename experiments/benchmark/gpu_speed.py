"""In bfloat16: sentences and examples a second, and memory, beside the peers; NF4."""

import shutil
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import util
from typing import Any

from bench_peers import Watch, train
from bench_side import answered, batches_of, timed, train_loaded
from gpu_shapes import SEED, parameters
from gpu_subject import Measured, Subject, Unfit

from chmed_ner.model import GreedyGenerator, LoadedModel, LocalGenerator

WARM = 2
"""Training steps that are not timed."""

FIRST = 8
"""Sentences that are answered before time is taken."""

MEMORY = 1.4
"""Memory over that of the weights, at the least."""


def rate(subject: Subject, generator: Any, asked: Sequence[Any]) -> dict[str, Any]:
    """Sentences and tokens a second for `asked`, after a few others; peak memory, texts.

    Texts are on the host when a generator returns: nothing is left to wait for on the GPU.
    """
    if isinstance(generator, LocalGenerator) and not generator.serves(asked):
        raise RuntimeError(f"our loop does not compute this model's logits in {subject.dtype}")
    answered(generator, asked[:FIRST])
    subject.forget_peak()
    began = time.perf_counter()
    replies = answered(generator, asked)
    seconds = time.perf_counter() - began
    return {
        "sentences_per_second": len(asked) / seconds,
        "tokens_per_second": sum(reply.completion_tokens for reply in replies) / seconds,
        "peak_mib": subject.peak_mib(),
        "texts": [reply.text for reply in replies],
    }


def rates(subject: Subject, loaded: LoadedModel, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The best rate of each of `names` (ours, constrained, generate) over the batch sizes."""
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        build: Callable[..., Any] = GreedyGenerator if name == "generate" else LocalGenerator
        decoding = "constrained" if name == "constrained" else "greedy"
        asked = subject.requests(decoding, *subject.scale.timed)
        tried = [
            rate(subject, build(loaded, batch_size=size, stop=subject.stop), asked)
            | {"batch_size": size}
            for size in subject.scale.sizes
        ]
        found[name] = max(tried, key=lambda each: each["sentences_per_second"])
    same = sum(map(str.__eq__, found["ours"]["texts"], found["generate"]["texts"]))
    for each in found.values():
        del each["texts"]
    return {**found, "same_texts": {"ours": same, "of": len(asked)}}


def decoding(subject: Subject) -> Measured:
    """Our loop, greedy and constrained, and `generate`, each at its best batch size."""
    subject.needs(MEMORY * 2)
    found = rates(subject, subject.loaded(subject.dtype), ("generate", "ours", "constrained"))
    return Measured("measured", said_of(subject, found), found)


def said_of(subject: Subject, found: Mapping[str, Mapping[str, Any]]) -> str:
    """The rates in words."""
    ours, theirs = (found[name]["sentences_per_second"] for name in ("ours", "generate"))
    said = f"{ours:.1f} sentences/s, {ours / theirs:.2f} x generate"
    if "constrained" in found:
        said += f"; constrained {found['constrained']['sentences_per_second']:.1f}"
    peaks = "/".join(f"{found[name]['peak_mib']:,.0f}" for name in ("ours", "generate"))
    same = found["same_texts"]
    return f"{said}; {peaks} MiB; {same['ours']} of {same['of']} texts the same ({subject.dtype})"


def steps(
    subject: Subject, peer: str, loaded: LoadedModel | None = None, *, bf16: bool = False
) -> dict[str, Any]:
    """Examples a second and peak memory of a training by `peer`, ours or trainer, with `bf16` under
    autocast; None a second where it does not fit the memory."""
    import torch

    subject.forget_peak()
    watch, taken = Watch(), subject.what.taken(0, WARM + subject.scale.steps)
    loaded = loaded or subject.loaded(subject.dtype)
    with tempfile.TemporaryDirectory() as scratch:
        job = subject.what.job(peer, taken, SEED, warm=WARM, scratch=scratch, bf16=bf16)
        batches = batches_of(job)
        try:
            if peer == "ours":
                train_loaded(loaded, subject.experiment().regime, job, watch)
            else:
                train(loaded.model, job, batches, watch)
        except torch.OutOfMemoryError:
            return {"examples_per_second": None, "peak_mib": subject.peak_mib(), "bf16": bf16}
    result = timed(watch, batches, WARM)
    return {
        "examples_per_second": result["examples"] / sum(result["seconds"]),
        "peak_mib": subject.peak_mib(),
        "losses": result["losses"],
        "bf16": bf16,
    }


def speed_of(trained: Mapping[str, Any]) -> str:
    """A training's speed and peak memory in words."""
    speed = trained["examples_per_second"]
    if speed is None:
        return "does not fit the GPU's memory"
    return f"{speed:.1f} examples/s, {trained['peak_mib']:,.0f} MiB"


def training(subject: Subject) -> Measured:
    """LoRA by our loop and by transformers' Trainer, with autocast or without, as it is faster."""
    subject.needs(MEMORY * 2)
    ours = steps(subject, "ours")
    precisions = (False, True) if subject.dtype == "bfloat16" else (False,)
    tried = [steps(subject, "trainer", bf16=bf16) for bf16 in precisions]
    theirs = max(tried, key=lambda each: each["examples_per_second"] or 0)
    said = f"{speed_of(ours)}; Trainer {speed_of(theirs)}"
    if ours["examples_per_second"] and theirs["examples_per_second"]:
        ratio = ours["examples_per_second"] / theirs["examples_per_second"]
        pairs = zip(ours["losses"], theirs["losses"], strict=True)
        off = max(abs(one / other - 1) for one, other in pairs)
        said = f"{ratio:.2f} x Trainer: {said}; losses within {off:.2%}"
    return Measured("measured", said, {"ours": ours, "trainer": theirs})


def nf4(subject: Subject) -> Measured:
    """The weights, written once, read in 4 bits as `backbone.quantization=nf4` does: our loop
    beside `generate`, and steps of QLoRA."""
    if util.find_spec("bitsandbytes") is None:
        raise Unfit('bitsandbytes is not installed; pip install "chmed-ner[quantized]"')
    wanted, free = 2.1 * parameters(subject.shape), shutil.disk_usage(subject.folder).free
    if wanted > free:
        raise Unfit(
            f"{subject.folder}: the weights take {wanted / 1e9:.0f} GB there, and "
            f"{free / 1e9:.0f} are free; set TMPDIR"
        )
    subject.needs(2 * 1.1)
    subject.loaded(subject.dtype).model.save_pretrained(
        subject.folder,
        max_shard_size="2GB",  # one at a time is copied to the host
    )
    backbone = subject.experiment().backbone.tunable().quantized("nf4", "gpu_check")
    subject.forget_peak()
    loaded = backbone.load()
    found = rates(subject, loaded, ("generate", "ours"))
    tuned = steps(subject, "ours", loaded)
    said = f"weights {loaded.weight_bytes / 2**20:,.0f} MiB; {said_of(subject, found)}; QLoRA "
    said += speed_of(tuned)
    figures = {**found, "weight_bytes": loaded.weight_bytes, "qlora": tuned}
    return Measured("measured", said, figures)


def vllm(subject: Subject) -> Measured:
    """vLLM on weights that it makes up itself, the same prompts and as many tokens."""
    from vllm import LLM, SamplingParams

    asked = subject.requests("greedy", *subject.scale.timed)
    prompts = [{"prompt_token_ids": subject.prompt_ids(each)} for each in asked]
    how = [
        SamplingParams(temperature=0.0, max_tokens=each.max_new_tokens, ignore_eos=True)
        for each in asked
    ]
    longest = max(len(each["prompt_token_ids"]) for each in prompts) + subject.scale.timed[1]
    engine = LLM(
        model=str(subject.folder),
        load_format="dummy",
        dtype=subject.dtype,
        max_model_len=longest,
        gpu_memory_utilization=0.8,
    )
    engine.generate(prompts[:FIRST], how[:FIRST], use_tqdm=False)
    began = time.perf_counter()
    outputs = engine.generate(prompts, how, use_tqdm=False)
    seconds = time.perf_counter() - began
    count = sum(len(each.outputs[0].token_ids) for each in outputs)
    found = {"sentences_per_second": len(asked) / seconds, "tokens_per_second": count / seconds}
    said = "{sentences_per_second:.1f} sentences/s, {tokens_per_second:.0f} tokens/s"
    return Measured("measured", said.format(**found), found)
