"""What is read of a text: special tokens and windows."""

from typing import Any

import pytest
from hypothesis import given, strategies as st

from chmed_ner.errors import InputError
from chmed_ner.methods.tagger.reading import FARTHEST, Reader, windows

TEXT = "長期服用aspirin的高血壓病人"


@given(st.integers(0, 300), st.integers(2, 40))
def test_windows_cover_everything_once(length: int, most: int) -> None:
    found = windows(length, most)
    counted = [token for _, _, begin, stop in found for token in range(begin, stop)]
    assert counted == list(range(length))
    for start, end, begin, stop in found:
        assert start <= begin <= stop <= end
        assert end - start == min(length, most)
        # nothing is tagged at a cut: a quarter of a window of context, less what rounding takes
        assert begin == 0 or begin - start >= most // 4 - 1
        assert stop == length or end - stop >= most // 4 - 1
    assert len(found) <= max(1, length)


@pytest.mark.parametrize("kind", ["wordpiece", "unigram", "tiny_tokenizer"])
def test_a_row_holds_the_whole_text(kind: str, request: pytest.FixtureRequest) -> None:
    reader = Reader(request.getfixturevalue(kind), most=None)
    ids = reader.aligner(TEXT).ids
    found = reader(TEXT)
    (row,) = found.rows
    assert row == (*reader.before, *ids, *reader.after)
    first = len(row) - len(reader.after) - len(ids)
    for at, token in enumerate(reader.aligner(TEXT).tokens):
        assert found.places[at] == (0, first + token)
    assert all(0 <= side <= FARTHEST for place in found.inside for side in place)


def test_a_long_text_is_read_in_windows_and_every_character_has_its_token(wordpiece: Any) -> None:
    text = TEXT * 30
    whole = Reader(wordpiece, most=None)(text)
    found = Reader(wordpiece, most=48)(text)
    assert len(found.rows) > 5
    assert all(len(row) <= 48 for row in found.rows)
    read = [found.rows[row][position] for row, position in found.places]
    assert read == [whole.rows[0][position] for _, position in whole.places]
    assert found.inside == whole.inside


def test_no_text_has_no_row(wordpiece: Any) -> None:
    assert Reader(wordpiece, most=64)("").rows == ()


def test_a_window_too_small_is_refused(wordpiece: Any) -> None:
    least = 2 + 16
    Reader(wordpiece, most=least)
    with pytest.raises(InputError, match=rf"method\.window={least - 1}: .* give {least} or more"):
        Reader(wordpiece, most=least - 1)
