"""Guessed tokens save passes and change no answer."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from chmed_ner.entities.labels import label_scheme
from chmed_ner.model.asking import Request
from chmed_ner.model.decoding.guesses import Guesses
from chmed_ner.model.decoding.loop import write_answers
from chmed_ner.model.decoding.writing import FreeWriter, GuidedWriter, StopStrings
from chmed_ner.model.kernels.head import Head
from chmed_ner.prompt.formats.extraction import Extraction
from chmed_ner.prompt.formats.inline import Inline
from chmed_ner.run.config import option

LABELS = label_scheme("two", {"A": {"simplified": "身体"}, "B": {"simplified": "疾病"}})


def test_what_came_last_is_guessed() -> None:
    guesses = Guesses()
    assert guesses.after([], 4) == []
    assert guesses.learn([], [1, 2, 3, 1, 2, 4]) == [2, 4]
    assert guesses.after([1, 2], 4) == [4]
    assert guesses.after([3, 1], 3) == [2, 4]
    assert guesses.after([9, 3], 1) == [1]
    assert guesses.after([9, 3], 0) == guesses.after([9, 3], -2) == []
    assert guesses.learn([2, 4], [1, 2, 5]) == [2, 5]
    assert guesses.after([4, 1], 9) == [2, 5]
    assert guesses.after([99], 4) == guesses.after([], 4) == []


@given(st.lists(st.integers(0, 3), min_size=3, max_size=40), st.integers(1, 6))
def test_guesses_are_what_followed_the_same_tokens(tokens: list[int], most: int) -> None:
    guesses = Guesses()
    latest = guesses.learn(guesses.learn([], tokens[:2]), tokens[2:])
    assert latest == tokens[-2:]
    written, guessed = list(tokens), guesses.after(latest, most)
    for token in guessed:
        pair, single = written[-2:], written[-1:]
        behind = [tokens[at] for at in range(2, len(tokens)) if tokens[at - 2 : at] == pair]
        behind = behind or [tokens[at] for at in range(1, len(tokens)) if tokens[at - 1] in single]
        assert token == behind[-1]
        written.append(token)
    assert len(guessed) == most or written[-1] not in tokens[:-1]


def written(
    folder: Path, texts: list[str], answers: Any, slots: int, free: int
) -> tuple[list[tuple[list[int], bool]], int]:
    """Every answer's tokens and whether it came to its end, and the passes that all took.

    Free answers may end at a stop string.
    """
    generator: Any = option(
        "backbone",
        "causal_lm",
        name="tiny",
        path=str(folder),
        dtype="float32",
        device="cpu",
        batch_size=slots,
    ).generator(stop=(), seed=0)
    asked = [
        Request(
            str(at),
            "test",
            "FT",
            f"列出实体。\n句子：{text}\n实体：\n",
            30 + at % 40,
            grammar=answers.grammar(text, LABELS, "simplified", in_order=False)
            if answers
            else None,
        )
        for at, text in enumerate(texts)
    ]
    model = generator.loaded.model
    stop = StopStrings(generator.loaded.tokenizer, ("痛", "的，"))
    writers: list[Any] = [
        GuidedWriter(automaton, request.max_new_tokens)
        if automaton
        else FreeWriter(request.max_new_tokens, {generator.loaded.wrapping.end_id()}, stop)
        for request, automaton in zip(asked, generator.automata(asked), strict=True)
    ]
    prompts = [generator.prompt_ids(request) for request in asked]
    furthest: list[int] = []
    hook = model.base_model.register_forward_pre_hook(
        lambda _, __, given: furthest.append(int(given["position_ids"].max())), with_kwargs=True
    )
    write_answers(model, Head(model), prompts, writers, slots, {}, free)
    hook.remove()
    most = [len(prompt) + writer.most for prompt, writer in zip(prompts, writers, strict=True)]
    assert max(furthest) < max(most)
    return [(writer.tokens, writer.ended) for writer in writers], len(furthest)


CASES = [
    (name, answers, slots, count)
    for name in ("tiny_llama", "tiny_gemma3")
    for answers in (None, Extraction(order="unique", separator="-"), Inline())
    for slots, count in ((4, 12), (1, 1))
]


@pytest.mark.parametrize(
    ("name", "answers", "slots", "count"),
    CASES,
    ids=[f"{name}-{type(answers).__name__}-{count}" for name, answers, _, count in CASES],
)
def test_the_same_answers_in_fewer_passes(
    name: str,
    answers: Any,
    slots: int,
    count: int,
    request: pytest.FixtureRequest,
    sample_sentences: list[str],
) -> None:
    folder = request.getfixturevalue(name)
    texts = [text[:30] for text in sample_sentences[:count]]
    plain, most = written(folder, texts, answers, slots, free=0)
    some, fewer = written(folder, texts, answers, slots, free=16)
    many, fewest = written(folder, texts, answers, slots, free=400)
    assert some == many == plain
    assert most >= fewer >= fewest
    if answers or name == "tiny_gemma3":  # the other model's free answers follow no pattern
        assert most > fewer
