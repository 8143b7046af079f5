"""`dataset.empty_share`: how many training sentences without an entity are kept."""

from pathlib import Path

import pytest

from chmed_ner.data.corpus import Corpus, keep_empty
from chmed_ner.entities.types import Sentence, Span
from chmed_ner.errors import InputError
from chmed_ner.run.config import compose, configure


def corpus_of(*words: str) -> Corpus:
    return configure(compose(list(words)), {}).load()


def a_sentence(number: int) -> Sentence:
    entities = (Span(0, 1, "BODY"),) if number % 3 else ()
    return Sentence(str(number), "train", "FT", f"胃{number}", None, entities)


def test_a_share_is_drawn_by_the_seed_and_a_smaller_one_is_part_of_it() -> None:
    sentences = [a_sentence(number) for number in range(60)]
    kept = {share: keep_empty(sentences, share, 13) for share in (0.0, 0.25, 0.5, 1.0)}
    assert {share: len(found) for share, found in kept.items()} == {0: 40, 0.25: 45, 0.5: 50, 1: 60}
    assert set(kept[0.25]) < set(kept[0.5]) < set(kept[1.0])
    assert all(sentence.entities for sentence in kept[0.0])
    assert kept[1.0] == tuple(sentences)
    assert list(kept[0.5]) == [sentence for sentence in sentences if sentence in kept[0.5]]
    assert kept[0.5] == keep_empty(sentences, 0.5, 13) != keep_empty(sentences, 0.5, 14)


def columns(path: Path, sentences: list[str]) -> Path:
    lines = [
        f"{c} {'B-BODY' if c == '胃' else 'O'}" if c != "/" else ""
        for s in sentences
        for c in f"{s}/"
    ]
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_validation_keeps_them_all_and_what_was_left_out_is_counted(tmp_path: Path) -> None:
    numbers = [chr(0x4E00 + n) for n in range(80)]
    train = columns(
        tmp_path / "train.txt", [f"{'胃' if n % 2 else '水'}{c}" for n, c in enumerate(numbers)]
    )
    test = columns(tmp_path / "test.txt", ["胃甲"])
    words = ["dataset=column_files", f"dataset.train={train}", f"dataset.test={{FT: {test}}}",
             "dataset.validation_share=0.5"]  # fmt: skip
    every, some = corpus_of(*words), corpus_of(*words, "dataset.empty_share=0")
    assert some.validation == every.validation
    assert any(not sentence.entities for sentence in some.validation)
    assert some.train == tuple(sentence for sentence in every.train if sentence.entities)
    assert every.counts["empty_sentences_left_out"] == 0
    left_out = len(every.train) - len(some.train)
    assert some.counts["empty_sentences_left_out"] == left_out > 0
    limited = corpus_of(*words, "dataset.empty_share=0", "limit.train=5")
    assert len(limited.train) == 5


def test_nothing_left_to_learn_from_is_an_error(tmp_path: Path) -> None:
    train = columns(tmp_path / "train.txt", ["水一", "水二"])
    test = columns(tmp_path / "test.txt", ["胃甲"])
    words = ["dataset=column_files", f"dataset.train={train}", f"dataset.test={{FT: {test}}}"]
    with pytest.raises(InputError, match=r"dataset\.empty_share=0.*has an entity"):
        corpus_of(*words, "dataset.empty_share=0", "dataset.validation_share=0")


@pytest.mark.parametrize("share", ["-0.1", "1.5", "true", "half"])
def test_a_share_is_a_number_from_0_to_1(share: str) -> None:
    with pytest.raises(InputError, match=r"dataset\.empty_share"):
        corpus_of(f"dataset.empty_share={share}")
