"""The paper's extraction style: one `mention-category` a line, `无` for a sentence without entities.

Reading is tolerant where the meaning is plain: any hyphen, dash or colon between mention and
category, category aliases in either script or width, bullets and numbering, quotation marks, full or
half width and letter case of the mention. Everything else is counted by reason and left out.
"""

import re
import unicodedata
from collections import Counter
from collections.abc import Iterator, Sequence

from chmed_ner.errors import InputError
from chmed_ner.labels import LabelScheme
from chmed_ner.prompt.answer import Answer
from chmed_ner.types import Mention, Sentence

NONE = {"simplified": "无", "traditional": "無"}
_NONE_WORDS = frozenset({"无", "無", "没有", "沒有", "none", "无医疗实体", "無醫療實體"})
_SEPARATORS = re.compile(r"[-－–—‐‑−﹣:：]")
_BULLET = re.compile(r"^(?:[-*•·●○▪◦‧]|[(（]?\d{1,3}(?:[.．](?!\d)|[)）、]))\s*")
_QUOTES = (("“", "”"), ("「", "」"), ("『", "』"), ('"', '"'), ("'", "'"), ("`", "`"), ("**", "**"))
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
        problems: Counter[str] = Counter()
        listed: Counter[Mention] = Counter()
        mentions: list[Mention] = []
        page = _Page(sentence)
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if not lines:
            return Answer((), {"empty": 1})
        for line in lines:
            if _is_none(line):
                continue
            mention = self._mention(line, page, labels, problems)
            if mention is None:
                continue
            listed[mention] += 1
            if listed[mention] > self._allowed(mention, sentence):
                problems["repeated_line"] += 1
                continue
            if mention.text not in sentence:
                problems["not_in_sentence"] += 1
            mentions.append(mention)
        return Answer(tuple(mentions), dict(problems))

    def _allowed(self, mention: Mention, sentence: str) -> int:
        """How often a mention may be listed before it counts as repeated."""
        return 1 if self.order == "unique" else max(1, sentence.count(mention.text))

    def _mention(
        self, line: str, page: "_Page", labels: LabelScheme, problems: Counter[str]
    ) -> Mention | None:
        """The mention a line names; None, with the problem counted, where it names none."""
        readings = []
        for match in _SEPARATORS.finditer(line):
            words, name = line[: match.start()].strip(), line[match.end() :]
            tag = labels.tag_of(_unquoted(name.strip().rstrip("。.;；，,、")))
            if words and tag:
                readings.append((words, tag))
        if not readings:
            has_separator = _SEPARATORS.search(line, 1) is not None
            problems["unknown_label" if has_separator else "unparsable_line"] += 1
            return None
        words, tag = readings[-1]
        return Mention(page.spelling(words), tag)


class _Page:
    """A sentence in which mentions are looked up as written, then folded."""

    def __init__(self, sentence: str) -> None:
        self.sentence = sentence
        self.folded = _folded(sentence)

    def spelling(self, words: str) -> str:
        """The piece of the sentence that `words` means, else `words` without bullet and quotes."""
        for candidate in _readings(words):
            if candidate in self.sentence:
                return candidate
        for candidate in _readings(words):
            position = self.folded.find(_folded(candidate))
            if position >= 0:
                return self.sentence[position : position + len(candidate)]
        return _unquoted(_BULLET.sub("", words)) or words


def _readings(words: str) -> Iterator[str]:
    """`words` as written, then without a bullet, then without quotation marks."""
    yield words
    plain = _BULLET.sub("", words)
    if plain and plain != words:
        yield plain
    unquoted = _unquoted(plain)
    if unquoted and unquoted != plain:
        yield unquoted


def _unquoted(words: str) -> str:
    for opening, closing in _QUOTES:
        longer = len(words) > len(opening) + len(closing)
        if longer and words.startswith(opening) and words.endswith(closing):
            return words[len(opening) : -len(closing)].strip()
    return words


def _folded(text: str) -> str:
    """`text` under NFKC and in lower case, character by character, so that lengths stay."""
    return "".join(map(_folded_character, text))


def _folded_character(character: str) -> str:
    folded = unicodedata.normalize("NFKC", character).casefold()
    return folded if len(folded) == 1 else character


def _is_none(line: str) -> bool:
    return _BULLET.sub("", line).strip("。.（）() ").casefold() in _NONE_WORDS
