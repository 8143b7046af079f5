"""A list of mentions in whatever form a model gives it: JSON, lines, or something like JSON."""

import re
from collections.abc import Iterator

from chmed_ner.entities import Mention
from chmed_ner.prompt.formats.json_values import JsonReader, json_values, scanned
from chmed_ner.prompt.formats.lines import LineReader, lines_of
from chmed_ner.prompt.formats.lists import Found, Page

_BREAKS = re.compile(r"\\n|<br ?/?>")
"""Line ends that a model has written as text."""
_LIKE_JSON = re.compile(r"[^{\[]*[{\[][^\"'“”]*[\"'“”]")


def read_list(text: str, page: Page) -> list[Found]:
    """What `text` lists; JSON that had to be repaired, or found among other text, is counted."""
    values, alone = json_values(text)
    reader = JsonReader(page)
    found = [each for value in values for each in reader.read(value)]
    if values and alone:
        return found
    if any(isinstance(each, Mention) for each in found):
        return ["repaired", *found]
    broken = ["repaired", *scanned(text, page)] if _LIKE_JSON.match(text) else []
    if any(isinstance(each, Mention) for each in broken):
        return broken
    lines = list(_lines(text, page))
    return lines if any(isinstance(each, Mention) for each in lines) else broken or lines


def _lines(text: str, page: Page) -> Iterator[Found]:
    reader = LineReader(page)
    for line in lines_of(_BREAKS.sub("\n", text)):
        yield from reader.read(line)
