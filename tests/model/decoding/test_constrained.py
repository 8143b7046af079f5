"""Constrained decoding in the loop against masked scores in `generate`, token for token."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

import chmed_ner
from chmed_ner.backbone.completions import plan_batches
from chmed_ner.entities.labels import label_scheme
from chmed_ner.model.asking import Reply, Request
from chmed_ner.model.decoding.greedy import GreedyGenerator
from chmed_ner.model.kernels.head import Head
from chmed_ner.prompt.formats.answer import AnswerFormat
from chmed_ner.prompt.formats.bio_tags import STYLES, BioTags
from chmed_ner.prompt.formats.extraction import Extraction
from chmed_ner.prompt.formats.inline import Inline
from chmed_ner.run.config import option

TYPES = ("身体", "症状", "医疗器材", "检验", "化学物质", "疾病", "药品", "营养品", "治疗", "时间")
LABELS = label_scheme("ten", {f"T{at}": {"simplified": name} for at, name in enumerate(TYPES)})
STOP = ("\n\n", "\n句子：")
EVERY = (
    Extraction(order="unique", separator="-"),
    Inline(),
    *(BioTags(style=style) for style in STYLES),
)


def both(folder: Path, slots: int, **knobs: Any) -> tuple[Any, Any]:
    """The loop and the plain path over one model in float32."""
    backbone = option(
        "backbone",
        "causal_lm",
        name="tiny",
        path=str(folder),
        dtype="float32",
        device="cpu",
        batch_size=slots,
        **knobs,
    )
    loop = backbone.generator(stop=STOP, seed=0)
    return loop, GreedyGenerator(loop.loaded, batch_size=slots, stop=STOP)


def requests(
    texts: list[str],
    caps: list[int],
    answers: Any = None,
    *,
    in_order: bool = False,
) -> list[Request]:
    """One request a text, the caps in turn."""
    answers = answers or Extraction(order="unique", separator="-")
    return [
        Request(
            str(at),
            "test",
            "FT",
            f"列出实体。\n句子：{text}\n医疗实体：\n",
            caps[at % len(caps)],
            grammar=answers.grammar(text, LABELS, "simplified", in_order=in_order),
        )
        for at, text in enumerate(texts)
    ]


def check_answers(texts: list[str], replies: list[Any], answers: AnswerFormat) -> None:
    """Whatever the model, every answer is read without a problem; words for none are no mention."""
    for text, reply in zip(texts, replies, strict=True):
        assert reply.stop == "end"
        answer = answers.parse(reply.text, text, LABELS)
        assert set(answer.problems) <= {"none_word"}, (text, reply.text)
        assert all(mention.text in text for mention in answer.mentions)


def in_batches(generator: GreedyGenerator, asked: list[Request]) -> list[Reply]:
    """All replies, in order; batches as a run makes them."""
    replies = {}
    for batch in plan_batches(asked, generator.length, generator.batch_size):
        for request, reply in zip(batch, generator.answer(batch), strict=True):
            replies[request.id] = reply
    return [replies[request.id] for request in asked]


@pytest.mark.parametrize("name", ["tiny_llama", "tiny_gemma3", "spaced_llama"])
def test_same_tokens_as_masked_scores(
    name: str, request: pytest.FixtureRequest, sample_sentences: list[str]
) -> None:
    """Sentences as they are, and cut in the middle: 180 for each model, 540 in all."""
    loop, plain = both(request.getfixturevalue(name), slots=16)
    texts = [text[:50] for text in sample_sentences[:90]]
    texts += [text[3:14] for text in sample_sentences[:90]]
    asked = requests(texts, [16, 30, 18, 24])
    replies = loop.answer(asked)
    assert replies == plain.answer(asked)
    check_answers(texts, replies, Extraction(order="unique", separator="-"))
    assert len({reply.text for reply in replies}) > 60


def every_sentence() -> list[str]:
    """The 480 sentences of the shipped corpus, and the second halves of 60."""
    from chmed_ner.data.columns import read_columns
    from chmed_ner.entities.labels import Simplified, in_script

    texts = []
    for path in sorted((Path(chmed_ner.__file__).parent / "data" / "sample").glob("*.txt")):
        read = read_columns(path, prefix="", split="train", genre="FT", labels=None)
        texts += [sentence.model_text for sentence in in_script(Simplified(), read)]
    return texts + [text[len(text) // 2 :] for text in texts[::8]]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["tiny_llama", "tiny_gemma3"])
@pytest.mark.parametrize(
    "answers",
    [Extraction(order="unique", separator="-"), Inline(), BioTags(style="runs")],
    ids=["list", "marks", "runs"],
)
def test_every_sentence_of_a_corpus(
    answers: AnswerFormat, name: str, request: pytest.FixtureRequest
) -> None:
    """More than 500 whole sentences, each other than the rest, for each family of formats."""
    loop, plain = both(request.getfixturevalue(name), slots=32)
    texts = every_sentence()
    assert len(set(texts)) > 500
    asked = requests(texts, [24 + 2 * len(text) for text in texts], answers)
    replies = in_batches(loop, asked)
    assert replies == in_batches(plain, asked)
    for text, reply in zip(texts, replies, strict=True):
        assert reply.stop == "end"
        assert not answers.parse(reply.text, text, LABELS).problems


ODD = [
    "痛",
    "痛" * 442,
    "头\n痛",
    "\n",
    " ",
    "😀é́\u3000𠮷",
    "无",
    "-",
    "B-12-疾病",
    "a-b\r c",
    "\x00",
]


@pytest.mark.parametrize("name", ["tiny_gemma3", "spaced_llama"])
@pytest.mark.parametrize("slots", [1, 64])
def test_odd_sentences(name: str, slots: int, request: pytest.FixtureRequest) -> None:
    loop, plain = both(request.getfixturevalue(name), slots)
    asked = requests(ODD, [60])
    replies = loop.answer(asked)
    assert replies == plain.answer(asked)
    check_answers(ODD, replies, Extraction(order="unique", separator="-"))
    same = requests(["头痛两天"] * 5, [20])
    assert len({reply.text for reply in loop.answer(same)}) == 1
    assert loop.answer([]) == []


@pytest.mark.parametrize("order", ["unique", "text_order"])
def test_in_the_order_of_the_text(
    tiny_llama: Path, sample_sentences: list[str], order: str
) -> None:
    loop, plain = both(tiny_llama, slots=8)
    texts = [text[:40] for text in sample_sentences[:24]]
    asked = requests(texts, [60], Extraction(order=order, separator="-"), in_order=True)
    replies = loop.answer(asked)
    assert replies == plain.answer(asked)
    several = 0
    for text, reply in zip(texts, replies, strict=True):
        cursor = 0
        for line in reply.text.split("\n") if reply.text != "无" else []:
            words = line.rpartition("-")[0]
            assert words.rstrip() in text[cursor:]
            cursor = text.index(words.rstrip(), cursor) + len(words.rstrip())
        several += "\n" in reply.text
    assert several > 3


def test_free_and_constrained_answers_in_one_batch(
    tiny_llama: Path, sample_sentences: list[str]
) -> None:
    loop, plain = both(tiny_llama, slots=3)
    asked = requests(sample_sentences[:9], [20])
    mixed = [replace(r, grammar=None) if at % 3 else r for at, r in enumerate(asked)]
    replies = loop.answer(mixed)
    assert replies == plain.answer(mixed)
    assert [replies[0]] == loop.answer(asked[:1])


@pytest.mark.parametrize("cap", [1, 2, 3])
def test_a_cap_too_small_for_any_answer(tiny_llama: Path, cap: int) -> None:
    """The shortest answer takes a few tokens of this tokenizer; less is cut, and said to be."""
    loop, plain = both(tiny_llama, slots=2)
    asked = requests(["头痛"], [cap])
    reply = loop.answer(asked)[0]
    assert [reply] == plain.answer(asked)
    shortest = len(loop.loaded.tokenizer.encode("无"))
    assert (reply.stop, reply.text == "无") == (
        "end" if cap > shortest else "length",
        cap >= shortest,
    )
    assert reply.completion_tokens <= cap


def test_the_restricted_head_gives_the_logits_of_the_whole(tiny_llama: Path) -> None:
    from transformers import Gemma2Config, Gemma2ForCausalLM

    torch.manual_seed(0)
    capped = Gemma2ForCausalLM(
        Gemma2Config(
            vocab_size=99,
            hidden_size=32,
            intermediate_size=32,
            num_hidden_layers=1,
            num_attention_heads=2,
            num_key_value_heads=1,
            head_dim=16,
            final_logit_softcapping=0.5,
            initializer_range=0.3,
        )
    )
    for model in (both(tiny_llama, 1)[0].loaded.model, capped):
        head = Head(model)
        ids = torch.tensor([[5, 9, 2]])
        with torch.inference_mode():
            expected = model(ids).logits[0]
            states = model.base_model(ids).last_hidden_state[0]
            assert torch.allclose(head.logits(states), expected, atol=1e-5)
            some = torch.tensor([3, 4, 98, 7])
            assert torch.allclose(head.logits(states, some), expected[:, some], atol=1e-5)
            options = [torch.tensor([1, 7, 50]), torch.tensor([2]), torch.arange(60, 99)]
            best = [int(o[row[o].argmax()]) for o, row in zip(options, expected, strict=True)]
            assert head.likeliest_of(states, options)[0] == best


@pytest.mark.parametrize(
    "answers", [Inline(), *(BioTags(style=style) for style in STYLES)], ids=["inline", *STYLES]
)
@pytest.mark.parametrize("name", ["tiny_gemma3", "spaced_llama"])
def test_formats_that_copy_the_sentence(
    answers: AnswerFormat, name: str, request: pytest.FixtureRequest, sample_sentences: list[str]
) -> None:
    loop, plain = both(request.getfixturevalue(name), slots=8)
    texts = [*(text[:9] for text in sample_sentences[:10]), "头\n痛 [x|", "😀"]
    asked = requests(texts, [300], answers)
    replies = loop.answer(asked)
    assert replies == plain.answer(asked)
    check_answers(texts, replies, answers)


@pytest.mark.parametrize("answers", EVERY, ids=["extraction", "inline", *STYLES])
def test_a_tokenizer_that_normalises(
    answers: AnswerFormat, normalising_llama: Path, sample_sentences: list[str]
) -> None:
    """What it takes away cannot be learnt, so answers are written in what it leaves; they are found
    in the sentence as it is."""
    loop, plain = both(normalising_llama, slots=8)
    texts = ["维生素（Ⅱ）℃", "约３８℃…头痛；", *(f"（{text[:8]}" for text in sample_sentences[:6])]
    asked = requests(texts, [300], answers)
    replies = loop.answer(asked)
    assert replies == plain.answer(asked)
    assert not any(character in reply.text for reply in replies for character in "（ⅡＣ℃…３")
    check_answers(texts, replies, answers)
