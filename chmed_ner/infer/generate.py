"""Ask a generator for every sentence once, keeping what is already on disk."""

import logging
import time
from collections.abc import Sequence

from chmed_ner.backbone.protocol import Generator, Reply, Request
from chmed_ner.errors import InputError
from chmed_ner.files import text_sha256
from chmed_ner.infer.batching import plan_batches
from chmed_ner.infer.store import CompletionStore
from chmed_ner.progress import duration, progress
from chmed_ner.types import Completion

log = logging.getLogger(__name__)


def generate(
    generator: Generator, requests: Sequence[Request], store: CompletionStore
) -> dict[str, Completion]:
    """The completion of every request by sentence id, asking only for batches not yet whole.

    Raises InputError when the store holds a completion of another prompt for the same sentence.
    """
    batches = plan_batches(requests, generator.length, generator.batch_size)
    finished = sum(all(_stored(store, request) for request in batch) for batch in batches)
    if finished:
        log.info("%d of %d batches are already answered", finished, len(batches))
    if finished < len(batches):
        most = generator.most_seconds(batches[finished:])
        log.info("generating %d answers: at most %s", len(requests), duration(most))
    done: dict[str, Completion] = {}
    with progress(len(requests), "generate", "sentence") as bar:
        for batch in batches:
            stored = [_stored(store, request) for request in batch]
            found = [completion for completion in stored if completion]
            if len(found) < len(batch):
                found = _ask(generator, batch)
                store.append(found)
            done.update({completion.id: completion for completion in found})
            bar.update(len(batch))
    return done


def stored_completions(
    requests: Sequence[Request], store: CompletionStore
) -> dict[str, Completion]:
    """The completions of all requests from the store; InputError when one is missing."""
    done = {}
    for request in requests:
        completion = _stored(store, request)
        if completion is None:
            raise InputError(
                f"{store.path}: no completion for sentence {request.id}; the run is not finished, "
                "resume it first with resume=<its directory>"
            )
        done[request.id] = completion
    return done


def _stored(store: CompletionStore, request: Request) -> Completion | None:
    completion = store.get(request.split, request.id)
    if completion and completion.prompt_sha256 != text_sha256(request.prompt):
        raise InputError(
            f"{store.path}: the completion of sentence {request.id} answers another prompt; "
            "corpus, script or prompt wording have changed: start a new run"
        )
    return completion


def _ask(generator: Generator, batch: Sequence[Request]) -> list[Completion]:
    began = time.perf_counter()
    replies = generator.answer(batch)
    seconds = (time.perf_counter() - began) / len(batch)
    return [
        _completion(request, reply, seconds) for request, reply in zip(batch, replies, strict=True)
    ]


def _completion(request: Request, reply: Reply, seconds: float) -> Completion:
    return Completion(
        id=request.id,
        split=request.split,
        genre=request.genre,
        prompt_sha256=text_sha256(request.prompt),
        text=reply.text,
        stop=reply.stop,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        seconds=round(seconds, 6),
    )
