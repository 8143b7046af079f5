"""The scripted backbone: gold answers with seeded noise."""

from collections import Counter
from typing import Any

import pytest

from chmed_ner.backbone.scripted import Scripted
from chmed_ner.errors import InputError
from chmed_ner.model.asking import Request
from chmed_ner.run.config import option

TARGET = "头痛-症状\n阿司匹林-药品\n胃-人体"


def scripted(**knobs: Any) -> Scripted:
    """The option, some knobs changed."""
    found: Scripted = option("backbone", "scripted", **knobs)
    return found


def a_request(number: int, target: str = TARGET) -> Request:
    """A request for sentence `number`."""
    return Request(f"s{number}", "test", "FT", "句子：头痛", 64, target=target)


def texts(backbone: Scripted, count: int = 300) -> list[str]:
    """Its answers to `count` sentences."""
    return [reply.text for reply in backbone.answer([a_request(n) for n in range(count)])]


def test_without_noise_the_answer_is_the_target() -> None:
    reply = scripted(noise=0.0).answer([a_request(0)])[0]
    assert (reply.text, reply.stop) == (TARGET, "end")
    assert (reply.prompt_tokens, reply.completion_tokens) == (len("句子：头痛"), len(TARGET))


def test_without_a_target_the_answer_is_empty() -> None:
    assert scripted(noise=1.0).answer([a_request(0, target="")])[0].text == ""


def test_noise_spoils_about_its_share_of_lines() -> None:
    kept = Counter(
        line in TARGET.split("\n")
        for text in texts(scripted(noise=0.3, seed=4), 1000)
        for line in text.split("\n")
    )
    assert 0.70 < kept[True] / sum(kept.values()) < 0.90  # a relabelled line may stay the same
    assert sum(text == TARGET for text in texts(scripted(noise=0.3), 1000)) / 1000 == pytest.approx(
        0.7**3, abs=0.08
    )


def test_noise_depends_on_its_seed_and_the_sentence_only() -> None:
    requests = [a_request(number) for number in range(50)]
    backbone = scripted(noise=0.5, seed=3)
    first = backbone.answer(requests)
    assert backbone.answer(requests) == first
    assert backbone.answer(requests[::-1]) == first[::-1]
    assert [backbone.answer([request])[0] for request in requests] == first
    assert backbone.generator(stop=["\n\n"], seed=99).answer(requests) == first
    assert scripted(noise=0.5, seed=4).answer(requests) != first
    assert len({reply.text for reply in first}) > 10


def test_all_noise_makes_every_kind_of_mistake() -> None:
    answers = "\n".join(texts(scripted(noise=1.0)))
    for piece in ("〇-", "-？？", "以上是", "头痛-药品", "头痛-症状\n头痛-症状"):
        assert piece in answers
    stops = {r.stop for r in scripted(noise=1.0).answer([a_request(n) for n in range(300)])}
    assert stops == {"end", "length"}


def test_the_checksum_tells_two_kinds_of_noise_apart() -> None:
    checksums = {
        scripted(noise=noise, seed=seed).checksum() for noise in (0.1, 0.2) for seed in (0, 1)
    }
    assert len(checksums) == 4
    assert scripted(noise=0.1, batch_size=2).checksum() in checksums


@pytest.mark.parametrize("noise", [-0.1, 1.1, float("nan")])
def test_noise_must_be_a_probability(noise: float) -> None:
    with pytest.raises(InputError, match=r"backbone\.noise="):
        scripted(noise=noise)


def test_batches_hold_one_or_more() -> None:
    with pytest.raises(InputError, match=r"backbone\.batch_size=0"):
        scripted(batch_size=0)


def test_it_cannot_be_tuned() -> None:
    with pytest.raises(InputError, match="regime=zero_shot"):
        scripted().tunable()
