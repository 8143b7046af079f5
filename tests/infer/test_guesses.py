"""Guessed tokens save passes and change no answer."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chmed_ner.backbone.causal_lm import CausalLM
from chmed_ner.backbone.protocol import Request
from chmed_ner.infer.guesses import Guesses, free_tokens
from chmed_ner.infer.guided import GuidedWriter
from chmed_ner.infer.head import Head
from chmed_ner.infer.loop import write_answers
from chmed_ner.infer.writing import FreeWriter, StopStrings
from chmed_ner.labels import label_scheme
from chmed_ner.prompt.extraction import Extraction
from chmed_ner.prompt.inline import Inline

LABELS = label_scheme("two", {"A": {"simplified": "身体"}, "B": {"simplified": "疾病"}})


def test_what_came_last_is_guessed() -> None:
    guesses = Guesses()
    assert guesses.behind([], 4) == []
    assert guesses.learn([], [1, 2, 3, 1, 2, 4]) == [2, 4]
    assert guesses.behind([1, 2], 4) == [4]
    assert guesses.behind([3, 1], 3) == [2, 4]
    assert guesses.behind([9, 3], 1) == [1]
    assert guesses.behind([9, 3], 0) == guesses.behind([9, 3], -2) == []
    assert guesses.learn([2, 4], [1, 2, 5]) == [2, 5]
    assert guesses.behind([4, 1], 9) == [2, 5]


@given(st.lists(st.integers(0, 3), min_size=3, max_size=40), st.integers(1, 6))
def test_guesses_are_what_followed_the_same_tokens(tokens: list[int], most: int) -> None:
    guesses = Guesses()
    latest = guesses.learn(guesses.learn([], tokens[:2]), tokens[2:])
    assert latest == tokens[-2:]
    written, guessed = list(tokens), guesses.behind(latest, most)
    for token in guessed:
        pair, single = written[-2:], written[-1:]
        behind = [tokens[at] for at in range(2, len(tokens)) if tokens[at - 2 : at] == pair]
        behind = behind or [tokens[at] for at in range(1, len(tokens)) if tokens[at - 1] in single]
        assert token == behind[-1]
        written.append(token)


def written(
    folder: Path, texts: list[str], answers: Any, slots: int, free: int
) -> tuple[list[list[int]], int]:
    """The answers' tokens, and the passes that it took to write them."""
    generator: Any = CausalLM(
        "tiny", str(folder), dtype="float32", device="cpu", batch_size=slots
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
    model, stop = generator.loaded.model, StopStrings(generator.loaded.tokenizer, ())
    automata = generator.automata(asked)
    writers: list[Any] = [
        GuidedWriter(automaton, request.max_new_tokens)
        if automaton
        else FreeWriter(request.max_new_tokens, {generator.loaded.wrapping.end_id()}, stop)
        for request, automaton in zip(asked, automata, strict=True)
    ]
    passes: list[int] = []
    hook = model.base_model.register_forward_pre_hook(lambda *_: passes.append(1))
    prompts = [generator.prompt_ids(request) for request in asked]
    write_answers(model, Head(model), prompts, writers, slots, {}, free)
    hook.remove()
    return [writer.tokens for writer in writers], len(passes)


@pytest.mark.parametrize("answers", [None, Extraction(), Inline()], ids=["free", "list", "marks"])
@pytest.mark.parametrize("name", ["tiny_llama", "tiny_gemma3"])
def test_the_same_answers_in_fewer_passes(
    name: str, answers: Any, request: pytest.FixtureRequest, sample_sentences: list[str]
) -> None:
    folder = request.getfixturevalue(name)
    texts = [text[:30] for text in sample_sentences[:12]]
    plain, most = written(folder, texts, answers, slots=4, free=0)
    some, fewer = written(folder, texts, answers, slots=4, free=16)
    many, fewest = written(folder, texts, answers, slots=4, free=400)
    assert some == many == plain
    assert most >= fewer >= fewest
    assert most > fewest or not answers  # a random model's free answers follow no pattern
    assert len({tuple(tokens) for tokens in plain}) > 6


def test_a_gpu_has_more_tokens_to_spare() -> None:
    assert 1 < free_tokens("cpu") < free_tokens("cuda")
