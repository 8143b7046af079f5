"""Entities inside others: what is written comes back, and constrained answers are legal."""

import random
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from chmed_ner.data import read_annotated
from chmed_ner.entities import (
    POLICIES,
    Grammar,
    Mention,
    Sentence,
    Span,
    check_nested,
    crosses,
    follows,
    gold_mentions,
    inside,
    label_scheme,
    nestable,
    restore,
)
from chmed_ner.errors import InputError
from chmed_ner.prompt.formats import Extraction, GroupedJson, Inline
from chmed_ner.run import compose, configure

TYPES = {"DISE": {"simplified": "疾病"}, "BODY": {"simplified": "身体"}, "SYMP": {}}
NESTED = label_scheme("nested", TYPES, nested=True)
FLAT = label_scheme("flat", TYPES)
INLINE = Inline()


def sentence(text: str, spans: Iterable[Span]) -> Sentence:
    return Sentence("s", "test", "", text, None, nestable(spans), text)


@st.composite
def nested_sentences(draw: st.DrawFn) -> Sentence:
    text = draw(st.text("胃痛心a [|]\\", min_size=1, max_size=14))
    places = st.tuples(st.integers(0, len(text) - 1), st.integers(1, len(text)))
    types = st.sampled_from(sorted(TYPES))
    found = draw(st.lists(st.tuples(places, types), max_size=7))
    return sentence(text, [Span(a, b, type_) for (a, b), type_ in found if a < b])


@given(nested_sentences())
@settings(deadline=None)
def test_marks_that_nest_come_back(gold: Sentence) -> None:
    check_nested(gold.entities, len(gold.text))
    written = INLINE.write(INLINE.gold(gold), gold.text, NESTED, "simplified")
    read = INLINE.parse(written, gold.text, NESTED)
    assert not read.problems or not written.strip()
    assert read.spans == gold.entities


@given(nested_sentences())
@settings(deadline=None)
def test_the_grammar_takes_every_gold_answer(gold: Sentence) -> None:
    deep = max((sum(o != s and o.start <= s.start and s.end <= o.end for o in gold.entities)
                for s in gold.entities), default=0)  # fmt: skip
    together = Counter(span.start for span in gold.entities)
    if deep >= 4 or max(together.values(), default=0) > len(TYPES):
        return  # deeper than any corpus; more entities that begin together than there are types
    written = INLINE.write(INLINE.gold(gold), gold.text, NESTED, "simplified")
    assert follows(written, INLINE.grammar(gold.text, NESTED, "simplified", in_order=False))


def walk(grammar: Grammar, chance: random.Random, most: int) -> str:
    """A random answer; after `most` steps by the shortest way to an end."""
    node, text = grammar.start, ""
    for number in range(100_000):
        steps = list(grammar.steps(node))
        if grammar.ends(node) and (number >= most or not steps or chance.random() < 0.2):
            return text
        piece, node = grammar.way_out(node) if number >= most else chance.choice(steps)
        text += piece
    raise AssertionError("no way out")


@pytest.mark.parametrize("seed", range(300))
def test_constrained_marks_are_legal(seed: int) -> None:
    chance = random.Random(seed)
    text = "".join(chance.choices("胃痛心血管", k=chance.randint(1, 9)))
    grammar = INLINE.grammar(text, NESTED, "simplified", in_order=False)
    read = INLINE.parse(walk(grammar, chance, 40), text, NESTED)
    assert not read.problems
    assert read.spans is not None
    check_nested(read.spans, len(text))


@given(nested_sentences(), st.sampled_from(sorted(POLICIES)))
@settings(deadline=None)
def test_restored_spans_never_cross(gold: Sentence, policy: str) -> None:
    spans = restore(policy, gold.text, gold_mentions(gold), nested=True)
    check_nested(spans, len(gold.text))
    assert not any(crosses(a, b) for a in spans for b in spans)


def test_a_mention_inside_another_is_placed_there_only_if_it_has_no_place_of_its_own() -> None:
    mentions = [Mention("胃痛", "SYMP"), Mention("胃", "BODY")]
    assert restore("longest_first", "胃痛", mentions, nested=True) == (
        Span(0, 2, "SYMP"), Span(0, 1, "BODY"),
    )  # fmt: skip
    assert restore("longest_first", "胃痛伤胃", mentions, nested=True) == (
        Span(0, 2, "SYMP"), Span(3, 4, "BODY"),
    )  # fmt: skip
    assert restore("longest_first", "胃痛", mentions) == (Span(0, 2, "SYMP"),)


def test_flat_labels_read_marks_as_before() -> None:
    read = INLINE.parse("[[胃|身体]痛|SYMP]", "胃痛", FLAT)
    assert read.spans == (Span(0, 1, "BODY"),)
    assert read.problems


@pytest.mark.parametrize("prompt", ["bio", "bio_one_line", "bio_runs"])
def test_tags_cannot_say_what_nests(prompt: str) -> None:
    experiment = configure(compose([f"prompt={prompt}"]), {})
    with pytest.raises(InputError, match="prompt=inline"):
        experiment.prompt.task(NESTED, "simplified")


@pytest.mark.parametrize("name", ["inline", "extraction", "json"])
def test_cmeee_comes_back(name: str, corpora_dir: Path) -> None:
    texts = read_annotated(corpora_dir / "cmeee" / "val_data.txt", "pipes", {}).texts
    labels = configure(compose(["dataset=cmeee"]), {}).dataset.scheme
    answer = {
        "inline": INLINE, "extraction": Extraction(order="unique", separator="-"),
        "json": GroupedJson(),
    }[name]  # fmt: skip
    wanted = within = right = placed = 0
    for each in texts[::5]:
        gold = sentence(each.text, each.entities)
        written = answer.write(answer.gold(gold), gold.text, labels, "simplified")
        read = answer.parse(written, gold.text, labels)
        assert not read.problems
        found = read.spans
        if found is None:
            found = restore("longest_first", gold.text, read.mentions, nested=True)
        deep = inside(gold.entities)
        wanted, within = wanted + len(gold.entities), within + len(deep)
        right += len(set(gold.entities) & set(found))
        placed += len(deep & set(found))
    assert wanted > 4_000
    assert within > 200
    if name == "inline":
        assert (right, placed) == (wanted, within)
    else:
        assert right / wanted > 0.98
        assert placed / within > 0.9


@given(nested_sentences(), st.lists(st.tuples(st.integers(0, 9), st.integers(1, 9))))
@settings(deadline=None)
def test_of_spans_that_cross_the_first_is_kept(gold: Sentence, more: list[tuple[int, int]]) -> None:
    spans = [*gold.entities, *(Span(start, start + length, "BODY") for start, length in more)]
    kept: list[Span] = []
    for span in sorted(set(spans), key=lambda s: (s.start, -s.end, s.type)):
        if not any(crosses(span, other) for other in kept):
            kept.append(span)
    assert nestable(spans) == tuple(kept)
