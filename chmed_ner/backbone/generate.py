"""Ask a generator for every sentence once, keeping what is already on disk."""

import logging
import time
from collections.abc import Callable, Iterable, Sequence
from collections.abc import Generator as Yields
from contextlib import closing

from chmed_ner.backbone.decoding import Greedy
from chmed_ner.backbone.store import CompletionStore
from chmed_ner.entities.types import Completion, Sentence
from chmed_ner.errors import InputError
from chmed_ner.files import text_sha256
from chmed_ner.machine import duration, progress
from chmed_ner.model.asking import Answered, Generator, Request, Streaming
from chmed_ner.prompt import TaskPrompt

log = logging.getLogger(__name__)


def requests_for(
    sentences: Sequence[Sentence], prompt: TaskPrompt, decoding: Greedy
) -> list[Request]:
    """One question a sentence, in order; for a sentence with gold tags the target as well."""
    questions = prompt.ask([sentence.model_text for sentence in sentences])
    return [
        Request(
            id=sentence.id,
            split=sentence.split,
            genre=sentence.genre,
            prompt=question.prompt,
            max_new_tokens=decoding.max_new_tokens(prompt.room(len(sentence.model_text))),
            target="" if sentence.tags is None else prompt.target(sentence),
            grammar=decoding.grammar(prompt, sentence.model_text),
            demonstrations=question.demonstrations,
        )
        for sentence, question in zip(sentences, questions, strict=True)
    ]


def generate(
    generator: Generator, requests: Sequence[Request], store: CompletionStore
) -> dict[str, Completion]:
    """The completion of every request by sentence id, asking only for batches not yet whole.

    Raises InputError when the store holds a completion of another prompt for the same sentence.
    """
    batches = plan_batches(requests, generator.length, generator.batch_size)
    left = [batch for batch in batches if not all(_stored(store, request) for request in batch)]
    if len(left) < len(batches):
        log.info("%d of %d batches are already answered", len(batches) - len(left), len(batches))
    if left:
        most, count = generator.most_seconds(left), sum(map(len, left))
        log.info("generating %d answers: at most %s", count, duration(most))
    with progress(len(requests), "generate", "sentence") as bar:
        bar.update(len(requests) - sum(map(len, left)))
        with closing(answers(generator, left, store)) as found:
            for some in found:
                store.append([_completion(each) for each in some])
                bar.update(len(some))
    return stored_completions(requests, store)


def answers(
    generator: Generator, batches: Sequence[Sequence[Request]], before: Iterable[Completion] = ()
) -> Yields[list[Answered], None, None]:
    """Every request of `batches` answered: a batch at a time, or as the generator streams them."""
    if isinstance(generator, Streaming):
        yield from generator.stream([request for batch in batches for request in batch], before)
        return
    for batch in batches:
        began = time.perf_counter()
        replies = generator.answer(batch)
        seconds = (time.perf_counter() - began) / len(batch)
        yield [Answered(*each, seconds) for each in zip(batch, replies, strict=True)]


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
    if completion and completion.prompt_sha256 != text_sha256(request.text):
        raise InputError(
            f"{store.path}: the completion of sentence {request.id} answers another prompt; "
            "corpus, script or prompt wording have changed: start a new run"
        )
    return completion


def _completion(answered: Answered) -> Completion:
    request, reply = answered.request, answered.reply
    return Completion(
        id=request.id,
        split=request.split,
        genre=request.genre,
        prompt_sha256=text_sha256(request.text),
        text=reply.text,
        stop=reply.stop,
        prompt_tokens=reply.prompt_tokens,
        completion_tokens=reply.completion_tokens,
        seconds=round(answered.seconds, 6),
    )


def plan_batches(
    requests: Sequence[Request], length: Callable[[Request], int], batch_size: int
) -> list[tuple[Request, ...]]:
    """All requests in batches of like length, longest first.

    The plan depends on the requests' prompts only, not on their order, so that the same sentences
    are batched alike in a run, after a resume and in `predict`. Longest first shows at once whether
    the memory suffices.
    """
    ordered = sorted(requests, key=lambda request: (-length(request), request.prompt, request.id))
    return [
        tuple(ordered[start : start + batch_size]) for start in range(0, len(ordered), batch_size)
    ]
