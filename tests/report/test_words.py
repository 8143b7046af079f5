"""One language at a time: every sentence of ours is there in each, and none is left in the code."""

import ast
import re
import tomllib
from pathlib import Path

import pytest

import chmed_ner
from chmed_ner.entities.labels import Label
from chmed_ner.errors import InputError
from chmed_ner.report.words import LANGUAGES, padded, say, speaking, type_name

PACKAGE = Path(chmed_ner.__file__).parent
WORDS: dict[str, str] = tomllib.loads((PACKAGE / "report" / "words.toml").read_text("utf-8"))
FILES = [*PACKAGE.glob("report/**/*.py"), *PACKAGE.glob("cli/*.py")]
HAN = re.compile("[\u3400-\u9fff]")


def test_everything_that_is_said_is_translated_and_nothing_else() -> None:
    said, written = set(), set()
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Constant) and isinstance(node.value, str):
                written.add(node.value)
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "say":
                (text,) = node.args
                said |= {text.value} if isinstance(text, ast.Constant) else set()
    assert said - WORDS.keys() == set()
    upper = {
        "FAILED",
        "KILLED",
        "RUNNING",
        "SCHEDULED",
        "STOPPED",
        "ESTIMATED",
    }  # MLflow's states, and ours
    assert WORDS.keys() - written - upper == set()


def test_the_values_that_are_put_in_are_the_same() -> None:
    for english, chinese in WORDS.items():
        places = [sorted(re.findall(r"{\w*}", text)) for text in (english, chinese)]
        assert places[0] == places[1], english


@pytest.mark.parametrize("folder", ["report", "cli"])
def test_no_chinese_of_ours_stands_in_the_code(folder: str) -> None:
    """But for examples of text."""
    allowed = {"app.py", "predict.py"}
    for path in (PACKAGE / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call):
                texts = [a.value for a in node.args if isinstance(a, ast.Constant)]
                found = [t for t in texts if isinstance(t, str) and HAN.search(t)]
                assert not found or path.name in allowed, (path, found)


def test_the_words_of_mainland_china() -> None:
    for english in WORDS:
        with speaking("zh-Hans"):
            assert not re.search("[這個們實體類別測試]{2}|指针|栏", say(english)), english
    with speaking("zh-Hans"):
        assert (say("string"), say("run")) == ("字符串", "运行")


def test_a_type_is_named_in_the_language_that_is_spoken() -> None:
    names = []
    for language in LANGUAGES:
        with speaking(language):
            names.append(type_name(Label("DRUG", "藥品", "药品")))
    assert names == ["DRUG", "藥品", "药品"]


def test_values_are_put_in_and_columns_counted() -> None:
    with speaking("en"):
        assert say("{n} runs", n=3) == "3 runs"
    assert padded("執行", 6) == "執行  "
    with (
        pytest.raises(InputError, match="language=fr: choose en, zh-Hant, zh-Hans"),
        speaking("fr"),
    ):
        pass
