"""The candidate tokens of a sentence against a walk through every state of its automaton."""

from typing import Any

import pytest

from chmed_ner.entities.grammar import Together
from chmed_ner.entities.labels import LabelScheme, label_scheme
from chmed_ner.model.decoding.automaton import TokenAutomaton
from chmed_ner.model.decoding.vocabulary import Vocabulary
from chmed_ner.prompt.formats.bio_tags import STYLES, BioTags
from chmed_ner.prompt.formats.extraction import Extraction
from chmed_ner.prompt.formats.inline import Inline
from chmed_ner.train.answer_loss import answer_tokens

FORMATS: dict[str, Any] = {
    "extraction": Extraction(order="unique", separator="-"),
    "text_order": Extraction(order="text_order", separator="-"),
    "inline": Inline(),
    **{style: BioTags(style=style) for style in STYLES},
}
LABELS = label_scheme(
    "ten", {f"T{at}": {"simplified": name} for at, name in enumerate(("疾病", "时间"))}
)


@pytest.mark.parametrize("kind", ["tiny_tokenizer", "spaced_tokenizer"])
@pytest.mark.parametrize("style", FORMATS)
@pytest.mark.parametrize("sentence", ["胃痛两天", " 😀-胃\n病", "[头|痛"])
def test_they_are_those_that_some_state_allows(
    kind: str, style: str, sentence: str, request: pytest.FixtureRequest
) -> None:
    check(request.getfixturevalue(kind), style, sentence, LABELS)


@pytest.mark.parametrize("style", ["extraction", "text_order", "inline"])
def test_so_they_are_where_entities_nest(style: str, tiny_tokenizer: Any) -> None:
    check(tiny_tokenizer, style, "[头|痛", LabelScheme("two", LABELS.labels, nested=True))


def check(tokenizer: Any, style: str, sentence: str, labels: LabelScheme) -> None:
    grammar = FORMATS[style].grammar(sentence, labels, "simplified", in_order=False).forgetful()
    vocabulary = Vocabulary(tokenizer, len(tokenizer))
    stop, end_tokens = ("\n\n", "\n句子："), [tokenizer.eos_token_id]
    together = TokenAutomaton(Together(grammar), vocabulary, stop=stop, end_tokens=end_tokens)
    automaton = TokenAutomaton(grammar, vocabulary, stop=stop, end_tokens=end_tokens)
    allowed = {tokenizer.eos_token_id, *automaton.start.successors}
    todo, seen = [automaton.start], {automaton.start}
    while todo:
        state = todo.pop()
        allowed.update(state.successors)
        after = {automaton.state(key) for key in state.successors.values()} - seen
        seen |= after
        todo += after
    assert answer_tokens(together) == allowed
    assert 20 < len(allowed) < len(tokenizer)
