"""A grammar on its way to a server."""

from typing import Any

import pytest

from chmed_ner.backbone.api.endpoint import GRAMMAR_FIELDS
from chmed_ner.backbone.api.messages import Wording
from chmed_ner.entities.grammar import ebnf
from chmed_ner.entities.labels import label_scheme
from chmed_ner.errors import InputError
from chmed_ner.model.asking import Request
from chmed_ner.prompt.formats.bio_tags import STYLES, BioTags
from chmed_ner.prompt.formats.extraction import Extraction
from chmed_ner.prompt.formats.inline import Inline
from chmed_ner.run.config import option

LABELS = label_scheme("two", {"SYMP": {"simplified": "症状"}, "DISE": {"simplified": "疾病"}})
GRAMMAR = Extraction(order="unique", separator="-").grammar(
    "头痛", LABELS, "simplified", in_order=False
)
RULES = """root ::= "无" n1 | "头" n2 | "痛" n3
n1 ::= ""
n2 ::= "痛" n3 | "-" n4
n3 ::= "-" n4
n4 ::= "症状" n5 | "疾病" n5
n5 ::= "\\n" n6 | ""
n6 ::= "头" n2 | "痛" n3
"""


class Asked:
    """A prompt with this grammar."""

    def grammar(self, model_text: str, *, in_order: bool) -> object:
        return GRAMMAR


def backbone(grammar: str | None) -> Any:
    """An endpoint whose server takes grammars in this way."""
    return option(
        "backbone", "openai_compatible", name="mine", base_url="http://127.0.0.1:1/v1",
        model="tiny", grammar=grammar,
    )  # fmt: skip


def test_the_rules() -> None:
    assert ebnf(GRAMMAR) == RULES


@pytest.mark.parametrize("answer", [Extraction(order="unique", separator="-"), Inline(),
                                    *(BioTags(style=style) for style in STYLES)])  # fmt: skip
def test_control_characters_of_a_sentence_are_left_out(answer: Any) -> None:
    sentence = "\0头\x01\x1b\0痛\x7f\x9f\ud800\0"
    rules = ebnf(answer.grammar(sentence, LABELS, "simplified", in_order=False))
    assert not set(rules) & set(sentence) - set("头痛")
    assert {"头", "痛"} <= set(rules)


@pytest.mark.parametrize(
    ("server", "added"),
    [
        ("vllm", {"structured_outputs": {"grammar": RULES}}),
        ("vllm_guided", {"guided_grammar": RULES}),
        ("sglang", {"ebnf": RULES}),
        ("llama_cpp", {"grammar": RULES}),
    ],
)
def test_every_server_has_its_field(server: str, added: dict[str, object]) -> None:
    free, held = (Request("s", "test", "FT", "头痛", 9, grammar=each) for each in (None, GRAMMAR))
    plain = Wording(backbone(None), ()).body(free)
    wording = Wording(backbone(server), ())
    assert wording.body(held) == {**plain, **added}
    assert wording.body(free) == plain
    assert server in GRAMMAR_FIELDS


def test_a_server_that_takes_none_is_refused_beforehand() -> None:
    with pytest.raises(InputError, match="backbone=mine cannot be held to a grammar"):
        option("decoding", "constrained").check(Asked(), backbone(None))
    option("decoding", "constrained").check(Asked(), backbone("vllm"))
    with pytest.raises(InputError, match=r"text_order: backbone=mine .*leave it at false"):
        option("decoding", "constrained", text_order=True).check(Asked(), backbone("vllm"))
    option("decoding", "greedy").check(Asked(), backbone(None))
    with pytest.raises(InputError, match=r"backbone\.grammar=tgi: give one of vllm"):
        backbone("tgi")
