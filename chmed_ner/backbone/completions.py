"""Ask a generator for every sentence once; what is kept on disk is not asked again."""

import logging
import time
from collections.abc import Callable, Generator as Yields, Iterable, Sequence
from contextlib import closing
from functools import partial

from chmed_ner.backbone.completion_file import CompletionStore
from chmed_ner.backbone.decoding import Greedy
from chmed_ner.backbone.watch import Pace, Watch
from chmed_ner.entities import Completion, Sentence
from chmed_ner.errors import InputError
from chmed_ner.files import text_sha256
from chmed_ner.machine import duration, progress
from chmed_ner.model import Answered, Generator, Reply, Request, Streaming
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
            target=prompt.target(sentence) if _has_gold(sentence, prompt) else "",
            grammar=decoding.grammar(prompt, sentence.model_text),
            demonstrations=question.demonstrations,
            usable=partial(_readable, prompt, sentence.model_text),
        )
        for sentence, question in zip(sentences, questions, strict=True)
    ]


def _has_gold(sentence: Sentence, prompt: TaskPrompt) -> bool:
    return sentence.tags is not None or prompt.labels.nested


def _readable(prompt: TaskPrompt, model_text: str, reply: Reply) -> bool:
    return "unread" not in prompt.parse(reply.text, model_text, reply.stop).problems


def generate(
    generator: Generator, requests: Sequence[Request], store: CompletionStore
) -> dict[str, Completion]:
    """The completion of every request by sentence id, asking only for batches not yet whole.

    InputError when the store holds the completion of another prompt.
    """
    batches = plan_batches(requests, generator.length, generator.batch_size)
    left = [batch for batch in batches if not all(_stored(store, request) for request in batch)]
    if len(left) < len(batches):
        log.info("%d of %d batches are already answered", len(batches) - len(left), len(batches))
    most, count = generator.most_seconds(left) if left else 0.0, sum(map(len, left))
    if left:
        log.info("generating %d answers: at most %s", count, duration(most))
    watch, pace = Watch(), Pace(count, most)
    bar = progress(count, "generate", "sentence")
    with bar, closing(answers(generator, left, store)) as found:
        for some in found:
            store.append([_completion(each) for each in some])
            watch.look_at(some)
            pace.look_at(len(some))
            bar.update(len(some))
    watch.finish()
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
        cut=reply.cut,
        off_grammar=reply.off_grammar,
        logprobs=reply.logprobs,
    )


def faults(answer: Completion | Reply) -> dict[str, int]:
    """What went wrong with an answer before it was read, as its problems count it."""
    return {
        **({"cut": 1} if answer.cut else {}),
        **({"off_grammar": 1} if answer.off_grammar else {}),
    }


def plan_batches(
    requests: Sequence[Request], length: Callable[[Request], int], batch_size: int
) -> list[tuple[Request, ...]]:
    """All requests in batches of like length, longest first, which shows early whether the memory
    suffices; their order does not matter, so that a resumed run and `predict` batch alike."""
    ordered = sorted(requests, key=lambda request: (-length(request), request.prompt, request.id))
    return [
        tuple(ordered[start : start + batch_size]) for start in range(0, len(ordered), batch_size)
    ]
