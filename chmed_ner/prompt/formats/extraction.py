"""The paper's extraction style: a `mention-category` a line, `无` for a sentence without entities.

Reading is tolerant where the meaning is plain, in any form that models give a list: see `lines` and
`json_values`. All else is counted and left out.
"""

from dataclasses import dataclass
from typing import Annotated

from chmed_ner.entities import Grammar, LabelScheme, Mention, Sentence, gold_mentions
from chmed_ner.knobs import Range, one_of
from chmed_ner.prompt.formats.answer import Answer, AnswerFormat
from chmed_ner.prompt.formats.any_list import read_list
from chmed_ner.prompt.formats.folding import FoldedText
from chmed_ner.prompt.formats.lines import lines_of
from chmed_ner.prompt.formats.list_grammar import ListGrammar
from chmed_ner.prompt.formats.lists import Found, Page, listed_answer
from chmed_ner.prompt.formats.parts import SEPARATORS, exact_mention

NONE = {"simplified": "无", "traditional": "無"}


@dataclass(frozen=True, kw_only=True)
class Extraction(AnswerFormat):
    """The `mention-category` lines.

    `order=unique` lists each (mention, type) once, in order of first occurrence; `text_order` all
    entities in text order, which `in_order` restoration needs.
    """

    order: Annotated[str, one_of("unique", "text_order")]
    separator: Annotated[
        str, Range("a hyphen, a dash or a colon", lambda mark: bool(SEPARATORS.fullmatch(mark)))
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
        if not text.strip():
            return Answer((), {"empty": 1})
        page = Page(FoldedText(sentence), labels)
        readable = page.readable(text)
        found: list[Found] = []
        for line in lines_of(readable):
            if (exact := exact_mention(line, page)) is None:
                found = read_list(readable, page)
                break
            found.append(exact)
        if len(readable) < len(text):
            found.append("unparsable_line")

        def allowed(mention: Mention) -> int:
            return 1 if self.order == "unique" else max(1, sentence.count(mention.text))

        return listed_answer(found, page, allowed, readable)

    def grammar(self, sentence: str, labels: LabelScheme, script: str, in_order: bool) -> Grammar:
        """Lines of a piece of `sentence` and a category, none of them twice under `unique`."""
        return ListGrammar(
            sentence,
            self.separator,
            labels.names(script),
            NONE[script],
            distinct=self.order == "unique",
            in_order=in_order or self.order == "text_order",
            nested_types=labels.tags if labels.nested else (),
        )
