"""HealthNER's JSON lines (Lee and Lu 2021), plain or in the official zip file.

A line is an object with `id`, `genre` (`ft`, `sm`), `sentence`, `character` (a list of single
characters) and `character_label` (a BIO tag for each); the word level is not read.
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from itertools import takewhile
from operator import eq
from pathlib import Path
from typing import IO, Any

from chmed_ner.data.archive import opened_member
from chmed_ner.data.columns import Line, TagCheck, lines, opened, shown
from chmed_ner.entities import LabelScheme, Sentence, chunks
from chmed_ner.errors import InputError
from chmed_ner.files import without_mark

GENRES = ("FT", "SM")
_SURROGATE = re.compile("[\ud800-\udfff]")
_LISTS = ("character", "character_label")


def read_healthner(
    path: Path,
    *,
    prefix: str,
    split: str,
    genres: Sequence[str],
    labels: LabelScheme | None,
) -> tuple[Sentence, ...]:
    """The sentences of `genres` (`FT`, `SM`) in file order; a `train.zip` is read as an archive.

    The tags belong to `character`, so that is the text. InputError: a line breaks the format, or
    its `sentence` differs in more than white space.
    """
    check = TagCheck(labels)
    seen: dict[str, int] = {}
    sentences: list[Sentence] = []
    with _stream(path) as (stream, file):
        for line in lines(stream, file):
            if not line.text.strip():
                continue
            sentence = _sentence(line, check, prefix, split)
            first = seen.setdefault(sentence.id, line.number)
            if first != line.number:
                line.refuse(
                    f"id {shown(sentence.id.removeprefix(prefix))} was used on line {first} "
                    "already; give each sentence its own."
                )
            if sentence.genre in genres:
                sentences.append(sentence)
    if not seen:
        raise InputError(f"{path}: holds no sentence; is this the right file, is it complete?")
    return tuple(sentences)


def _sentence(line: Line, check: TagCheck, prefix: str, split: str) -> Sentence:
    record = _record(line)
    characters, tags = (_strings(line, record, key) for key in _LISTS)
    if len(characters) != len(tags):
        line.refuse(f"{len(characters)} characters but {len(tags)} character labels.")
    for character in characters:
        if len(character) != 1 or _SURROGATE.search(character):
            line.refuse(
                f"`character` holds {shown(character)}; each must be one character of text (lone "
                "surrogates are none)."
            )
    text = "".join(characters)
    _compare(line, record.get("sentence"), text)
    known = tuple(check.read(line, tag) for tag in tags)
    return Sentence(
        id=f"{prefix}{_id(line, record)}",
        split=split,
        genre=_genre(line, record),
        text=text,
        tags=known,
        entities=chunks(known),
    )


def _record(line: Line) -> dict[str, Any]:
    text = line.text if line.number > 1 else without_mark(line.text, line.file)
    try:
        record = json.loads(text)
    except json.JSONDecodeError as error:
        line.refuse(f"not JSON: {error.msg} at character {error.pos + 1}; one object a line.")
    except (ValueError, RecursionError) as error:
        line.refuse(f"not usable JSON ({type(error).__name__}); one plain object a line.")
    if not isinstance(record, dict):
        line.refuse(f"a JSON {type(record).__name__}; expected one object a line.")
    return record


def _strings(line: Line, record: dict[str, Any], key: str) -> list[str]:
    value = record.get(key)
    if not isinstance(value, list) or not value or not all(isinstance(v, str) for v in value):
        line.refuse(f"key `{key}` must be a list of strings that is not empty.")
    return value


def _compare(line: Line, sentence: object, text: str) -> None:
    if not isinstance(sentence, str):
        line.refuse("key `sentence` must be a string.")
    if _SURROGATE.search(sentence):
        line.refuse("`sentence` holds a lone surrogate, which is not text; repair the line.")
    if sentence != text and "".join(sentence.split()) != "".join(text.split()):
        same = sum(takewhile(bool, map(eq, sentence, text)))
        line.refuse(
            f"`character` joined is not `sentence`: they part after {same} characters, with "
            f"{shown(text[same : same + 10])} and {shown(sentence[same : same + 10])}; make them "
            "agree."
        )


def _id(line: Line, record: dict[str, Any]) -> str:
    value = record.get("id")
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        line.refuse(f"key `id` is {shown(str(value))}; expected a string or a whole number.")
    if _SURROGATE.search(str(value)):
        line.refuse("`id` holds a lone surrogate, which is not text; repair the line.")
    return str(value)


def _genre(line: Line, record: dict[str, Any]) -> str:
    value = record.get("genre")
    genre = value.upper() if isinstance(value, str) else ""
    if genre not in GENRES:
        line.refuse(f"key `genre` is {shown(str(value))}; expected ft or sm.")
    return genre


@contextmanager
def _stream(path: Path) -> Iterator[tuple[IO[bytes], str]]:
    if path.suffix.lower() == ".zip":
        member = f"{path.stem}.json"
        with opened_member(path, member) as stream:
            yield stream, f"{path}!{member}"
    else:
        with opened(path) as stream:
            yield stream, str(path)
