"""Whether a whole text keeps to a grammar: every answer that is walked does, others do not."""

import random
import time
from typing import Any

import pytest

from chmed_ner.entities.grammar import Grammar, follows
from chmed_ner.entities.labels import label_scheme
from chmed_ner.prompt.formats.bio_tags import STYLES, BioTags
from chmed_ner.prompt.formats.extraction import Extraction
from chmed_ner.prompt.formats.inline import Inline

FORMATS: dict[str, Any] = {
    "unique": Extraction(order="unique", separator="-"),
    "in order": Extraction(order="text_order", separator="-"),
    "inline": Inline(),
    **{style: BioTags(style=style) for style in STYLES},
}
LABELS = label_scheme(
    "three", {f"T{at}": {"simplified": name} for at, name in enumerate(("症状", "疾病", "疾"))}
)
SENTENCES = ("头痛，头晕。", "B-病 的\n标记", "[1] 痛|风\\", "无")


def a_grammar(name: str, sentence: str) -> Grammar:
    """The grammar of a format's answers to a sentence."""
    grammar: Grammar = FORMATS[name].grammar(
        sentence, LABELS, "simplified", in_order=name == "in order"
    )
    return grammar


def walked(grammar: Grammar, chance: random.Random) -> str:
    """An answer: some steps at random, then the way out."""
    text, node = "", grammar.start
    for _ in range(chance.randrange(60)):
        steps = list(grammar.steps(node))
        if not steps:
            break
        step, node = chance.choice(steps)
        text += step
    while not grammar.ends(node):
        step, node = grammar.way_out(node)
        text += step
    return text


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("sentence", SENTENCES)
def test_an_answer_that_is_walked_follows(name: str, sentence: str) -> None:
    chance, grammar = random.Random(13), a_grammar(name, sentence)
    for _ in range(40):
        text = walked(grammar, chance)
        assert follows(text, grammar), text
        assert follows(text, grammar.forgetful()), text
        assert not follows(text + "。以上", grammar)
        assert not follows("好的：" + text, grammar)


def test_what_does_not_follow() -> None:
    grammar = a_grammar("unique", "头痛，头晕。")
    right = ("无", "头痛-症状", "头痛-症状\n头晕-疾病", "头-疾\n头-疾病")
    wrong = (
        "",
        "头痛",
        "头痛-",
        "头痛-疼痛",
        "头痛-症状\n",
        "头疼-症状",
        "无\n头痛-症状",
        "头痛：症状",
    )
    assert all(follows(text, grammar) for text in right)
    assert not any(follows(text, grammar) for text in wrong)
    twice = "头痛-症状\n头痛-症状"
    assert not follows(twice, grammar)
    assert follows(twice, grammar.forgetful())


def test_a_long_text_takes_little_time() -> None:
    """A loop of 100 KB over a sentence of 200 characters."""
    grammar = a_grammar("unique", "头痛，头晕。" * 33).forgetful()
    text = "\n".join(["头痛-症状"] * 17_000)
    began = time.process_time()
    assert follows(text, grammar)
    assert not follows(text + "吗", grammar)
    assert time.process_time() - began < 10
