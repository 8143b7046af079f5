"""The paper's extraction style: a `mention-category` a line, `无` for a sentence without entities.

Reading is tolerant where the meaning is plain: any hyphen, dash or colon between mention and
category, category aliases in either script or width, bullets and numbering, quotation marks, width,
case and compatibility characters (`℃`, `°C`) of the mention. All else is counted and left out.
"""

import re
from collections import Counter
from collections.abc import Iterator
from functools import cached_property

from chmed_ner.entities.labels import LabelScheme, folded
from chmed_ner.entities.types import Mention, Sentence
from chmed_ner.errors import InputError
from chmed_ner.prompt.formats.answer import Answer, gold_mentions
from chmed_ner.prompt.formats.folding import FoldedText
from chmed_ner.prompt.formats.list_grammar import ListGrammar

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

    def gold(self, sentence: Sentence) -> Answer:
        """Gold mentions as the model's script has them, in text order, distinct under `unique`."""
        listed = gold_mentions(sentence)
        return Answer(tuple(dict.fromkeys(listed)) if self.order == "unique" else listed)

    def write(
        self,
        answer: Answer,
        sentence: str,  # noqa: ARG002 - a list says nothing of the rest of the sentence
        labels: LabelScheme,
        script: str,
    ) -> str:
        """One line a mention, without a final newline; the script's word for none if empty."""
        if not answer.mentions:
            return NONE[script]
        return "\n".join(
            f"{mention.text}{self.separator}{labels.name_of(mention.type, script)}"
            for mention in answer.mentions
        )

    def parse(self, text: str, sentence: str, labels: LabelScheme) -> Answer:
        """The mentions of `text`, spelled as `sentence` spells them where it holds them."""
        lines = [line for part in re.split(r"[\r\n]", text) if (line := part.strip())]
        if not lines:
            return Answer((), {"empty": 1})
        problems: Counter[str] = Counter()
        listed: dict[Mention, int] = {}
        mentions: list[Mention] = []
        page = Page(sentence)
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

    def grammar(
        self, sentence: str, labels: LabelScheme, script: str, *, in_order: bool
    ) -> ListGrammar:
        """Lines of a piece of `sentence` and a category, none of them twice under `unique`;
        `text_order` means the order of the text in any case."""
        in_order = in_order or self.order == "text_order"
        names, none = labels.names(script), NONE[script]
        distinct = self.order == "unique"
        return ListGrammar(sentence, self.separator, names, none, distinct, in_order)

    def room(self, characters: int, longest_name: int) -> int:  # noqa: ARG002
        """The sentence's own length: this format's answers are the scale of the cap."""
        return characters

    def _allowed(self, mention: Mention, sentence: str) -> int:
        """How often a mention may be listed before it counts as repeated."""
        return 1 if self.order == "unique" else max(1, sentence.count(mention.text))


class Page:
    """A sentence in which mentions are looked up as written, then folded."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence

    @cached_property
    def _folded(self) -> FoldedText:
        return FoldedText(self.sentence)

    def spelling(self, words: str) -> str | None:
        """The piece of the sentence that `words` means; None where it holds none."""
        variants = _variants(words)
        for variant in variants:
            if variant in self.sentence:
                return variant
        places = (self._folded.place(variant) for variant in variants)
        return next((self.sentence[slice(*place)] for place in places if place), None)


def _mention(line: str, page: Page, labels: LabelScheme) -> Mention | str:
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


def _is_none(line: str) -> bool:
    return (
        len(line) <= _ROOM and folded(_bare(line.rstrip(_ENDS)).strip("（）()。. ")) in _NONE_WORDS
    )
