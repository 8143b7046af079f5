"""Entities as JSON, grouped by category: `{"疾病": ["高血压"], "症状": ["头痛", "发热"]}`.

A list without positions, like `extraction`; `{}` for a sentence without entities. What is not JSON
is read from its strings and punctuation: an answer cut short, single or curly quotation marks,
stray commas, full-width punctuation, text before and after. That is counted as `repaired`.
"""

import json
from dataclasses import replace

from chmed_ner.entities import LabelScheme, Sentence, gold_mentions
from chmed_ner.prompt.formats.answer import Answer, AnswerFormat, without_entities
from chmed_ner.prompt.formats.any_list import read_list
from chmed_ner.prompt.formats.folding import FoldedText
from chmed_ner.prompt.formats.lists import Page, listed_answer


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
        page = Page(FoldedText(sentence), labels)
        readable = page.readable(text)
        found = read_list(readable, page)
        if len(readable) < len(text):
            found.append("unparsable_line")
        return listed_answer(found, page, lambda _: 1, readable)
