"""Example sentences of a prompt: turns before the question, in every format and script."""

from pathlib import Path
from typing import Any

import pytest

from chmed_ner.errors import InputError
from chmed_ner.methods import prompt_for
from chmed_ner.prompt import Examples
from chmed_ner.run import compose, configure, read_corpus

SHOWN = "examples@prompt.examples=health10"


def task(*words: str, script: str = "simplified") -> Any:
    experiment = configure(compose(list(words)), {})
    return experiment.prompt.task(experiment.dataset.scheme, script)


@pytest.mark.parametrize(
    "prompt", ["extraction", "json", "inline", "bio", "bio_one_line", "bio_runs"]
)
@pytest.mark.parametrize("script", ["simplified", "traditional"])
def test_every_format_answers_them_without_a_problem(prompt: str, script: str) -> None:
    asked = task(f"prompt={prompt}", SHOWN, script=script)
    (question,) = asked.ask(["头痛" if script == "simplified" else "頭痛"])
    assert len(question.demonstrations) == 10
    assert question.demonstrations[0].question.startswith(asked.instruction)
    assert not question.prompt.startswith(asked.instruction)
    types = set()
    for sentence, shown in zip(asked.examples, question.demonstrations, strict=True):
        assert sentence.model_text in shown.question
        answer = asked.parse(shown.answer, sentence.model_text)
        assert not answer.problems
        assert {(m.text, m.type) for m in answer.mentions} == {
            (sentence.model_text[s.start : s.end], s.type) for s in sentence.entities
        }
        types |= {span.type for span in sentence.entities}
    assert types == set(asked.labels.tags)
    assert any(not sentence.entities for sentence in asked.examples)


def test_they_are_in_the_models_script() -> None:
    simplified, traditional = task(SHOWN), task(SHOWN, script="traditional")
    assert simplified.ask(["x"])[0].demonstrations[0].answer.startswith("高血压-疾病\n血管-人体")
    assert traditional.ask(["x"])[0].demonstrations[0].answer.startswith("高血壓-疾病\n血管-人體")


def test_none_leaves_every_question_as_it_was() -> None:
    (question,) = task().ask(["头痛"])
    assert question.demonstrations == ()
    assert question.prompt == task().fill("头痛")


def test_few_shot_shows_the_corpus_after_them(tmp_path: Path) -> None:
    words = [SHOWN, "regime=few_shot", "regime.k=2", "regime.token_budget=null", "limit.test=3"]
    experiment = configure(compose(words), {})
    corpus = read_corpus(experiment)
    prompt = prompt_for(experiment, corpus, tmp_path)
    for question in prompt.ask([sentence.model_text for sentence in corpus.test]):
        assert len(question.demonstrations) == 12
        assert "高血压会损害血管" in question.demonstrations[0].question
        begins = [d.question.startswith(prompt.instruction) for d in question.demonstrations]
        assert begins == [True, *[False] * 11]


@pytest.mark.parametrize("regime", ["lora", "full", "qlora"])
def test_a_tuned_model_reads_none(regime: str) -> None:
    experiment = configure(compose([SHOWN, f"regime={regime}"]), {})
    prompt = experiment.prompt.task(experiment.dataset.scheme, "simplified")
    with pytest.raises(InputError, match=r"examples@prompt\.examples=none"):
        experiment.regime.check_prompt(prompt)


@pytest.mark.parametrize("marked", ["[高血壓|藥局]", "[|DISE]", "[高血壓|DISE"])
def test_wrong_marks_are_named(marked: str) -> None:
    labels = task().labels
    with pytest.raises(InputError) as caught:
        Examples(name="mine", sentences=[marked]).read(labels, "simplified")
    assert "examples 'mine'" in str(caught.value)
    assert marked in str(caught.value)


@pytest.mark.parametrize("sentences", ["text", "[1]", "['']", "null"])
def test_sentences_are_a_list_of_texts(sentences: str) -> None:
    words = [f"prompt.examples.sentences={sentences}"]
    with pytest.raises(InputError, match=r"prompt\.examples\.sentences=.*a list of texts"):
        configure(compose(words), {})
