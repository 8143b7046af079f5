"""One side of a comparison, alone in its process: `python bench_side.py JOB.json RESULT.json`.

A process of its own for each side and round: no side finds kernels compiled, memory freed or
environment variables set by another one, and the peak memory is its own.
"""

import json
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from bench_peers import Watch, backbone, train

from chmed_ner.machine import peak_mib, prepare_memory
from chmed_ner.train import Example, epoch_batches


def examples_of(job: Mapping[str, Any]) -> list[Example]:
    """The examples of a training job."""
    return [Example(tuple(prompt), tuple(answer)) for prompt, answer in job["examples"]]


def batches_of(job: Mapping[str, Any]) -> list[list[Example]]:
    """The batches that our loop makes of a job's examples; the peers read them as they are."""
    return epoch_batches(examples_of(job), job["recipe"]["batch_size"], job["seed"], 0)


def train_ours(job: Mapping[str, Any], watch: Watch) -> None:
    """Our loop on the job's examples, from the configuration that the job's words compose."""
    prepare_memory()  # as a run does; the peers keep torch's own setting
    from chmed_ner.run import compose, configure

    experiment = configure(compose(job["words"]), {})
    train_loaded(experiment.backbone.tunable().load(), experiment.regime, job, watch)


def train_loaded(loaded: Any, regime: Any, job: Mapping[str, Any], watch: Watch) -> None:
    """Our loop on the job's examples, from a backbone in memory."""
    import torch

    from chmed_ner.train import AnswerLoss, KeptEpoch, Training, causal_lm

    def on_step(metrics: Mapping[str, float], _: int) -> None:
        watch.step()
        watch.losses.append(metrics["train/loss"])

    torch.manual_seed(job["seed"])
    model, examples = causal_lm(regime.prepared(loaded)), examples_of(job)
    kept = KeptEpoch(None, dict, on_step)
    checkpointing = regime.activation_checkpointing
    Training(
        AnswerLoss(model, examples, regime, activation_checkpointing=checkpointing),
        examples,
        regime,
        kept,
        seed=job["seed"],
        directory=Path(job["scratch"]),
    ).run()


def training(job: Mapping[str, Any]) -> dict[str, Any]:
    """Seconds of each step but the first `warm`, the losses, the peak memory."""
    watch, batches = Watch(), batches_of(job)
    if job["peer"] == "ours":
        train_ours(job, watch)
    else:
        train(backbone(job), job, batches, watch)
    return {**timed(watch, batches, job["warm"]), "peak_mib": peak_mib()}


def timed(watch: Watch, batches: Sequence[Sequence[Example]], warm: int) -> dict[str, Any]:
    """Seconds of each step but the first `warm`, their examples, the losses of all steps."""
    assert len(watch.ends) == len(batches), "one step a batch"
    return {
        "seconds": [after - before for before, after in pairwise(watch.ends[warm - 1 :])],
        "examples": sum(map(len, batches[warm:])),
        "losses": watch.losses,
    }


def decoding(job: Mapping[str, Any]) -> dict[str, Any]:
    """The answers to `job["sentences"]` and the seconds they took; other sentences warm up."""
    if job["decoder"] != "generate":
        prepare_memory()
    from chmed_ner.backbone import requests_for
    from chmed_ner.methods import prompt_for
    from chmed_ner.model import GreedyGenerator
    from chmed_ner.run import compose, configure, read_corpus
    from chmed_ner.train import adapted_generator, shared_prefix

    experiment = configure(compose(job["words"]), {})
    corpus = read_corpus(experiment)
    sentences = {sentence.id: sentence for sentence in corpus.test}
    prompt = prompt_for(experiment, corpus, Path(job["scratch"]))
    generator: Any = (
        adapted_generator(experiment.backbone.tunable(), Path(job["adapter"]), prompt.stop)
        if job["adapter"]
        else experiment.backbone.generator(stop=prompt.stop, seed=experiment.seed)
    )
    if job["decoder"] == "generate":
        generator = GreedyGenerator(
            generator.loaded, batch_size=job["batch_size"], stop=prompt.stop
        )

    def answer(ids: Sequence[str]) -> dict[str, Any]:
        began = time.perf_counter()
        asked = requests_for([sentences[each] for each in ids], prompt, experiment.decoding)
        replies = answered(generator, asked)
        seconds = time.perf_counter() - began
        rows = [Example(tuple(generator.prompt_ids(request)), ()) for request in asked]
        return {
            "seconds": seconds,
            "texts": [reply.text for reply in replies],
            "stops": [reply.stop for reply in replies],
            "prompt_tokens": [reply.prompt_tokens for reply in replies],
            "own_tokens": sum(reply.completion_tokens for reply in replies)
            + sum(map(len, rows))
            - len(rows) * len(shared_prefix(rows)),
            "completion_tokens": sum(reply.completion_tokens for reply in replies),
        }

    answer(job["warm_up"])
    found = [answer(ids) for ids in job["sentences"]]
    return {"parts": found, "peak_mib": peak_mib()}


def answered(generator: Any, asked: Sequence[Any]) -> list[Any]:
    """The replies to the requests `asked`, in their order; batches as a run makes them."""
    from chmed_ner.backbone import plan_batches

    replies = {}
    for batch in plan_batches(asked, generator.length, generator.batch_size):
        for request, reply in zip(batch, generator.answer(batch), strict=True):
            replies[request.id] = reply
    return [replies[request.id] for request in asked]


def main() -> None:
    """Do the job and write its result."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as scratch:
        job["scratch"] = scratch
        found = (training if "peer" in job else decoding)(job)
    Path(sys.argv[2]).write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
