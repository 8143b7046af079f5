"""HealthNER's JSON lines (Lee and Lu 2021), plain or in the official zip file.

A line is an object with `id`, `genre` (`ft`, `sm`), `sentence`, `character` (a list of single
characters) and `character_label` (a BIO tag for each); the word level is not read.
"""

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import takewhile
from operator import eq
from pathlib import Path
from typing import IO, Any

from chmed_ner.data.archive import opened_member
from chmed_ner.data.columns import Line, check_tags, lines, opened, shown
from chmed_ner.entities import LabelScheme, Sentence, chunks
from chmed_ner.errors import InputError

GENRES = ("FT", "SM")


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
    met: dict[str, Line] = {}
    seen: dict[str, int] = {}
    sentences: list[Sentence] = []
    with _stream(path) as (stream, file):
        for line in lines(stream, file):
            if not line.text.strip():
                continue
            sentence = _sentence(line, prefix, split)
            new = {tag: line for tag in sentence.tags or () if tag not in met}
            check_tags(new, labels)
            met |= new
            first = seen.setdefault(sentence.id, line.number)
            if first != line.number:
                line.refuse(
                    f"id {shown(sentence.id.removeprefix(prefix))} was used on line {first} "
                    "already; give each sentence its own."
                )
            if sentence.genre in genres:
                sentences.append(replace(sentence, entities=chunks(sentence.tags or ())))
    if not seen:
        raise InputError(f"{path}: holds no sentence; is this the right file, is it complete?")
    return tuple(sentences)


def _sentence(line: Line, prefix: str, split: str) -> Sentence:
    """The sentence of a line, without entities."""
    record = _record(line)
    characters, tags = (_strings(line, record, key) for key in ("character", "character_label"))
    if len(characters) != len(tags):
        line.refuse(f"{len(characters)} characters but {len(tags)} character labels.")
    for character in characters:
        if len(character) != 1:
            line.refuse(f"`character` holds {shown(character)}; each must be one character.")
    id_, sentence, genre = (record.get(key) for key in ("id", "sentence", "genre"))
    if isinstance(id_, bool) or not isinstance(id_, str | int) or id_ == "":
        line.refuse(f"key `id` is {shown(str(id_))}; expected a string or a whole number.")
    if not isinstance(sentence, str):
        line.refuse("key `sentence` must be a string.")
    text = "".join(characters)
    for key, value in (("character", text), ("sentence", sentence), ("id", str(id_))):
        if re.search("[\ud800-\udfff]", value):
            line.refuse(f"`{key}` holds a lone surrogate, which is not text; repair the line.")
    if sentence != text and "".join(sentence.split()) != "".join(text.split()):
        same = sum(takewhile(bool, map(eq, sentence, text)))
        line.refuse(
            f"`character` joined is not `sentence`: they part after {same} characters, with "
            f"{shown(text[same : same + 10])} and {shown(sentence[same : same + 10])}; make them "
            "agree."
        )
    if not isinstance(genre, str) or genre.upper() not in GENRES:
        line.refuse(f"key `genre` is {shown(str(genre))}; expected ft or sm.")
    return Sentence(f"{prefix}{id_}", split, genre.upper(), text, tuple(map(sys.intern, tags)))


def _record(line: Line) -> dict[str, Any]:
    try:
        record = json.loads(line.text)
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


@contextmanager
def _stream(path: Path) -> Iterator[tuple[IO[bytes], str]]:
    if path.suffix.lower() == ".zip":
        member = f"{path.stem}.json"
        with opened_member(path, member) as stream:
            yield stream, f"{path}!{member}"
    else:
        with opened(path) as stream:
            yield stream, str(path)
