"""Log-probabilities of answers against a masked softmax over the logits of a plain pass."""

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, strategies as st

from chmed_ner.entities import LabelScheme, label_scheme
from chmed_ner.model.asking import Request
from chmed_ner.model.decoding.greedy import GreedyGenerator
from chmed_ner.model.decoding.spelling import written_stretches
from chmed_ner.model.decoding.writing import GuidedWriter, Writer
from chmed_ner.prompt.formats.bio_tags import BioTags
from chmed_ner.prompt.formats.extraction import Extraction
from chmed_ner.prompt.formats.inline import Inline
from chmed_ner.run.config import option

LABELS = label_scheme("two", {"BODY": {"simplified": "身体"}, "SYMP": {"simplified": "症状"}})
NESTED = label_scheme(
    "nested", {"BODY": {"simplified": "身体"}, "SYMP": {"simplified": "症状"}}, nested=True
)
STOP = ("\n\n",)


def both(folder: Path) -> tuple[Any, GreedyGenerator]:
    """The loop and the plain path over one model in float32."""
    names = {"name": "tiny", "path": str(folder), "dtype": "float32", "device": "cpu"}
    loop = option("backbone", "causal_lm", **names, batch_size=3).generator(stop=STOP, seed=0)
    return loop, GreedyGenerator(loop.loaded, batch_size=3, stop=STOP)


def requests(texts: list[str], answers: Any, labels: LabelScheme = LABELS) -> list[Request]:
    """One request a text, held to the grammar of `answers` where these are given."""
    grammars = [
        answers.grammar(text, labels, "simplified", in_order=False) if answers else None
        for text in texts
    ]
    return [
        Request(
            str(at), "test", "FT", f"句子：{text}\n医疗实体：\n", (48, 9)[at % 2], grammar=grammar
        )
        for at, (text, grammar) in enumerate(zip(texts, grammars, strict=True))
    ]


def expected(loop: Any, request: Request, writer: Writer) -> list[float]:
    """The log-probability of each token among those that were allowed, by one pass over all."""
    prompt = loop.prompt_ids(request)
    with torch.inference_mode():
        logits = loop.loaded.model(torch.tensor([prompt + writer.tokens])).logits[0].float()
    again = None
    if isinstance(writer, GuidedWriter):
        again = GuidedWriter(writer.automaton, writer.most)
    found = []
    for at, token in enumerate(writer.tokens, start=len(prompt) - 1):
        legal = torch.arange(logits.shape[1]) if again is None else again.options()
        if again is not None:
            others = again.swap(int(legal[logits[at, legal].argmax()]))
            legal = legal if others is None else others
            again.step(token)
        found.append(float(torch.log_softmax(logits[at, legal], 0)[legal == token]))
    return found


@pytest.mark.parametrize(
    ("answers", "labels"),
    [
        (None, LABELS),
        (Extraction(order="unique", separator="-"), LABELS),
        (Inline(), NESTED),
        (BioTags(style="one_line"), LABELS),
    ],
    ids=["free", "list", "nested marks", "bio"],
)
def test_the_loop_gives_the_masked_softmax_of_a_plain_pass(
    answers: Any, labels: LabelScheme, tiny_gemma3: Path, sample_sentences: list[str]
) -> None:
    loop, plain = both(tiny_gemma3)
    asked = requests([text[:9] for text in sample_sentences[:7]], answers, labels)
    with_choice = 0
    for request, writer in zip(asked, loop.written(asked), strict=True):
        assert len(writer.chances) == len(writer.tokens)
        assert writer.chances == pytest.approx(expected(loop, request, writer), abs=1e-4)
        with_choice += sum(chance < 0 for chance in writer.chances)
    assert with_choice > 20
    for ours, theirs in zip(loop.answer(asked), plain.answer(asked), strict=True):
        assert sum(count for count, _ in ours.logprobs) == len(ours.text)
        assert [count for count, _ in ours.logprobs] == [count for count, _ in theirs.logprobs]
        assert [chance for _, chance in ours.logprobs] == pytest.approx(
            [chance for _, chance in theirs.logprobs], abs=1e-4
        )


@given(st.text(min_size=1, max_size=12), st.integers(0, 12), st.data())
def test_every_character_belongs_to_the_token_that_ends_it(
    text: str, kept: int, data: st.DataObject
) -> None:
    written = text.encode("utf-8", "ignore")
    text = written.decode()
    inside = st.integers(1, len(written) - 1) if len(written) > 1 else st.nothing()
    cuts = sorted(data.draw(st.sets(inside)))
    words = [written[a:b] for a, b in zip([0, *cuts], [*cuts, len(written)], strict=True)]
    chances = [-1.0 - at for at in range(len(words))]
    found = written_stretches(text[:kept], words, chances)
    assert sum(count for count, _ in found) == len(text[:kept])
    if kept >= len(text):
        assert sum(chance for _, chance in found) == pytest.approx(sum(chances))


def test_tokens_that_do_not_spell_the_text_say_nothing() -> None:
    assert written_stretches("头痛", [b"x"], [-0.5]) == ()
    half = "痛".encode()[:2]  # what a tokenizer shows as a broken character
    found = written_stretches("\ufffd头\ufffd", [half, "头".encode(), half], [-0.5, -1.0, -2.0])
    assert found == ((2, -1.5), (1, -2.0))
    assert written_stretches("头", [half], [float("nan")]) == ()
    assert written_stretches("头", [" 头".encode(), b"\n"], [-0.5, -1.0]) == ((1, -0.5),)
    assert written_stretches("头痛-", ["头".encode(), "痛".encode(), b"-"], [0.0, 0.0, -1.0]) == (
        (2, 0.0),
        (1, -1.0),
    )
