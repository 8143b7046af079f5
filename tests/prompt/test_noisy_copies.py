"""Positions survive a bad copy: alignment against a plain forward cursor."""

import random
from collections.abc import Callable, Sequence

import pytest

from chmed_ner.entities.bio import chunks
from chmed_ner.entities.labels import LabelScheme
from chmed_ner.entities.types import Sentence, Span
from chmed_ner.prompt.formats.bio_tags import BioTags
from chmed_ner.score.spans import span_scores

SHARE = 0.10
COMMON = (
    "的一是在不了有人这为上个国我以要他时来用们生到作地于出就分对成会可主发年动同工也能下过子说产"
)

Pair = tuple[str, str]
"""A character and its tag, as one line of a BIO answer has them."""


def spoilt(pairs: Sequence[Pair], chance: random.Random) -> list[Pair]:
    """The pairs with a tenth of the characters dropped, doubled or replaced, a third each."""
    found = []
    for character, tag in pairs:
        damage = chance.choice(("drop", "double", "replace")) if chance.random() < SHARE else ""
        if damage == "replace":
            found.append((chance.choice(COMMON), tag))
        elif damage != "drop":
            found += [(character, tag)] * (2 if damage == "double" else 1)
    return found


def by_cursor(pairs: Sequence[Pair], text: str, types: dict[str, str]) -> tuple[Span, ...]:
    """The plain way: each character is searched from the last match on."""
    tags, cursor = ["O"] * len(text), 0
    for character, name in pairs:
        at = text.find(character, cursor)
        if at >= 0:
            prefix, _, type_ = name.partition("-")
            tags[at] = f"{prefix}-{types[type_]}" if type_ else "O"
            cursor = at + 1
    return chunks(tags)


def mean_f1(
    sentences: Sequence[Sentence], found: Callable[[Sentence], Sequence[Span]]
) -> tuple[float, float]:
    """The mean of the sentences' F1, and the F1 of all their spans together."""
    pairs = [(sentence.entities, found(sentence)) for sentence in sentences]
    each = [span_scores([pair]).f1 for pair in pairs if pair[0]]
    return sum(each) / len(each), span_scores(pairs).f1


def figures(sentences: Sequence[Sentence], labels: LabelScheme) -> dict[str, tuple[float, float]]:
    """Alignment and cursor on the same spoilt BIO answers."""
    answer, types = (
        BioTags(style="lines"),
        {labels.name_of(tag, "simplified"): tag for tag in labels.tags},
    )
    chance, lines = random.Random(13), {}
    for sentence in sentences:
        perfect = answer.write(answer.gold(sentence), sentence.model_text, labels, "simplified")
        pairs = [(line[0], line[2:]) for line in perfect.split("\n")]
        lines[sentence.id] = spoilt(pairs, chance)

    def aligned(sentence: Sentence) -> Sequence[Span]:
        text = "\n".join(f"{character} {tag}" for character, tag in lines[sentence.id])
        return answer.parse(text, sentence.model_text, labels).spans or ()

    return {
        "alignment": mean_f1(sentences, aligned),
        "cursor": mean_f1(sentences, lambda s: by_cursor(lines[s.id], s.model_text, types)),
    }


def assert_far_apart(found: dict[str, tuple[float, float]]) -> None:
    assert min(found["alignment"]) > 80, found
    assert max(found["cursor"]) < min(found["alignment"]) - 20, found


def test_a_tenth_of_the_characters_spoilt(
    rocling2022: tuple[Sentence, ...], labels: LabelScheme
) -> None:
    assert_far_apart(figures(random.Random(7).sample(rocling2022, 400), labels))


@pytest.mark.slow
def test_a_tenth_of_the_characters_spoilt_in_all_sentences(
    rocling2022: tuple[Sentence, ...], labels: LabelScheme, capsys: pytest.CaptureFixture[str]
) -> None:
    """The figures of chmed_ner/prompt/README.md: run with `-m slow -s`."""
    found = figures(rocling2022, labels)
    with capsys.disabled():
        print(found)
    assert_far_apart(found)
