"""The token automaton against a grammar spelt out: every answer, every token."""

import gc
import random
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings, strategies as st

from chmed_ner.entities.grammar import NOTHING_LOST, Grammar, Node, ebnf
from chmed_ner.entities.labels import label_scheme
from chmed_ner.entities.types import Span
from chmed_ner.errors import InputError
from chmed_ner.model.decoding.automaton import State, TokenAutomaton
from chmed_ner.model.decoding.vocabulary import Vocabulary, check_reading
from chmed_ner.model.decoding.writing import GuidedWriter
from chmed_ner.prompt.formats.answer import Answer
from chmed_ner.prompt.formats.bio_tags import STYLES, BioTags
from chmed_ner.prompt.formats.extraction import Extraction
from chmed_ner.prompt.formats.inline import Inline
from chmed_ner.prompt.formats.list_grammar import ListGrammar

STOP = ("\n\n", "\n句")
FORMATS: dict[str, Any] = {
    "unique": Extraction(order="unique", separator="-"),
    "in order": Extraction(order="text_order", separator="-"),
    "inline": Inline(),
    **{style: BioTags(style=style) for style in STYLES},
}
LABELS = label_scheme(
    "ten", {f"T{at}": {"simplified": name} for at, name in enumerate(("身体", "疾病", "营养品"))}
)


def a_grammar(sentence: str, *, in_order: bool = False) -> ListGrammar:
    """Lines with two categories, one of which begins like the other."""
    return ListGrammar(sentence, "-", ("病", "病痛"), "无", distinct=True, in_order=in_order)


def an_automaton(grammar: Grammar, tokenizer: Any) -> TokenAutomaton:
    """The automaton, with the tokenizer's end token."""
    vocabulary = Vocabulary(tokenizer, len(tokenizer))
    ends = [tokenizer.eos_token_id]
    return TokenAutomaton(grammar, vocabulary, stop=STOP, end_tokens=ends)


def all_answers(grammar: Grammar, longest: int) -> Iterator[str]:
    """Every answer of up to `longest` characters, and those cut off there."""
    todo: list[tuple[str, Node]] = [("", grammar.start)]
    while todo:
        text, node = todo.pop()
        if len(text) >= longest:
            yield text
            continue
        if grammar.ends(node):
            yield from (text, *(text + stop for stop in STOP))
        todo += [(text + step, after) for step, after in grammar.steps(node)]


@pytest.mark.parametrize("kind", ["tiny_tokenizer", "spaced_tokenizer"])
@pytest.mark.parametrize("sentence", ["痛风痛", "B-病", " 痛\n风", "无"])
def test_a_token_is_legal_if_some_answer_goes_on_with_it(
    kind: str, sentence: str, request: pytest.FixtureRequest
) -> None:
    tokenizer = request.getfixturevalue(kind)
    grammar = a_grammar(sentence)
    automaton = an_automaton(grammar, tokenizer)
    vocabulary, lead = automaton.vocabulary, automaton.vocabulary.strips_space
    assert lead == (kind == "spaced_tokenizer")
    answers = {text.encode() for text in all_answers(grammar, 12)}
    answers |= {b" " + text for text in answers} if lead else set()
    begun = {text[:at] for text in answers for at in range(len(text) + 1)}
    chance = random.Random(0)
    for _ in range(12):
        state, written = automaton.start, b""
        while not state.stopped and len(written) < 15:
            legal = {
                token for token, word in vocabulary.bytes_of.items() if written + word in begun
            }
            short = {t for t in legal if len(written + vocabulary.bytes_of[t]) < 15}
            found = {t for t in state.successors if len(written + vocabulary.bytes_of[t]) < 15}
            assert found == short
            if not found:
                break
            token = chance.choice(sorted(found))
            state, written = state.after(token), written + vocabulary.bytes_of[token]


def test_what_is_listed_is_not_listed_again(tiny_tokenizer: Any) -> None:
    automaton = an_automaton(a_grammar("痛风"), tiny_tokenizer)

    def state_after(text: str) -> State:
        state = automaton.start
        for token in tiny_tokenizer.encode(text):
            state = state.after(token)
        return state

    with pytest.raises(KeyError):
        state_after("痛-病\n痛-病\n")
    assert state_after("痛-病\n痛-病痛").ends
    full = "痛-病\n痛-病痛\n风-病\n风-病痛\n痛风-病\n痛风-病痛"
    assert state_after(full).ends
    with pytest.raises(KeyError):  # no line is left; only a stop string can follow
        state_after(full + "\n痛")
    assert state_after(full + "\n\n").stopped == 2
    in_order = an_automaton(a_grammar("痛风痛", in_order=True), tiny_tokenizer)
    automaton = in_order
    assert state_after("风-病\n痛-病").ends
    with pytest.raises(KeyError):
        state_after("痛风-病\n风")


def random_answer(automaton: TokenAutomaton, seed: int, most: int) -> tuple[str, int]:
    """An answer of tokens chosen at random among those after which it can still end."""
    from chmed_ner.model.decoding.writing import GuidedWriter

    chance, writer = random.Random(seed), GuidedWriter(automaton, most)
    writer.opening()
    while not writer.over:
        writer.take(chance.choice(writer.allowed().tolist()))
    assert writer.ended
    return writer.text(), len(writer.tokens)


@pytest.mark.parametrize("kind", ["tiny_tokenizer", "spaced_tokenizer"])
@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    sentence=st.text(st.characters(codec="utf-8"), max_size=12),
    seed=st.integers(0, 99),
    most=st.integers(14, 60),
    answers=st.sampled_from([*FORMATS.values()]),
)
def test_whatever_is_chosen_the_answer_ends_in_time_and_is_read_without_a_problem(
    kind: str, sentence: str, seed: int, most: int, answers: Any, request: pytest.FixtureRequest
) -> None:
    grammar = answers.grammar(sentence, LABELS, "simplified", in_order=False)
    automaton = an_automaton(grammar, request.getfixturevalue(kind))
    most += automaton.start.need
    text, count = random_answer(automaton, seed, most)
    assert count < most
    answer = answers.parse(text, sentence, LABELS)
    assert not answer.problems or (text.strip() == sentence.strip() == "")
    assert all(mention.text in sentence for mention in answer.mentions)
    assert answers.parse(answers.write(answer, sentence, LABELS, "simplified"), sentence, LABELS)


@pytest.mark.parametrize("name", [name for name in FORMATS if name not in ("unique", "in order")])
def test_what_a_perfect_model_writes_is_legal(
    name: str, tiny_tokenizer: Any, spaced_tokenizer: Any
) -> None:
    """A copy has a single form; both tokenizers write it their own way."""
    sentence = "头[痛]\n两 天|"
    spans = (Span(0, 1, "T0"), Span(1, 4, "T1"), Span(4, 6, "T1"))
    answer = Answer((), spans=spans)
    answers = FORMATS[name]
    text = answers.write(answer, sentence, LABELS, "simplified")
    grammar = answers.grammar(sentence, LABELS, "simplified", in_order=False)
    for tokenizer in (tiny_tokenizer, spaced_tokenizer):
        automaton = an_automaton(grammar, tokenizer)
        state = automaton.start
        for token in tokenizer.encode(text, add_special_tokens=False):
            assert not state.ends
            state = state.after(token)
        assert state.ends
        assert state.need == 1
    assert answers.parse(text, sentence, LABELS).spans == spans


def test_442_equal_characters(tiny_tokenizer: Any) -> None:
    text, _ = random_answer(an_automaton(a_grammar("痛" * 442), tiny_tokenizer), 1, 400)
    assert all(line.rpartition("-")[0].strip("痛") == "" for line in text.split("\n"))


def test_a_text_without_choice_is_one_token(tiny_tokenizer: Any) -> None:
    @dataclass
    class Fixed:
        """`a`, then always the same."""

        start: Node = 0

        def steps(self, node: Node) -> list[tuple[str, Node]]:
            after: dict[Node, list[tuple[str, Node]]] = {
                0: [("a", 1), ("b", 1)],
                1: [("医疗器材", 2)],
            }
            return after.get(node, [])

        def ends(self, node: Node) -> bool:
            return node == 2

        def way_out(self, node: Node) -> tuple[str, Node]:
            return self.steps(node)[0]

        def within(self, writable: Any) -> "Fixed":
            return self

        def forgetful(self) -> "Fixed":
            return self

    automaton = an_automaton(Fixed(), tiny_tokenizer)
    state = automaton.start
    assert state.forced is None
    state = state.after(tiny_tokenizer.encode("a")[0])
    rest = "医疗器材".encode()
    while not state.ends:
        token = state.forced
        assert token is not None
        assert state.options.tolist() == [token]
        word = automaton.vocabulary.bytes_of[token]
        assert rest.startswith(word)
        longest = max(t for t in automaton.vocabulary.bytes_of.values() if rest.startswith(t))
        assert word == longest
        rest, state = rest[len(word) :], state.after(token)
    assert not rest


def test_a_tokenizer_without_the_signs_that_answers_need_is_refused(tiny_tokenizer: Any) -> None:
    grammar = a_grammar("痛风x")
    with pytest.raises(InputError, match="cannot write '病'"):
        grammar.within(lambda character: character != "病")
    smaller = grammar.within(lambda character: character != "风")
    lines = {text for text in all_answers(smaller, 6) if "风" in text}
    assert not lines
    assert NOTHING_LOST("风")
    vocabulary = Vocabulary(tiny_tokenizer, len(tiny_tokenizer))
    check_reading(vocabulary, tiny_tokenizer, "头 痛😀")
    vocabulary.bytes_of.clear()
    with pytest.raises(InputError, match="do not stand for"):
        check_reading(vocabulary, tiny_tokenizer, "痛")


def test_an_automaton_and_its_states_are_freed_at_once(tiny_tokenizer: Any) -> None:
    """Without the collector, which goes through all that is alive and is off while answers are
    written."""
    automaton = an_automaton(a_grammar("痛风"), tiny_tokenizer)
    writer = GuidedWriter(automaton, 20)
    while writer.take(int(writer.options()[0])):
        pass
    assert writer.text()
    states = [weakref.ref(state) for state in (automaton.start, writer.state)]
    gc.disable()
    try:
        del automaton, writer
        assert [state() for state in states] == [None, None]
    finally:
        gc.enable()


def test_the_same_grammar_for_a_server() -> None:
    text = ebnf(a_grammar('痛"\\'))
    lines = text.splitlines()
    assert lines[0].startswith('root ::= "无" n1')
    assert len(lines) < 10
    assert r'"\""' in text
    assert r'"\\"' in text
    assert all(" ::= " in line for line in lines)
    long = ebnf(a_grammar("痛风" * 221))
    assert len(long.splitlines()) < 500
