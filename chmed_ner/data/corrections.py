"""Sentences of HealthNER's training file in a participant's hands, with labels (healthner_extra/).

A JSON list of objects with `Sentence` and `Full True Labels` (a BIO tag a character).
"""

import logging
from pathlib import Path
from typing import Any

from chmed_ner.data.columns import BIO_TAG
from chmed_ner.data.healthner import GENRES, read_healthner
from chmed_ner.entities import LabelScheme, Sentence, chunks, split_tag
from chmed_ner.errors import InputError
from chmed_ner.files import read_json

GENRE = "EXTRA"
"""The file does not say which genre a sentence has."""

log = logging.getLogger(__name__)


def read_corrections(
    path: Path, *, prefix: str, split: str, labels: LabelScheme, tested: Path
) -> tuple[Sentence, ...]:
    """The distinct sentences with as many labels as characters, but those of HealthNER's test file.

    A log line counts both kinds that are left out. InputError: bad content, or no file `tested`.
    """
    known = {
        sentence.text
        for sentence in read_healthner(tested, prefix="", split="", genres=GENRES, labels=None)
    }
    content = read_json(path)
    if not isinstance(content, list):
        raise InputError(f"{path}: a JSON {type(content).__name__}; expected a list of objects")
    found: dict[str, Sentence] = {}
    unfit = in_test = 0
    for number, item in enumerate(content):
        text, tags = _item(f"{path}, item {number}", item, labels)
        if text in known:
            in_test += 1
        elif len(text) != len(tags):
            unfit += 1
        elif text not in found:
            id_ = f"{prefix}{number:05d}"
            found[text] = Sentence(id_, split, GENRE, text, tags, chunks(tags))
    log.info(
        "%s: %d of %d sentences are used; %d are in HealthNER's test file, %d have another number "
        "of labels than characters, the others occur twice",
        path, len(found), len(content), in_test, unfit,
    )  # fmt: skip
    return tuple(found.values())


def _item(where: str, item: Any, labels: LabelScheme) -> tuple[str, tuple[str, ...]]:
    text, tags = (
        (item.get("Sentence"), item.get("Full True Labels"))
        if isinstance(item, dict)
        else (None, None)
    )
    if not isinstance(text, str) or not isinstance(tags, list):
        raise InputError(f"{where}: needs Sentence, a text, and Full True Labels, a list of tags")
    for tag in tags:
        if not isinstance(tag, str) or not BIO_TAG.fullmatch(tag):
            raise InputError(f"{where}: {tag!r} is no BIO tag; write O, B-TYPE or I-TYPE")
        if (type_ := split_tag(tag)[1]) and type_ not in labels.tags:
            raise InputError(f"{where}: type {type_!r} is not in the label scheme '{labels.name}'")
    return text, tuple(tags)
