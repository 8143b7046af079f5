"""Entities inside others through every format that can say so: written, read, held to a grammar."""

import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings, strategies as st

from chmed_ner.data.formats import read_annotated
from chmed_ner.entities import (
    AnnotatedText,
    Grammar,
    LabelScheme,
    Mention,
    Sentence,
    Span,
    check_nested,
    ebnf,
    follows,
    inside,
    label_scheme,
    nestable,
    restore,
)
from chmed_ner.errors import InputError
from chmed_ner.files import config_directory
from chmed_ner.prompt.formats.answer import DEEPEST
from chmed_ner.prompt.formats.bio_tags import BioTags
from chmed_ner.prompt.formats.extraction import Extraction
from chmed_ner.prompt.formats.grouped_json import GroupedJson
from chmed_ner.prompt.formats.inline import Inline
from chmed_ner.prompt.prompt import Prompt
from tests.prompt.test_follows import walked

SCHEME = Path(config_directory()) / "labels" / "cmeee.yaml"
NESTED = label_scheme(**yaml.safe_load(SCHEME.read_text(encoding="utf-8")))
FLAT = LabelScheme("flat", NESTED.labels)
TWO = label_scheme("two", {"A": {"simplified": "甲"}, "B": {"simplified": "乙"}}, nested=True)
LISTS = {
    "unique": Extraction(order="unique", separator="-"),
    "text_order": Extraction(order="text_order", separator="-"),
}


def sentence(text: str, *spans: Span) -> Sentence:
    return Sentence("a", "test", "G", text, None, nestable(spans), text)


def written(kind: Any, each: Sentence, labels: Any = TWO) -> str:
    target: str = kind.write(kind.gold(each), each.model_text, labels, "simplified")
    return target


@st.composite
def sentences(draw: st.DrawFn) -> Sentence:
    """Nested entities in text that holds marks of its own."""
    text = draw(st.text("甲乙|[]\\ \n-肺", min_size=1, max_size=12))
    ends = st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))
    drawn = draw(st.lists(st.tuples(ends, st.sampled_from("AB")), max_size=6))
    spans = [Span(min(pair), max(pair), type_) for pair, type_ in drawn if pair[0] != pair[1]]
    return sentence(text, *spans)


@given(sentences())
@settings(max_examples=300, deadline=None)
def test_marks_say_where_entities_are(each: Sentence) -> None:
    text = written(Inline(), each)
    answer = Inline().parse(text, each.text, TWO)
    assert replace(answer, problems={}) == Inline().gold(each)
    assert not answer.problems.keys() - {"empty"}  # a blank sentence
    assert follows(text, Inline().grammar(each.text, TWO, "simplified", in_order=False))


@given(sentences(), st.randoms(use_true_random=False))
@settings(max_examples=300, deadline=None)
def test_walked_marks_are_legal(each: Sentence, chance: random.Random) -> None:
    grammar = Inline().grammar(each.text, TWO, "simplified", in_order=False)
    text = walked(grammar, chance)
    answer = Inline().parse(text, each.text, TWO)
    assert not answer.problems.keys() - {"empty"}, text
    assert answer.spans is not None
    check_nested(answer.spans, len(each.text))
    marks = re.sub(r"\\.", "", text)
    assert marks.count("[") == marks.count("|") == marks.count("]") == len(answer.spans)
    assert follows(text, grammar)
    assert follows(text, grammar.forgetful())


@pytest.mark.parametrize("order", LISTS)
@given(each=sentences())
@settings(max_examples=200, deadline=None)
def test_written_lists_follow_their_grammar(order: str, each: Sentence) -> None:
    plain = each.text.translate({ord(c): "肺" for c in " \n-"})
    each = sentence(plain, *each.entities)
    text = written(LISTS[order], each)
    assert LISTS[order].parse(text, plain, TWO).mentions == LISTS[order].gold(each).mentions
    assert follows(text, LISTS[order].grammar(plain, TWO, "simplified", in_order=False))


@given(st.text("甲乙肺\n ", min_size=1, max_size=8), st.randoms(use_true_random=False))
@settings(max_examples=200, deadline=None)
def test_walked_lists_end_and_repeat_no_place(text: str, chance: random.Random) -> None:
    """In the order of the text an answer cannot go on for ever, though it may go back inside."""
    for order, kind in LISTS.items():
        grammar = kind.grammar(text, TWO, "simplified", in_order=True)
        said = walked(grammar, chance)
        assert follows(said, grammar)
        answer = kind.parse(said, text, TWO)
        assert not answer.problems.keys() - {"none_word"}, (order, said)
        spans = restore("in_order", text, answer.mentions, nested=True)
        check_nested(spans, len(text))


def longest_walk(grammar: Grammar) -> int:
    node, steps = grammar.start, 0
    while True:
        further = [after for text, after in grammar.steps(node) if text != "无"]
        if not further:
            return steps
        node, steps = further[0], steps + 1


def test_a_list_in_text_order_comes_to_an_end() -> None:
    grammar = LISTS["text_order"].grammar("肺肺", TWO, "simplified", in_order=False)
    assert longest_walk(grammar) < 60


@pytest.mark.parametrize(
    ("text", "expected", "problems"),
    [
        ("[[肺|身体]炎|疾病]", [(0, 2, "dis"), (0, 1, "bod")], {}),
        ("【［肺｜身体］炎｜疾病】", [(0, 2, "dis"), (0, 1, "bod")], {}),
        ("[疾病|[肺|身体]炎]", [(0, 2, "dis"), (0, 1, "bod")], {}),
        ("[[肺炎|身体]|疾病]", [(0, 2, "bod"), (0, 2, "dis")], {}),
        ("[[肺炎|疾病]|疾病]", [(0, 2, "dis")], {"repeated_line": 1}),
        ("[[肺|身体]炎", [(0, 1, "bod")], {"altered_copy": 1}),
        ("[[肺|身体]炎|疾", [(0, 1, "bod")], {"unparsable_line": 1}),
        ("[[肺|身体]炎|病毒]", [(0, 1, "bod")], {"unknown_label": 1}),
        ("[[肺|身子]炎|疾病]", [(0, 2, "dis")], {"unknown_label": 1}),
        ("[[肺|身体]炎]", [(0, 1, "bod")], {"altered_copy": 2}),
    ],
)
def test_marks_that_are_read(
    text: str, expected: list[tuple[int, int, str]], problems: dict[str, int]
) -> None:
    answer = Inline().parse(text, "肺炎", NESTED)
    assert [(s.start, s.end, s.type) for s in answer.spans or ()] == expected
    assert dict(answer.problems) == problems


@given(st.text("[]|肺炎身体疾病\\", max_size=60))
def test_no_text_of_marks_breaks_the_reader(text: str) -> None:
    answer = Inline().parse(text, "肺炎", NESTED)
    check_nested(answer.spans or (), 2)


def test_a_long_text_of_open_marks_is_read_soon() -> None:
    assert Inline().parse("[" * 100_000, "肺炎" * 500, NESTED).spans == ()


def test_in_a_flat_scheme_a_mark_inside_another_is_text() -> None:
    answer = Inline().parse("[[肺|身体]炎|疾病]", "肺炎", FLAT)
    assert answer.spans == (Span(0, 1, "bod"),)
    grammar = Inline().grammar("肺炎", FLAT, "simplified", in_order=False)
    assert not follows("[[肺|身体]炎|疾病]", grammar)


@pytest.mark.parametrize("text", ["x", "xy", "xyz"])
@pytest.mark.parametrize("names", [1, 2])
def test_every_way_of_marking_comes_to_an_end(text: str, names: int) -> None:
    labels = LabelScheme("few", TWO.labels[:names], nested=True)
    grammar = Inline().grammar(text, labels, "simplified", in_order=False)
    nodes = [grammar.start]
    seen = set(nodes)
    for node in nodes:  # grows while it is read
        after = {further for _, further in grammar.steps(node)} - seen
        assert after or grammar.ends(node) or any(grammar.steps(node))
        seen |= after
        nodes += after
        while not grammar.ends(node):
            _, node = grammar.way_out(node)


def test_one_category_marks_a_place_once() -> None:
    def follow(text: str) -> bool:
        return follows(text, Inline().grammar("肺炎", TWO, "simplified", in_order=False))

    assert follow("[[肺炎|甲]|乙]")
    assert not follow("[[肺炎|甲]|甲]")
    assert follow("[[肺|甲]炎|甲]")
    assert follow("[[肺|甲][炎|甲]|甲]")
    assert not follow("[[肺|甲]炎]")
    assert not follow("[肺炎|甲")
    assert not follow("[|甲]肺炎")


def test_a_server_is_sent_nested_marks() -> None:
    grammar = ebnf(Inline().grammar("肺", TWO, "simplified", in_order=False))
    assert grammar.count('"["') == DEEPEST


def test_of_two_that_cross_the_second_cannot_be_marked() -> None:
    both = (Span(0, 3, "A"), Span(2, 4, "A"))
    each = Sentence("a", "train", "G", "甲乙肺肺", None, both, "甲乙肺肺")
    assert written(Inline(), each) == "[甲乙肺|甲]肺"
    assert Inline().gold(each).spans == both[:1]
    assert len(LISTS["text_order"].gold(each).mentions) == 2


def test_what_is_too_deep_inside_is_left_out_of_the_target() -> None:
    text = "甲乙肺甲乙肺"
    each = sentence(text, *(Span(start, 6, "A") for start in range(6)))
    assert Inline().gold(each).spans == each.entities[:DEEPEST]
    target = written(Inline(), each)
    assert Inline().parse(target, text, TWO) == Inline().gold(each)


def prompt(kind: Any) -> Prompt:
    words = {"instruction": "类别：{categories}。\n", "sentence": "{sentence}\n"}
    return Prompt(
        name="mine", wording={"simplified": words}, answer=kind, stop=[], definitions=None,
        examples=None, hints=None,
    )  # fmt: skip


def test_bio_is_refused_by_a_nested_scheme() -> None:
    assert prompt(BioTags(style="lines")).task(FLAT, "simplified")
    with pytest.raises(InputError, match=r"'mine'.*inside another.*'cmeee'.*prompt=inline"):
        prompt(BioTags(style="lines")).task(NESTED, "simplified")


def test_the_instruction_says_that_entities_nest() -> None:
    assert "里面" in prompt(Inline()).task(NESTED, "simplified").instruction
    assert "里面" not in prompt(Inline()).task(FLAT, "simplified").instruction


@pytest.fixture(scope="module")
def cmeee(corpora_dir: Path) -> list[Sentence]:
    """The development sentences of CMeEE, and training sentences that have the deepest nesting."""
    texts: list[AnnotatedText] = []
    for name in ("val_data", "train_data"):
        path = corpora_dir / "cmeee" / f"{name}.txt"
        texts += read_annotated(path, "pipes", {"end": "inclusive"}).texts
    nested = [text for text in texts if inside(text.entities)]
    chosen = [*nested[:700], *nested[-700:], *texts[:5000:20]]
    return [Sentence("a", "test", "G", t.text, None, t.entities, t.text) for t in chosen]


def test_cmeee_is_written_and_read_without_loss(cmeee: list[Sentence]) -> None:
    formats = (Inline(), *LISTS.values(), GroupedJson())
    for each in cmeee:
        for kind in formats:
            gold = kind.gold(each)
            answer = kind.parse(written(kind, each, NESTED), each.text, NESTED)
            assert answer.mentions == gold.mentions, each.text
            assert answer.spans == gold.spans


def test_cmeee_follows_its_grammars(cmeee: list[Sentence]) -> None:
    short = [each for each in cmeee if len(each.text) <= 60][:300]
    assert sum(len(inside(each.entities)) for each in short) > 200
    for each in short:
        for kind in (Inline(), *LISTS.values()):
            target = written(kind, each, NESTED)
            assert follows(target, kind.grammar(each.text, NESTED, "simplified", in_order=False))


def test_cmeee_targets_stay_below_the_cap(cmeee: list[Sentence]) -> None:
    for each in cmeee:
        characters = Inline().room(len(each.text), 4)
        assert len(written(Inline(), each, NESTED)) < 32 + 2 * characters


def test_lists_give_most_of_cmeee_back(cmeee: list[Sentence]) -> None:
    """What a list cannot say is which of several places it means."""
    gold = sum(len(each.entities) for each in cmeee)
    for kind, policy, least in (
        (LISTS["text_order"], "in_order", 0.95),
        (LISTS["unique"], "longest_first", 0.97),
    ):
        right = sum(
            len(set(each.entities) & set(restored(policy, each, kind.gold(each).mentions)))
            for each in cmeee
        )
        assert right / gold > least, (policy, right / gold)


def restored(policy: str, each: Sentence, mentions: tuple[Mention, ...]) -> tuple[Span, ...]:
    return restore(policy, each.text, mentions, nested=True)
