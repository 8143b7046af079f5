"""The paper's extraction style: a `mention-category` a line, `无` for a sentence without entities.

Reading is tolerant where the meaning is plain: any hyphen, dash or colon between mention and
category, category aliases in either script or width, bullets and numbering, quotation marks, full
or half width and letter case of the mention. Everything else is counted by reason and left out.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence
from functools import cache, cached_property

from chmed_ner.errors import InputError
from chmed_ner.labels import LabelScheme, folded
from chmed_ner.prompt.answer import Answer
from chmed_ner.types import Mention, Sentence

NONE = {"simplified": "无", "traditional": "無"}
_NONE_WORDS = frozenset({"无", "無", "没有", "沒有", "none", "无医疗实体", "無醫療實體"})
_NOTHING = "nothing"  # how a line that says `无` is told from a problem
_DASHES = "-－–—‐‑−﹣:："
_SEPARATORS = re.compile(f"[{_DASHES}]")
_ENDS = "。.．;；，,、!！ \t"
_BULLET = re.compile(r"(?:[-–—•·●○▪◦‧]|\*(?!\*)|[①-⑳]|[(（]?\d{1,3}(?:[.．](?!\d)|[)）、]))\s*")
_QUOTES = {marks[0]: marks for marks in zip("“‘「『【\"'`", "”’」』】\"'`", strict=True)}
_QUOTES["*"] = ("**", "**")
_ROOM = 40
"""Characters that white space and marks around a category's name may take beyond its length."""
ORDERS = ("unique", "text_order")


class Extraction:
    """The `mention-category` lines.

    `order=unique` lists each (mention, type) once, in order of first occurrence; `text_order` lists
    every entity in text order with its repeats, which `in_order` restoration needs.
    """

    def __init__(self, order: str = "unique", separator: str = "-") -> None:
        if order not in ORDERS:
            raise InputError(f"prompt.answer.order={order!r}: choose one of {', '.join(ORDERS)}")
        if not _SEPARATORS.fullmatch(separator):
            raise InputError(
                f"prompt.answer.separator={separator!r}: choose a hyphen, a dash or a colon"
            )
        self.order = order
        self.separator = separator

    def mentions(self, sentence: Sentence) -> tuple[Mention, ...]:
        """Gold mentions as the model's script has them, in text order, distinct under `unique`."""
        listed = [
            Mention(sentence.model_text[span.start : span.end], span.type)
            for span in sentence.entities
        ]
        return tuple(dict.fromkeys(listed)) if self.order == "unique" else tuple(listed)

    def write(self, mentions: Sequence[Mention], labels: LabelScheme, script: str) -> str:
        """One line a mention, without a final newline; the script's word for none if empty."""
        if not mentions:
            return NONE[script]
        return "\n".join(
            f"{mention.text}{self.separator}{labels.name_of(mention.type, script)}"
            for mention in mentions
        )

    def parse(self, text: str, sentence: str, labels: LabelScheme) -> Answer:
        """The mentions of `text`, spelled as `sentence` spells them where it holds them."""
        lines = [line for part in re.split(r"[\r\n]", text) if (line := part.strip())]
        if not lines:
            return Answer((), {"empty": 1})
        problems: Counter[str] = Counter()
        listed: dict[Mention, int] = {}
        mentions: list[Mention] = []
        page = _Page(sentence)
        known: dict[str, Mention | str] = {}  # a model that loops writes the same lines for ever
        for line in lines:
            mention = known.get(line)
            if mention is None:
                mention = known[line] = _mention(line, page, labels)
            if isinstance(mention, str):
                problems[mention] += 1
                continue
            times = listed[mention] = listed.get(mention, 0) + 1
            if times > 1 and times > self._allowed(mention, sentence):
                problems["repeated_line"] += 1
                continue
            if mention.text not in sentence:
                problems["not_in_sentence"] += 1
            mentions.append(mention)
        problems.pop(_NOTHING, None)
        return Answer(tuple(mentions), dict(problems))

    def _allowed(self, mention: Mention, sentence: str) -> int:
        """How often a mention may be listed before it counts as repeated."""
        return 1 if self.order == "unique" else max(1, sentence.count(mention.text))


class _Page:
    """A sentence in which mentions are looked up as written, then folded."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence

    @cached_property
    def _folded(self) -> str:
        return _folded(self.sentence)

    def spelling(self, words: str) -> str | None:
        """The piece of the sentence that `words` means; None where it holds none."""
        variants = _variants(words)
        for variant in variants:
            if variant in self.sentence:
                return variant
        for variant in variants:
            if len(variant) <= len(self.sentence):
                position = self._folded.find(_folded(variant))
                if position >= 0:
                    return self.sentence[position : position + len(variant)]
        return None


def _mention(line: str, page: _Page, labels: LabelScheme) -> Mention | str:
    """The mention that a line names, or the reason why it names none."""
    if not _SEPARATORS.search(line, 1):
        return _NOTHING if _is_none(line) else "unparsable_line"
    readings = list(_readings(line, labels))
    if not readings and (bare := _bare(line.rstrip(_ENDS))) != line:
        readings = list(_readings(bare, labels))
    for words, tag in reversed(readings):
        spelling = page.spelling(words)
        if spelling is not None:
            return Mention(spelling, tag)
    if readings:
        words, tag = readings[0]
        return Mention(_bare(words), tag)
    inside = _SEPARATORS.search(line.strip(_DASHES + _ENDS))
    return "unknown_label" if inside else "unparsable_line"


def _readings(line: str, labels: LabelScheme) -> Iterator[tuple[str, str]]:
    """Each (words, type) into which a separator divides the line, shortest words first.

    A mention may hold separators, and so may a category. Only separators near the end can stand
    before a category's name, so a line without end costs no more than its length.
    """
    end = len(line.rstrip(_ENDS))
    for match in _SEPARATORS.finditer(line, max(0, end - labels.longest - _ROOM)):
        words = line[: match.start()].strip()
        name = line[match.end() : end + labels.longest].lstrip(_DASHES).strip()
        tag = labels.tag_of(name)
        if tag is None and (plain := _unquoted(name.rstrip(_ENDS))) != name:
            tag = labels.tag_of(plain)
        if words and tag:
            yield words, tag


def _variants(words: str) -> list[str]:
    """`words` as written, then without a bullet, then without quotation marks; none is empty."""
    bullet = _BULLET.match(words)
    plain = words[bullet.end() :] if bullet else words
    variants = [words]
    if plain and bullet:
        variants.append(plain)
    if plain[:1] in _QUOTES and (unquoted := _unquoted(plain)):
        variants.append(unquoted)
    return variants


def _bare(words: str) -> str:
    """`words` without bullet and quotation marks; with them if nothing else is left."""
    return _variants(words)[-1]


def _unquoted(words: str) -> str:
    """`words` without the quotation marks around them, if there are any."""
    opening, closing = _QUOTES.get(words[:1], (words, ""))
    longer = len(words) > len(opening) + len(closing)
    if longer and words.startswith(opening) and words.endswith(closing):
        return words[len(opening) : -len(closing)].strip()
    return words


def _folded(text: str) -> str:
    """`text` under NFKC and in lower case, character by character, so that lengths stay."""
    return "".join(map(_folded_character, text))


@cache
def _folded_character(character: str) -> str:
    plain = unicodedata.normalize("NFKC", character).casefold()
    return plain if len(plain) == 1 else character


def _is_none(line: str) -> bool:
    return (
        len(line) <= _ROOM and folded(_bare(line.rstrip(_ENDS)).strip("（）()。. ")) in _NONE_WORDS
    )
