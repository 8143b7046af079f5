"""Completions on disk: whole batches, broken files, odd text."""

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

from chmed_ner.backbone import CompletionStore, read_completions
from chmed_ner.entities.types import Completion
from chmed_ner.errors import InputError


def a_completion(id_: str, text: str = "头痛-症状", split: str = "test") -> Completion:
    """A completion of sentence `id_`."""
    return Completion(id_, split, "FT", "0" * 64, text, "end", 20, 5, 0.25)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A store that is not there yet, in a folder that is not there either."""
    return tmp_path / "run" / "completions.jsonl"


def test_what_is_appended_is_found_at_once_and_after_opening_again(path: Path) -> None:
    store = CompletionStore(path)
    assert len(store) == 0
    first = [a_completion("a"), a_completion("b", text='无\n"\\\u2028')]
    second = [replace(a_completion("c"), stop="length"), replace(a_completion("d"), stop="refused")]
    store.append(first)
    store.append(second)
    for opened in (store, CompletionStore(path)):
        assert len(opened) == 4
        assert [opened.get("test", id_) for id_ in "abcd"] == [*first, *second]
        assert opened.get("test", "e") is None
    assert read_completions(path) == [*first, *second]
    assert path.read_bytes().count(b"\n") == 4


def test_splits_are_kept_apart(path: Path) -> None:
    store = CompletionStore(path)
    store.append([a_completion("a", "无"), a_completion("a", "头痛-症状", split="validation")])
    opened = CompletionStore(path)
    found = {split: opened.get(split, "a") for split in ("test", "validation")}
    assert [item and item.text for item in found.values()] == ["无", "头痛-症状"]


def test_the_later_of_two_answers_counts(path: Path) -> None:
    """A batch that is asked again whole is written again whole."""
    store = CompletionStore(path)
    store.append([a_completion("a", "头")])
    store.append([a_completion("a", "痛"), a_completion("b", "无")])
    assert CompletionStore(path).get("test", "a") == a_completion("a", "痛")
    assert len(CompletionStore(path)) == 2


def test_an_unfinished_last_line_is_cut_off_at_every_byte(path: Path) -> None:
    store = CompletionStore(path)
    store.append([a_completion("a"), a_completion("b")])
    whole = path.read_bytes()
    begin = whole.index(b"\n") + 1
    for end in range(begin, len(whole)):
        path.write_bytes(whole[:end])
        assert read_completions(path) == [a_completion("a")]
        assert path.read_bytes() == whole[:end]  # reading alone changes nothing
        opened = CompletionStore(path)
        assert len(opened) == 1
        assert path.read_bytes() == whole[:begin]
    opened.append([a_completion("c")])
    assert read_completions(path) == [a_completion("a"), a_completion("c")]


def broken(**changes: Any) -> str:
    """A line whose record is changed; a value of None takes the key away."""
    record = {**asdict(a_completion("b")), **changes}
    return json.dumps({key: value for key, value in record.items() if value is not None})


@pytest.mark.parametrize(
    "line",
    [
        "",
        "{",
        "null",
        "17",
        '["id"]',
        '"id"',
        "{}",
        broken(text=None),
        broken(another=1),
        broken(text=17),
        broken(id=["b"]),
        broken(prompt_tokens="20"),
        broken(prompt_tokens=True),
        broken(stop="perhaps"),
        b"\xff\xfe".decode("latin-1"),
    ],
)
def test_a_broken_line_in_the_middle_is_named(path: Path, line: str) -> None:
    CompletionStore(path).append([a_completion("a"), a_completion("b"), a_completion("c")])
    lines = path.read_bytes().split(b"\n")
    lines[1] = line.encode("latin-1")
    path.write_bytes(b"\n".join(lines))
    before = path.read_bytes()
    with pytest.raises(InputError, match=r"completions\.jsonl, line 2: .*start a new run"):
        CompletionStore(path)
    assert path.read_bytes() == before


@given(
    text=st.text(alphabet=st.characters(exclude_categories=())),
    id_=st.text(alphabet=st.characters(exclude_categories=()), min_size=1),
)
def test_any_text_comes_back(tmp_path_factory: pytest.TempPathFactory, text: str, id_: str) -> None:
    """Lone surrogates, line separators and control characters included."""
    path = tmp_path_factory.mktemp("store") / "completions.jsonl"
    CompletionStore(path).append([a_completion(id_, text), a_completion(id_ + "x", text)])
    assert read_completions(path) == [a_completion(id_, text), a_completion(id_ + "x", text)]


def test_a_lone_surrogate_survives(path: Path) -> None:
    CompletionStore(path).append([a_completion("a", "头\ud800痛"), a_completion("b")])
    assert CompletionStore(path).get("test", "a") == a_completion("a", "头\ud800痛")
    path.read_text(encoding="utf-8")


def test_whole_seconds_may_be_written_without_a_point(path: Path) -> None:
    path.parent.mkdir()
    path.write_text(broken(seconds=2) + "\n", encoding="utf-8")
    assert read_completions(path) == [replace(a_completion("b"), seconds=2)]


def test_clearing_forgets_everything(path: Path) -> None:
    store = CompletionStore(path)
    store.append([a_completion("a")])
    store.clear()
    assert (len(store), store.get("test", "a"), path.exists()) == (0, None, False)
    store.clear()
    store.append([a_completion("b")])
    assert read_completions(path) == [a_completion("b")]
