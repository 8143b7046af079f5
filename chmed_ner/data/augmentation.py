"""More training sentences: copies in which other mentions stand (Dai and Adel 2020)."""

import random
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from chmed_ner.entities.bio import tags_of
from chmed_ner.entities.types import Sentence, Span

Pool = Mapping[str, Mapping[int, Sequence[str]]]
"""Type -> length in code points -> strings."""


def replaced_copies(
    sentences: Sequence[Sentence], share: float, seed: int, known: Iterable[str]
) -> tuple[tuple[Sentence, ...], int]:
    """Copies of `sentences` with other entities, and how many entities were replaced in them.

    `share` is the number of copies over that of the sentences with an entity; above 1 a sentence is
    copied several times. Each entity is replaced by a mention of `sentences` that always has its
    type and is at most a quarter (at least one character) longer or shorter; the same mention in
    one sentence by the same. A copy is left out when nothing in it could be replaced, or its text
    is one of `known` or of an earlier copy. With one seed, the copies of a smaller share come first
    among those of a larger one.
    """
    pool, texts = _pool(sentences), set(known)
    order = [sentence for sentence in sentences if sentence.entities]
    random.Random(f"replace {seed}").shuffle(order)
    copies: list[Sentence] = []
    replaced = 0
    for number in range(round(share * len(order))):
        sentence, again = order[number % len(order)], number // len(order) + 1
        chance = random.Random(f"replace {seed} {again} {sentence.id}")
        others = _others(sentence, pool, chance)
        copy = _written(sentence, others, f"{sentence.id}~{again}")
        if others and copy.text not in texts:
            texts.add(copy.text)
            copies.append(copy)
            replaced += sum(1 for span in sentence.entities if _key(sentence, span) in others)
    return tuple(copies), replaced


def _key(sentence: Sentence, span: Span) -> tuple[str, str]:
    return sentence.mention(span), span.type


def _pool(sentences: Iterable[Sentence]) -> Pool:
    """The mentions that have one type wherever they are an entity, in alphabetical order."""
    types: defaultdict[str, set[str]] = defaultdict(set)
    for sentence in sentences:
        for span in sentence.entities:
            types[sentence.mention(span)].add(span.type)
    pool: defaultdict[str, defaultdict[int, list[str]]] = defaultdict(lambda: defaultdict(list))
    for text in sorted(types):
        if len(types[text]) == 1:
            pool[next(iter(types[text]))][len(text)].append(text)
    return pool


def _others(sentence: Sentence, pool: Pool, chance: random.Random) -> dict[tuple[str, str], str]:
    """What stands for each mention (with its type); those without a choice are left out."""
    others = {}
    for text, type_ in dict.fromkeys(_key(sentence, span) for span in sentence.entities):
        reach = max(1, len(text) // 4)
        by_length = pool.get(type_, {})
        choices = [
            other
            for length in range(len(text) - reach, len(text) + reach + 1)
            for other in by_length.get(length, ())
            if other != text
        ]
        if choices:
            others[text, type_] = chance.choice(choices)
    return others


def _written(sentence: Sentence, others: Mapping[tuple[str, str], str], id_: str) -> Sentence:
    """`sentence` under another id, with `others` in the places of its mentions."""
    text, cursor = "", 0
    spans = []
    for span in sentence.entities:
        text += sentence.text[cursor : span.start]
        mention = others.get(_key(sentence, span), sentence.mention(span))
        spans.append(Span(len(text), len(text) + len(mention), span.type))
        text += mention
        cursor = span.end
    text += sentence.text[cursor:]
    entities, tags = tuple(spans), tags_of(spans, len(text))
    return replace(sentence, id=id_, text=text, tags=tags, entities=entities, model_text="")
