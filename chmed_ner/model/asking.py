"""What the runner needs of a backbone, and the records that pass between them."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from chmed_ner.entities.grammar import Grammar
from chmed_ner.entities.types import Completion, Demonstration


@dataclass(frozen=True, slots=True)
class Request:
    """One question to a backbone.

    `prompt` is the text without any chat template; `max_new_tokens` caps the answer (tokens);
    `target` is what a perfect model would answer, which only the scripted backbone looks at. With a
    `grammar`, the answer must follow it. `demonstrations` come before the prompt: as turns of their
    own where the model knows turns, else as text.
    """

    id: str
    split: str
    genre: str
    prompt: str
    max_new_tokens: int
    target: str = ""
    grammar: Grammar | None = None
    demonstrations: tuple[Demonstration, ...] = ()

    @property
    def text(self) -> str:
        """All that the model is asked, as text."""
        return plain_text(self.prompt, self.demonstrations)


def plain_text(prompt: str, demonstrations: Sequence[Demonstration]) -> str:
    """A prompt after its demonstrations, for a model that knows no turns."""
    return "".join([*(each.text for each in demonstrations), prompt])


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer to one request; `stop` is `end`, `length` or `refused`."""

    text: str
    stop: str
    prompt_tokens: int
    completion_tokens: int


@dataclass(frozen=True, slots=True)
class Answered:
    """A request with its reply; `seconds` is its share of the time, 0 for what was known before."""

    request: Request
    reply: Reply
    seconds: float


class Generator(Protocol):
    """A backbone that is ready to answer."""

    @property
    def batch_size(self) -> int:
        """How many requests it likes to be asked at once."""

    def length(self, request: Request) -> int:
        """The request's length in tokens, for batches of like lengths."""

    def answer(self, batch: Sequence[Request]) -> list[Reply]:
        """One reply a request, in order."""

    def most_seconds(self, batches: Sequence[Sequence[Request]]) -> float:
        """How long `batches` take at most, if every answer runs to its cap; measured beforehand."""

    def close(self) -> None:
        """Free the memory it holds."""


@runtime_checkable
class Streaming(Protocol):
    """What a generator offers that does not answer batch by batch."""

    def stream(
        self, requests: Sequence[Request], before: Iterable[Completion]
    ) -> Iterator[list[Answered]]:
        """All `requests` answered, in lists of what has come in; each list is kept at once.

        `before` are the completions that the run has already.
        """
