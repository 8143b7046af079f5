"""Entities as JSON, grouped by category: `{"疾病": ["高血压"], "症状": ["头痛", "发热"]}`.

A list without positions, like `extraction`; `{}` for a sentence without entities. What is not JSON
is read from its strings and punctuation: an answer cut short, single or curly quotation marks,
stray commas, full-width punctuation, text before and after. That is counted as `repaired`.
"""

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from chmed_ner.entities import LabelScheme, Mention, Sentence, gold_mentions
from chmed_ner.prompt.formats.answer import Answer, AnswerFormat, without_entities
from chmed_ner.prompt.formats.lists import FoldedText, listed_answer, spelling

_TOKENS = re.compile(
    r'"((?:[^"\\\n]|\\.)*)"?'
    r"|'((?:[^'\\\n]|\\.)*)'?"
    r"|[“”]([^“”\n]*)[“”]?"
    r"|([:：])|([{}\[\]])"
)
_ESCAPE = re.compile(r"\\(u[0-9A-Fa-f]{4}|.)", re.DOTALL)
_MOST = 64
"""Characters read per character of the sentence: no list of its pieces is longer, only a loop."""
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
Item = tuple[str, str]  # a category and a mention, as written


class GroupedJson(AnswerFormat):
    """One JSON object: category -> mentions, each once, both in order of first occurrence."""

    def gold(self, sentence: Sentence) -> Answer:
        """The distinct gold mentions, those of a category together."""
        listed = dict.fromkeys(gold_mentions(sentence))
        types = dict.fromkeys(mention.type for mention in listed)
        return Answer(
            tuple(mention for type_ in types for mention in listed if mention.type == type_)
        )

    def write(self, answer: Answer, sentence: str, labels: LabelScheme, script: str) -> str:
        groups: dict[str, list[str]] = {}
        for mention in answer.mentions:
            groups.setdefault(labels.name_of(mention.type, script), []).append(mention.text)
        return json.dumps(groups, ensure_ascii=False)

    def parse(self, text: str, sentence: str, labels: LabelScheme) -> Answer:
        if (nothing := without_entities(text)) is not None:
            return replace(nothing, spans=None)
        problems: Counter[str] = Counter()
        most = _MOST * (len(sentence) + labels.longest)
        if len(text) > most:
            problems["unparsable_line"] += 1
            text = text[:most]
        items = _loaded(text, labels, problems)
        if items is None:
            problems["repaired"] += 1
            items = list(_scanned(text, problems))
        page = FoldedText(sentence)
        return listed_answer(
            items, lambda item: _mention(item, page, labels), lambda _: 1, sentence, problems
        )


def _mention(item: Item, page: FoldedText, labels: LabelScheme) -> Mention | str:
    """The mention of an item, whichever comes first in it, or the reason why it has none."""
    category, words = item[0].strip(), item[1].strip()
    reason = "unknown_label" if words else "unparsable_line"
    type_ = labels.tag_of(category) if len(category) <= labels.longest else None
    if type_ is None and len(words) <= labels.longest and (type_ := labels.tag_of(words)):
        words = category
    if type_ is None or not words:
        return reason
    return Mention(spelling(page, words) or words, type_)


def _loaded(text: str, labels: LabelScheme, problems: Counter[str]) -> list[Item] | None:
    """The items of well-formed JSON (in a code fence, if it likes); None for anything else."""
    bare = text.strip()
    if bare.startswith("```"):
        bare = bare.strip("`").removeprefix("json")
    try:
        content = json.loads(bare, object_pairs_hook=list)
    except (ValueError, RecursionError):
        return None
    if not isinstance(content, list):
        problems["unparsable_line"] += 1
        return []
    items: list[Item] = []
    for entry in content:
        if isinstance(entry, tuple):
            items += _entry(entry[0], entry[1], problems)
        elif pairs := _object(entry, labels):
            items.append(pairs)
        else:
            problems["unparsable_line"] += 1
    return items


def _entry(category: str, value: Any, problems: Counter[str]) -> list[Item]:
    """The items of one key; a value that is no mention is counted."""
    values = value if isinstance(value, list) else [value] if value is not None else []
    problems["unparsable_line"] += sum(not isinstance(each, str) for each in values)
    return [(category, each) for each in values if isinstance(each, str)]


def _object(entry: Any, labels: LabelScheme) -> Item | None:
    """The item of `{"实体": "高血压", "类别": "疾病"}`, which some models list instead."""
    pairs = entry if isinstance(entry, list) else []
    values = [pair[1] for pair in pairs if isinstance(pair, tuple) and isinstance(pair[1], str)]
    if len(values) == len(pairs) == 2:
        first, second = values
        return (first, second) if labels.tag_of(first) else (second, first)
    return None


def _scanned(text: str, problems: Counter[str]) -> Iterator[Item]:
    """The items of something like JSON: a string before a colon is a category."""
    category, words, items = "", None, 0
    for match in _TOKENS.finditer(text):
        double, single, curly, colon, _ = match.groups()
        quoted = next((each for each in (double, single, curly) if each is not None), None)
        if colon:
            category, words = words if words is not None else category, None
        elif words is not None:
            items += 1
            yield category, words
            words = None
        if quoted is not None:
            closed = len(match.group()) == len(quoted) + 2
            problems["unparsable_line"] += not closed  # cut off in the middle
            words = _ESCAPE.sub(_plain, quoted) if closed else None
    if words is not None:
        items += 1
        yield category, words
    if not items:
        problems["unparsable_line"] += 1


def _plain(escape: re.Match[str]) -> str:
    code = escape[1]
    if code[0] == "u" and len(code) > 1:
        return chr(int(code[1:], 16))
    return _ESCAPED.get(code, code)
