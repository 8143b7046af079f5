"""The embedded model: our loop, free and constrained, against transformers' `generate`."""

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from chmed_ner.entities.labels import label_scheme
from chmed_ner.files import cache_directory
from chmed_ner.model.asking import Reply, Request
from chmed_ner.model.decoding.greedy import GreedyGenerator
from chmed_ner.prompt.formats.extraction import Extraction
from chmed_ner.run.config import option

pytestmark = pytest.mark.slow

NAMES = ("身体", "症状", "医疗器材", "检验", "化学物质", "疾病", "药品", "营养品", "治疗", "时间")
LABELS = label_scheme("ten", {f"T{at}": {"simplified": name} for at, name in enumerate(NAMES)})
STOP = ("\n\n", "\n句子：")
TIE = 1e-4


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def generators(request: pytest.FixtureRequest) -> Iterator[tuple[str, Any, Any]]:
    """Precision, our loop and the plain path, 32 sentences at a time."""
    backbone = option(
        "backbone", "gemma3_270m", dtype=request.param, device="cpu", cache=str(cache_directory())
    )
    loop = backbone.generator(stop=STOP, seed=0)
    yield request.param, loop, GreedyGenerator(loop.loaded, batch_size=32, stop=STOP)
    loop.close()


def requests(texts: list[str], cap: int, *, constrained: bool) -> list[Request]:
    """Two examples, then the sentence."""
    shown = "句子：头痛两天。\n医疗实体：\n头痛-症状\n\n句子：他很高兴。\n医疗实体：\n无\n\n"
    return [
        Request(
            str(at),
            "test",
            "FT",
            f"{shown}句子：{text}\n医疗实体：\n",
            cap,
            grammar=Extraction(order="unique", separator="-").grammar(
                text, LABELS, "simplified", in_order=False
            )
            if constrained
            else None,
        )
        for at, text in enumerate(texts)
    ]


def in_batches(generator: Any, asked: list[Request]) -> list[Reply]:
    """All replies, in order; batches of like length."""
    order = sorted(range(len(asked)), key=lambda at: generator.length(asked[at]))
    size = generator.batch_size
    replies: dict[int, Reply] = {}
    for start in range(0, len(order), size):
        part = order[start : start + size]
        replies |= dict(zip(part, generator.answer([asked[at] for at in part]), strict=True))
    return [replies[at] for at in range(len(asked))]


def is_tie(loop: Any, request: Request, one: str, other: str) -> bool:
    """Where two answers part, are the two tokens' logits closer than TIE?"""
    tokenizer, model = loop.loaded.tokenizer, loop.loaded.model
    ids = [tokenizer.encode(text, add_special_tokens=False) for text in (one, other)]
    at = next((n for n, (a, b) in enumerate(zip(*ids, strict=False)) if a != b), min(map(len, ids)))
    ends = [each[at] if at < len(each) else tokenizer.eos_token_id for each in ids]
    with torch.inference_mode():
        read = torch.tensor([loop.prompt_ids(request) + ids[0][:at]])
        logits = model(read).logits[0, -1].float()
    return bool((logits[ends[0]] - logits[ends[1]]).abs() < TIE)


@pytest.mark.parametrize(
    ("constrained", "count", "width"),
    [(False, 96, 60), (True, 512, 30)],
    ids=["free", "constrained"],
)
def test_same_answers_as_generate(
    generators: tuple[str, Any, Any],
    sample_sentences: list[str],
    constrained: bool,
    count: int,
    width: int,
) -> None:
    """In float32 the same but for ties; in bfloat16 nearly all."""
    dtype, loop, plain = generators
    count = count if dtype == "float32" else 96
    texts = [text[at : at + width] for at in (0, 7, 13, 19, 26) for text in sample_sentences]
    texts = [text for text in texts if text.strip()][:count]
    assert len(texts) == count
    asked = requests(texts, 48, constrained=constrained)
    ours, theirs = in_batches(loop, asked), in_batches(plain, asked)
    apart = [at for at, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1]]
    print(f"{dtype} {'constrained' if constrained else 'free'}: {count - len(apart)} of {count}")
    if dtype == "float32":
        for at in apart:
            assert is_tie(loop, asked[at], ours[at].text, theirs[at].text), texts[at]
    assert len(apart) <= (0.01 if dtype == "float32" else 0.3) * count
    if constrained:
        for text, reply in zip(texts, ours, strict=True):
            assert reply.stop == "end"
            answer = Extraction(order="unique", separator="-").parse(reply.text, text, LABELS)
            assert set(answer.problems) <= {"none_word"}  # the word itself, in a sentence with it
            assert all(mention.text in text for mention in answer.mentions)
