"""The paper's extraction style: a `mention-category` a line, `无` for a sentence without entities.

Reading is tolerant where the meaning is plain: any hyphen, dash or colon between mention and
category, category aliases in either script or width, bullets and numbering, quotation marks, width,
case and compatibility characters (`℃`, `°C`) of the mention. All else is counted and left out.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Annotated

from chmed_ner.entities import Grammar, LabelScheme, Mention, Sentence, folded, gold_mentions
from chmed_ner.knobs import Range, one_of
from chmed_ner.prompt.formats.answer import Answer, AnswerFormat
from chmed_ner.prompt.formats.list_grammar import ListGrammar
from chmed_ner.prompt.formats.lists import FoldedText, bare, listed_answer, spelling, unquoted

NONE = {"simplified": "无", "traditional": "無"}
_NONE_WORDS = frozenset({"无", "無", "没有", "沒有", "none", "无医疗实体", "無醫療實體"})
_DASHES = "-－–—‐‑−﹣:："
_SEPARATORS = re.compile(f"[{_DASHES}]")
_ENDS = "。.．;；，,、!！ \t"
_ROOM = 40
"""Characters that white space and marks around a category's name may take beyond its length."""


@dataclass(frozen=True, kw_only=True)
class Extraction(AnswerFormat):
    """The `mention-category` lines.

    `order=unique` lists each (mention, type) once, in order of first occurrence; `text_order` all
    entities in text order, which `in_order` restoration needs.
    """

    order: Annotated[str, one_of("unique", "text_order")]
    separator: Annotated[
        str, Range("a hyphen, a dash or a colon", lambda mark: bool(_SEPARATORS.fullmatch(mark)))
    ]

    def gold(self, sentence: Sentence) -> Answer:
        """Gold mentions as the model's script has them, in text order, distinct under `unique`."""
        listed = gold_mentions(sentence)
        return Answer(tuple(dict.fromkeys(listed)) if self.order == "unique" else listed)

    def write(self, answer: Answer, sentence: str, labels: LabelScheme, script: str) -> str:
        """One line a mention, without a final newline; the script's word for none."""
        if not answer.mentions:
            return NONE[script]
        return "\n".join(
            f"{mention.text}{self.separator}{labels.name_of(mention.type, script)}"
            for mention in answer.mentions
        )

    def parse(self, text: str, sentence: str, labels: LabelScheme) -> Answer:
        lines = [line for part in re.split(r"[\r\n]", text) if (line := part.strip())]
        if not lines:
            return Answer((), {"empty": 1})
        page = FoldedText(sentence)

        def read(line: str) -> Mention | str | None:
            return _mention(line, page, labels)

        def allowed(mention: Mention) -> int:
            return 1 if self.order == "unique" else max(1, sentence.count(mention.text))

        return listed_answer(lines, read, allowed, sentence, Counter())

    def grammar(self, sentence: str, labels: LabelScheme, script: str, in_order: bool) -> Grammar:
        """Lines of a piece of `sentence` and a category, none of them twice under `unique`."""
        return ListGrammar(
            sentence,
            self.separator,
            labels.names(script),
            NONE[script],
            distinct=self.order == "unique",
            in_order=in_order or self.order == "text_order",
        )


def _mention(line: str, page: FoldedText, labels: LabelScheme) -> Mention | str | None:
    """The mention that a line names, or why it names none; None where it is the word for none."""
    if not _SEPARATORS.search(line, 1):
        return None if _is_none(line) else "unparsable_line"
    readings = list(_readings(line, labels))
    if not readings and (plain := bare(line.rstrip(_ENDS))) != line:
        readings = list(_readings(plain, labels))
    for words, tag in reversed(readings):
        found = spelling(page, words)
        if found is not None:
            return Mention(found, tag)
    if readings:
        words, tag = readings[0]
        return Mention(bare(words), tag)
    inside = _SEPARATORS.search(line.strip(_DASHES + _ENDS))
    return "unknown_label" if inside else "unparsable_line"


def _readings(line: str, labels: LabelScheme) -> Iterator[tuple[str, str]]:
    """Each (words, type) into which a separator divides the line, shortest words first.

    A mention and a category may hold separators. Only those near the end are looked at, so that a
    line without end costs no more than its length.
    """
    end = len(line.rstrip(_ENDS))
    for match in _SEPARATORS.finditer(line, max(0, end - labels.longest - _ROOM)):
        words = line[: match.start()].strip()
        name = line[match.end() : end + labels.longest].lstrip(_DASHES).strip()
        tag = labels.tag_of(name)
        if tag is None and (plain := unquoted(name.rstrip(_ENDS))) != name:
            tag = labels.tag_of(plain)
        if words and tag:
            yield words, tag


def _is_none(line: str) -> bool:
    short = len(line) <= _ROOM
    return short and folded(bare(line.rstrip(_ENDS)).strip("（）()。. ")) in _NONE_WORDS
