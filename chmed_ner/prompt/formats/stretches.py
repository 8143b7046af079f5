"""Where in an answer's text a mention was read, and how probable the tokens there were.

The stretches of a mention hold its words, its category, and the decisions to begin it and to end
it: the mark or line end before it, and what comes after its last character.
"""

import re
from collections.abc import Iterable
from dataclasses import replace
from itertools import zip_longest
from math import exp

from chmed_ner.entities import LabelScheme, Logprobs, Mention
from chmed_ner.prompt.formats.answer import Answer, Stretches

_JSON = re.compile(r"\s*(?:```\w*)?\s*[{\[]")


def listed_stretches(
    mentions: Iterable[Mention], text: str, labels: LabelScheme
) -> tuple[Stretches, ...]:
    """Where a list names each mention: with the category after it on its line, else before it, as
    in JSON; nowhere if the text spells it otherwise."""
    names = {
        each.tag: {each.tag, each.traditional, each.simplified, *each.aliases}
        for each in labels.labels
    }
    grouped = bool(_JSON.match(text))
    found: list[Stretches] = []
    cursor = 0
    for mention in mentions:
        at = text.find(mention.text, cursor)
        at = text.find(mention.text) if at < 0 else at
        if at < 0:
            found.append(())
            continue
        begin, end = max(0, at - 1), at + len(mention.text)
        line_end = text.find("\n", end) if "\n" in text[end:] else len(text)
        after = [(text.find(name, end, line_end), -len(name)) for name in names[mention.type]]
        after = [] if grouped else [each for each in after if each[0] >= 0]
        before = [(text.rfind(name, 0, at), len(name)) for name in names[mention.type]]
        if after:
            place, length = min(after)
            cursor = place - length
            found.append(((begin, cursor),))
        else:
            place, length = max(before)
            cursor = end
            named = ((place, place + length),) if place >= 0 else ()
            found.append((*named, (begin, min(end + 1, len(text)))))
    return tuple(found)


def confident(answer: Answer, logprobs: Logprobs, start: int) -> Answer:
    """The answer, which begins at `start` of the text that has `logprobs`, with confidences: the
    probability of all tokens that overlap a mention's stretches; None where these are not known."""
    tokens = [number for number, (count, _) in enumerate(logprobs) for _ in range(count)]

    def confidence(stretches: Stretches) -> float | None:
        if not stretches:
            return None
        met = {each for begin, end in stretches for each in tokens[start + begin : start + end]}
        return exp(sum(logprobs[each][1] for each in sorted(met)))

    found = list(map(confidence, answer.read_at))
    mentions = zip_longest(answer.mentions, found)
    spans = None
    if answer.spans is not None:
        placed = zip_longest(answer.spans, found)
        spans = tuple(replace(span, confidence=each) for span, each in placed)
    return replace(
        answer,
        mentions=tuple(replace(mention, confidence=each) for mention, each in mentions),
        spans=spans,
    )
