"""Long texts and long files: read line by line, cut into sentences, offsets put back.

A document is a line. ； does not end a sentence: of HealthNER's 2,530 (part `test`) 113 have a ；
inside, one a 。！？.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, count
from typing import BinaryIO, Protocol

from chmed_ner.entities import Prediction, Span
from chmed_ner.errors import InputError, not_utf8
from chmed_ner.files import without_mark

MAX_CHARACTERS = 512
"""Characters that are read at once; the corpora's longest sentence has 442."""
AT_ONCE = 512
"""Sentences that a model is given at once."""
BLOCK = 32768
"""Bytes read at once."""

_LINE = re.compile(r"[^\r\n]*[\r\n]+|[^\r\n]+")
_END = re.compile(r"[。！？!?]+[」』”’）)】》〉]*[\r\n]*")
_SOFT = ("；;", "，,", "、：: \t\u3000")
"""Where a sentence that is too long is cut, the best places first."""


@dataclass(frozen=True, slots=True)
class Document:
    """A text, and the line end that followed it in its file (empty at the end of a file)."""

    text: str
    end: str = ""


@dataclass(frozen=True, slots=True)
class Annotated:
    """A document with its entities; `sentences` are `[start, end)` and cover the text.

    `gold`: people annotated it, no model.
    """

    document: Document
    prediction: Prediction
    sentences: tuple[tuple[int, int], ...]
    gold: bool = False


class Predicts(Protocol):
    """A model that reads sentences."""

    def predict(self, texts: Sequence[str]) -> list[Prediction]:
        """One prediction a text, in order."""


def sentences_of(text: str, longest: int = MAX_CHARACTERS) -> Iterator[tuple[int, int]]:
    """`[start, end)` of each piece that is read at once; together they cover `text` without gaps.

    A line over `longest` is cut after its sentences, a longer sentence at its last ； ， 、 or
    space (the better mark if it is in the second half), else after `longest`.
    """
    for line in _LINE.finditer(text):
        if line.end() - line.start() <= longest:
            yield line.span()
            continue
        start = line.start()
        for match in _END.finditer(text, line.start(), line.end()):
            yield from _cut(text, start, match.end(), longest)
            start = match.end()
        yield from _cut(text, start, line.end(), longest)


def _cut(text: str, start: int, end: int, longest: int) -> Iterator[tuple[int, int]]:
    while end - start > longest:
        cut = start + _break(text[start : start + longest])
        yield start, cut
        start = cut
    if start < end:
        yield start, end


def _break(window: str) -> int:
    places = [1 + max(window.rfind(mark) for mark in marks) for marks in _SOFT]
    late = [place for place in places if 2 * place > len(window)]
    return late[0] if late else max(places) or len(window)


def annotate(
    model: Predicts, blocks: Iterable[Sequence[Document]], longest: int = MAX_CHARACTERS
) -> Iterator[Annotated]:
    """Every document with its entities, in order; ids are `0`, `1` ...

    Problems are summed over a document's sentences; blank ones are not asked. A block is read
    together, so in bfloat16 a rare token may depend on how a file is cut into blocks.
    """
    numbers = count()
    for block in blocks:
        bounds = [tuple(sentences_of(each.text, longest)) for each in block]
        asked = [
            each.text[start:end]
            for each, places in zip(block, bounds, strict=True)
            for start, end in places
            if not each.text[start:end].isspace()
        ]
        some = (asked[at : at + AT_ONCE] for at in range(0, len(asked), AT_ONCE))
        answers = chain.from_iterable(map(model.predict, some))
        for document, places in zip(block, bounds, strict=True):
            text, spans = document.text, list[Span]()
            problems: Counter[str] = Counter()
            for start, end in places:
                if not text[start:end].isspace():
                    found = next(answers)
                    spans += [span.moved(start) for span in found.entities]
                    problems.update(found.problems)
            id_ = str(next(numbers))
            prediction = Prediction(id_, "predict", "", text, tuple(spans), dict(problems))
            yield Annotated(document, prediction, places)


def read_documents(stream: BinaryIO, name: str, block: int = BLOCK) -> Iterator[list[Document]]:
    """The lines of a UTF-8 stream, those together that were read at once: a pipe's when they come.

    A byte order mark is left out, encoded lone surrogates are let through. InputError, after the
    lines before it: a line is not UTF-8.
    """
    parts: list[bytes] = []
    number = 0
    while data := _read(stream, name, block):
        head, newline, tail = data.rpartition(b"\n")
        if not newline:
            parts.append(data)
            continue
        raw = [line + b"\n" for line in b"".join([*parts, head]).split(b"\n")]
        parts = [tail] if tail else []
        yield from _decoded(raw, name, number)
        number += len(raw)
    if parts:
        yield from _decoded([b"".join(parts)], name, number)


def _read(stream: BinaryIO, name: str, block: int) -> bytes:
    try:
        # what is there now, at most `block`: a buffered stream's `read` would wait for all of it
        return stream.read1(block)  # type: ignore[attr-defined, no-any-return]
    except OSError as error:
        raise InputError(f"{name}: cannot be read ({error.strerror})") from None


def _decoded(raw: Sequence[bytes], name: str, before: int) -> Iterator[list[Document]]:
    documents: list[Document] = []
    for number, line in enumerate(raw, start=before + 1):
        try:
            text = line.decode("utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            if documents:
                yield documents
            problem = not_utf8(error, b"".join(raw[number - before :]))
            raise InputError(f"{name}, line {number}: {problem}") from None
        if number == 1 and not (text := without_mark(text, name)):
            continue
        end = "\r\n" if text.endswith("\r\n") else text[-1:] if text.endswith("\n") else ""
        documents.append(Document(text.removesuffix(end), end))
    yield documents
