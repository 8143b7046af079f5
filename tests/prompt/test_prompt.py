"""What a model is asked: the shipped wording filled in, and wording that is refused."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, strategies as st

from chmed_ner.entities.labels import LabelScheme, label_scheme
from chmed_ner.entities.types import Mention, Sentence, Span
from chmed_ner.errors import InputError
from chmed_ner.files import config_directory
from chmed_ner.prompt import Prompt, TaskPrompt
from chmed_ner.prompt.formats.extraction import Extraction
from chmed_ner.run.config import option

SCRIPTS = ("simplified", "traditional")
WORDS = {"instruction": "类别：{categories}。\n", "sentence": "句子：{sentence}\n"}


def shipped(group: str, name: str) -> Any:
    path = Path(config_directory()) / group / f"{name}.yaml"
    return yaml.safe_load(path.read_text(encoding="utf-8"))


def health10() -> LabelScheme:
    content = shipped("labels", "health10")
    return label_scheme(content["name"], content["types"])


LABELS = health10()


def task(script: str = "simplified", **changes: Any) -> TaskPrompt:
    built: Prompt = option("prompt", "extraction", **changes)
    return built.task(LABELS, script)


def toy(words: Mapping[str, str], **options: Any) -> TaskPrompt:
    return prompt({"simplified": words}, **options).task(LABELS, "simplified")


def prompt(wording: Any, **options: Any) -> Prompt:
    """A prompt with extraction's answers and no words but `wording`."""
    answer = Extraction(order="unique", separator="-")
    others: dict[str, Any] = {"stop": (), "definitions": None, "examples": None, "hints": None}
    return Prompt(name="toy", wording=wording, answer=answer, **(others | options))


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_instruction_names_the_task_and_the_ten_categories(script: str) -> None:
    filled = task(script).fill("头痛")
    names = LABELS.names(script)
    assert "、".join(names) in filled
    assert len(names) == 10
    assert ("医疗实体" if script == "simplified" else "醫療實體") in filled
    assert ("“无”" if script == "simplified" else "「無」") in filled
    other = SCRIPTS[1 - SCRIPTS.index(script)]
    for name, foreign in zip(names, LABELS.names(other), strict=True):
        assert name == foreign or foreign not in filled
    assert "{" not in filled


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_wording_is_the_same_for_every_sentence(script: str) -> None:
    prompt = task(script)
    before, after = prompt.fill("\0").split("\0")
    for text in ("头痛", "", "無", "a" * 1000, "句子："):
        assert prompt.fill(text) == before + text + after


ODD = st.sampled_from(
    ["{}", "{sentence}", "{categories}", "{", "}", "{{", "%s", "\\1", "\n", "{0}"]
)


@given(st.lists(ODD | st.text()).map("".join))
def test_a_sentence_is_filled_in_literally(text: str) -> None:
    assert toy(WORDS).fill(text) == toy(WORDS).fill("\0").replace("\0", text)


def test_braces_in_wording_and_names_are_text() -> None:
    words = {
        "instruction": '写成 {"实体": "类别"}，{ 或 }，{{：{categories}',
        "sentence": '{"句子": "{sentence}"}',
    }
    scheme = label_scheme("toy", {"A": {"simplified": "{sentence}"}, "B": {"simplified": "{0}"}})
    filled = prompt({"simplified": words}).task(scheme, "simplified")
    assert filled.fill("头") == '写成 {"实体": "类别"}，{ 或 }，{{：{sentence}、{0}{"句子": "头"}'


@pytest.mark.parametrize(
    ("wording", "words"),
    [
        ({"simplified": WORDS | {"instruction": "{categores}"}}, ["instruction", "{categores}"]),
        ({"simplified": WORDS | {"instruction": "{sentence}"}}, ["instruction", "{sentence}"]),
        ({"simplified": WORDS | {"instruction": "{}"}}, ["instruction", "{}"]),
        ({"simplified": WORDS | {"instruction": "{categories!r}"}}, ["{categories!r}"]),
        ({"simplified": WORDS | {"instruction": "{categories.x}"}}, ["{categories.x}"]),
        ({"simplified": WORDS | {"sentence": "{sentence}{text}"}}, ["sentence", "{text}"]),
        ({"simplified": WORDS | {"sentence": "{sentence}{categories}"}}, ["{categories}"]),
        ({"simplified": WORDS | {"sentence": "句子："}}, ["sentence", "must hold {sentence}"]),
        ({"simplified": WORDS | {"sentence": ""}}, ["must hold {sentence}"]),
        ({"simplified": WORDS | {"sentence": None}}, ["wording.simplified.sentence", "None"]),
        ({"simplified": WORDS | {"instruction": 3}}, ["wording.simplified.instruction", "3"]),
        ({"simplified": {"sentence": "{sentence}"}}, ["instruction and sentence"]),
        ({"simplified": WORDS | {"system": "x"}}, ["instruction and sentence", "system"]),
        ({"simplified": WORDS, "traditional": {}}, ["wording.traditional"]),
        ({"simplified": None}, ["wording.simplified", "None"]),
        ({"simplified": "{sentence}"}, ["wording.simplified", "{sentence}"]),
        ("{sentence}", ["wording", "{sentence}"]),
    ],
)
def test_wording_of_another_shape_is_refused_by_name(wording: Any, words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        prompt(wording)
    for word in ("prompt 'toy'", *words):
        assert word in str(caught.value)


@pytest.mark.parametrize("stop", ["\n\n", ["\n", ""], [3], None, 7])
def test_stop_must_be_a_list_of_strings(stop: Any) -> None:
    with pytest.raises(InputError, match="prompt 'toy', stop="):
        toy(WORDS, stop=stop)


def test_a_script_without_wording_is_refused_by_name() -> None:
    with pytest.raises(
        InputError, match="'toy' has no wording for script=traditional; add the key"
    ):
        prompt({"simplified": WORDS}).task(LABELS, "traditional")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"order": "unique"}, ["prompt", "order"]),
        (
            {
                "answer": {
                    "_target_": "chmed_ner.prompt.formats.Extraction",
                    "order": "unique",
                    "separator": "-",
                    "sort": 1,
                }
            },
            ["sort"],
        ),
        ({"stop": "\n\n"}, ["stop"]),
    ],
)
def test_a_stray_knob_is_refused_by_name(changes: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        task(**changes)
    for word in words:
        assert word in str(caught.value)


def test_targets_are_what_a_perfect_model_answers() -> None:
    prompt = task()
    spans = (Span(0, 1, "BODY"), Span(2, 4, "SYMP"), Span(5, 6, "BODY"))
    sentence = Sentence("1", "test", "FT", "頭與頭痛，頭", None, spans, "头与头痛，头")
    listed = (Mention("头", "BODY"), Mention("头痛", "SYMP"))
    assert prompt.target_mentions(sentence) == listed
    assert prompt.target(sentence) == "头-人体\n头痛-症状"
    assert prompt.parse(prompt.target(sentence), sentence.model_text).mentions == listed
    assert prompt.target(Sentence("2", "test", "FT", "好", None, (), "好")) == "无"
    assert task("traditional").target(Sentence("2", "test", "FT", "好", None, (), "好")) == "無"
    for stop in prompt.stop:
        assert stop not in prompt.target(sentence)
        assert stop


def test_how_a_completion_stopped_is_counted() -> None:
    prompt, sentence = task(), "头痛与发热"
    listed = (Mention("头痛", "SYMP"),)
    ended = prompt.parse("头痛-症状\n头痛-症状", sentence)
    assert (ended.mentions, ended.problems) == (listed, {"repeated_line": 1})
    cut = prompt.parse("头痛-症状\n发热-", sentence, "length")
    assert (cut.mentions, cut.problems) == (listed, {"unparsable_line": 1, "truncated": 1})
    assert prompt.parse("", sentence, "length").problems == {
        "empty": 1,
        "truncated": 1,
        "unread": 1,
    }
    refused = prompt.parse("抱歉，我不能回答。", sentence, "refused")
    assert (refused.mentions, refused.problems) == ((), {"refused": 1})
    assert prompt.parse("无", sentence, "end").problems == {}
