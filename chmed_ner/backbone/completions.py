"""Ask a generator for every sentence once; the completions are kept on disk, one JSON object a
line, so that what is there is not asked again."""

import json
import logging
import os
import time
from collections.abc import Callable, Generator as Yields, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import MISSING, asdict, fields
from functools import partial
from pathlib import Path
from typing import Any

from chmed_ner.backbone.decoding import Greedy
from chmed_ner.backbone.watch import Watch
from chmed_ner.entities import Completion, Sentence
from chmed_ner.errors import InputError
from chmed_ner.files import cut_torn_line, json_line, text_sha256
from chmed_ner.machine import duration, progress
from chmed_ner.model import Answered, Generator, Reply, Request, Streaming
from chmed_ner.prompt import TaskPrompt


class CompletionStore:
    """The file `completions.jsonl` of a run, a batch appended at a time.

    An interruption leaves at most one unfinished line, which is cut off when it is opened again.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._found = {(item.split, item.id): item for item in read_completions(path, repair=True)}

    def __len__(self) -> int:
        return len(self._found)

    def __iter__(self) -> Iterator[Completion]:
        """Every stored completion, of all splits."""
        return iter(list(self._found.values()))

    def get(self, split: str, sentence_id: str) -> Completion | None:
        """The stored completion of a sentence, None if it was not asked yet."""
        return self._found.get((split, sentence_id))

    def clear(self) -> None:
        """Forget everything, on disk too."""
        self.path.unlink(missing_ok=True)
        self._found.clear()

    def append(self, completions: Sequence[Completion]) -> None:
        """Write a batch's completions; they are on disk when this returns."""
        lines = "".join(json_line(_record(completion)) for completion in completions)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("ab") as file:
            file.write(lines.encode("utf-8"))
            file.flush()
            os.fsync(file.fileno())
        self._found.update({(item.split, item.id): item for item in completions})


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
            usable=partial(_readable, prompt, sentence.model_text),
        )
        for sentence, question in zip(sentences, questions, strict=True)
    ]


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
    if left:
        most, count = generator.most_seconds(left), sum(map(len, left))
        log.info("generating %d answers: at most %s", count, duration(most))
    watch = Watch()
    with progress(len(requests), "generate", "sentence") as bar:
        bar.update(len(requests) - sum(map(len, left)))
        with closing(answers(generator, left, store)) as found:
            for some in found:
                store.append([_completion(each) for each in some])
                watch.look_at(some)
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


_TYPES = {
    field.name: (float, int) if field.type is float else (field.type,)
    for field in fields(Completion)
}
_USUAL = {each.name: each.default for each in fields(Completion) if each.default is not MISSING}
"""What is not written where it is so."""
_STOPS = ("end", "length", "refused")


def _record(completion: Completion) -> dict[str, Any]:
    record = asdict(completion)
    return {name: value for name, value in record.items() if _USUAL.get(name) != value}


def read_completions(path: Path, *, repair: bool = False) -> list[Completion]:
    """The completions in a file, in the order they were written; InputError for a broken line.

    The unfinished last line of an interrupted run is ignored, and with `repair` cut off.
    """
    if not path.is_file():
        return []
    if repair:
        cut_torn_line(path)
    data = path.read_bytes()
    whole = data.rfind(b"\n") + 1
    completions = []
    for number, line in enumerate(data[:whole].split(b"\n")[:-1], start=1):
        try:
            completions.append(_checked(json.loads(line.decode("utf-8"))))
        except (ValueError, RecursionError) as error:
            raise InputError(
                f"{path}, line {number}: not a completion ({error}); restore the file or start a "
                "new run"
            ) from None
    _report_conflicts(path, completions)
    return completions


def _report_conflicts(path: Path, completions: Sequence[Completion]) -> None:
    """Say so where a sentence has several answers that differ."""
    said: dict[tuple[str, str], set[tuple[str, str]]] = {}
    for each in completions:
        said.setdefault((each.split, each.id), set()).add((each.prompt_sha256, each.text))
    twice = [id_ for (_, id_), answers in said.items() if len(answers) > 1]
    if twice:
        log.warning(
            "%s: %d sentences have answers that contradict each other, such as %s; the last counts",
            path,
            len(twice),
            twice[0],
        )


def _checked(record: Any) -> Completion:
    """The completion that a line's JSON holds; ValueError for anything else."""
    needed = [name for name in _TYPES if name not in _USUAL]
    if not isinstance(record, dict) or not set(needed) <= record.keys() <= _TYPES.keys():
        raise ValueError(f"it needs the keys {', '.join(needed)}")
    for name, value in record.items():
        if type(value) not in _TYPES[name]:
            raise ValueError(f"{name} is {value!r}")
    if record["stop"] not in _STOPS:
        raise ValueError(f"stop is {record['stop']!r}, not one of {', '.join(_STOPS)}")
    return Completion(**record)
