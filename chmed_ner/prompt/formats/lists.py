"""Answers that list mentions without positions, spelled as the sentence spells them."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property

from chmed_ner.entities import LabelScheme, Mention, simplified_character
from chmed_ner.prompt.formats.answer import Answer
from chmed_ner.prompt.formats.folding import FoldedText, bare
from chmed_ner.prompt.formats.nothing import is_symbol, means_none
from chmed_ner.prompt.formats.stretches import listed_stretches

Found = Mention | str
"""A mention, or the problem that a piece of an answer is."""

_MENTION_KEYS = """entity entity_text text mention name word span value term
实体 实体名称 实体文本 名称 文本 原文 词 词语"""
_TYPE_KEYS = """type label category class tag entity_type entity_label entity_group
类别 类型 实体类别 实体类型 标签 分类"""
MENTION_KEYS = frozenset(_MENTION_KEYS.split())
"""Under which names models give a mention."""
TYPE_KEYS = frozenset(_TYPE_KEYS.split())
"""Under which names models give a category."""
BRACKETS = "[]{}()（）【】［］｛｝\"'“”"
_BETWEEN = re.compile(r"[（(）)\[\]【】<>《》/／|、，,；;：:\s]+")
_NOTE = re.compile(r"(.+?)\s*([（(\[【<《/／|、，,；;：:].*)", re.DOTALL)
_KIND = re.compile(r"(?:类实体|类别|类型|类|類別|類型|類|实体|實體|名称|名稱)$")
_NOTES = 80
_MOST = 32
_SPARE = 2048


def key_of(name: str) -> str:
    """`name` as the keys are written."""
    return "".join(map(simplified_character, name.strip("*# ").casefold()))


@dataclass(frozen=True)
class Page:
    """The sentence that an answer is about, and the categories it may name."""

    sentence: FoldedText
    labels: LabelScheme

    @cached_property
    def longest_part(self) -> int:
        """Characters that a mention, its category and a note take at most."""
        return 2 * (len(self.sentence.text) + self.labels.longest) + _NOTES

    def tag(self, name: str) -> str | None:
        """The type that `name` means, also with its kind behind it, as `疾病类`; None for none."""
        if len(name) > self.labels.longest + 4:
            return None
        bare_name = _KIND.sub("", name.strip(BRACKETS))
        return self.labels.tag_of(name) or self.labels.tag_of(bare_name)

    def noted_tag(self, name: str) -> tuple[str | None, bool]:
        """The type that `name` means, and whether a note after it was left out.

        None where the note names another type: then two readings exist.
        """
        name = name[: self.labels.longest * 3]
        if tag := self.tag(name):
            return tag, False
        noted = _NOTE.fullmatch(name)
        if not noted or not (tag := self.tag(noted[1])):
            return None, False
        others = {self.tag(part) for part in _BETWEEN.split(noted[2]) if part}
        return (tag, None in others) if others <= {None, tag} else (None, False)

    def holds(self, words: str) -> bool:
        """Does the sentence hold `words`, in any of their spellings?"""
        return bool(words) and self.sentence.spelling(words) is not None

    def mention(self, words: str, tag: str) -> Found:
        """The mention that `words` mean, as the sentence spells it; `none_word` for none."""
        plain = bare(words)
        if means_none(plain) and not is_symbol(plain, tag, self.sentence.text, self.labels):
            return "none_word"
        return Mention(self.sentence.spelling(words) or plain, tag)

    def readable(self, text: str) -> str:
        """The beginning of `text` that is read: no list of pieces is longer, only a loop."""
        return text[: _SPARE + _MOST * (len(self.sentence.text) + self.labels.longest)]


def listed_answer(
    found: Iterable[Found], page: Page, allowed: Callable[[Mention], int], text: str
) -> Answer:
    """The answer that lists what was `found` in `text`, its problems counted.

    A mention that is listed more often than `allowed` is a problem too.
    """
    problems: Counter[str] = Counter()
    times: Counter[Mention] = Counter()
    mentions: list[Mention] = []
    for each in found:
        if isinstance(each, str):
            problems[each] += 1
            continue
        times[each] += 1
        if times[each] > 1 and times[each] > allowed(each):
            problems["repeated_line"] += 1
            continue
        if each.text not in page.sentence.text:
            problems["not_in_sentence"] += 1
        mentions.append(each)
    read_at = listed_stretches(mentions, text, page.labels)
    return Answer(tuple(mentions), dict(problems), read_at=read_at)
