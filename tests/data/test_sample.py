"""The shipped sample corpus keeps the promises of its README."""

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from importlib.resources import as_file, files
from itertools import chain, pairwise
from pathlib import Path

import pytest
from opencc import OpenCC

from chmed_ner.data.columns import read_columns
from chmed_ner.entities.types import Sentence

SPLITS = ("train", "validation", "test")
GENRES = ("FT", "SM", "WA")
TYPES = ("BODY", "SYMP", "INST", "EXAM", "CHEM", "DISE", "DRUG", "SUPP", "TREAT", "TIME")
# Good traditional Chinese in Taiwan (台灣, 公布, 游泳, 鼻樑, 祕藏), where OpenCC prefers a variant.
VARIANTS = frozenset("台布游樑祕")
# Simplified forms that are characters of their own too: 只能, 局限, 足三里, 獲准, 元凶.
TWOFOLD = frozenset("只局里准凶")

Corpus = dict[tuple[str, str], tuple[Sentence, ...]]


@pytest.fixture(scope="module")
def sample() -> Corpus:
    with as_file(files("chmed_ner") / "data" / "sample") as folder:
        return {
            (split, genre): read_columns(
                folder / f"{split}_{genre}.txt",
                prefix=f"{split}-{genre}-",
                split=split,
                genre=genre,
                labels=None,
            )
            for split in SPLITS
            for genre in GENRES
        }


@pytest.fixture(scope="module")
def sentences(sample: Corpus) -> tuple[Sentence, ...]:
    return tuple(chain.from_iterable(sample.values()))


def mentions(sentences: Iterable[Sentence]) -> list[str]:
    return [sentence.mention(span) for sentence in sentences for span in sentence.entities]


def of_split(sentences: Iterable[Sentence], split: str) -> list[Sentence]:
    return [sentence for sentence in sentences if sentence.split == split]


def five_grams(text: str) -> frozenset[str]:
    return frozenset(text[start : start + 5] for start in range(len(text) - 4))


def overlaps(
    known: Sequence[frozenset[str]], texts: Iterable[str]
) -> Iterator[tuple[str, int, float]]:
    """Each text with each known sentence it shares 5-grams with: shared / smaller set."""
    holders: dict[str, list[int]] = defaultdict(list)
    for number, grams in enumerate(known):
        for gram in grams:
            holders[gram].append(number)
    for text in texts:
        grams = five_grams(text)
        shared = Counter(number for gram in grams for number in holders.get(gram, ()))
        for number, count in shared.items():
            yield text, number, count / min(len(grams), len(known[number]))


def test_has_at_least_400_sentences_and_each_split_a_fair_part(sample: Corpus) -> None:
    assert sum(map(len, sample.values())) >= 400
    for genre in GENRES:
        assert len(sample["train", genre]) >= 100
        assert len(sample["validation", genre]) >= 15
        assert len(sample["test", genre]) >= 30


@pytest.mark.parametrize("genre", GENRES)
def test_every_type_occurs_in_the_train_and_test_split_of_every_genre(
    sample: Corpus, genre: str
) -> None:
    for split, least in (("train", 10), ("test", 2)):
        counts = Counter(
            span.type for sentence in sample[split, genre] for span in sentence.entities
        )
        assert set(counts) == set(TYPES)
        assert min(counts.values()) >= least, (split, counts)


def test_holds_the_phenomena_a_reader_must_cope_with(sentences: tuple[Sentence, ...]) -> None:
    repeats = sum(len(set(found)) < len(found) for s in sentences if (found := mentions([s])))
    adjacent = sum(a.end == b.start for s in sentences for a, b in pairwise(s.entities))
    assert repeats >= 120
    assert adjacent >= 60
    assert sum(not s.entities for s in sentences) >= 35


def test_holds_both_punctuation_widths_and_latin_abbreviations(
    sentences: tuple[Sentence, ...],
) -> None:
    def holding(pattern: str) -> int:
        return sum(bool(re.search(pattern, s.text)) for s in sentences)

    assert holding("[，、。；：！？（）「」]") >= 400
    assert holding("[,:;!?()]") >= 25
    assert (
        sum(
            bool(re.search("[，。（）？]", s.text) and re.search("[,:;!?()]", s.text))
            for s in sentences
        )
        >= 15
    )
    assert holding("[A-Z]{2,}") >= 60
    assert holding("[Ａ-Ｚ０-９]") >= 15
    assert {"MRI", "HbA1c", "LDL", "PCR", "C反應蛋白", "B型肝炎"} <= set(mentions(sentences))


def test_no_two_sentences_share_half_of_their_five_grams(sentences: tuple[Sentence, ...]) -> None:
    texts = [sentence.text for sentence in sentences]
    assert len(set(texts)) == len(texts)  # so no sentence is in two splits either
    known = [five_grams(text) for text in texts]
    assert all(known)
    alike = [
        (text, texts[number])
        for text, number, share in overlaps(known, texts)
        if share >= 0.5 and text != texts[number]
    ]
    assert not alike


def test_at_least_40_percent_of_the_test_mentions_are_unseen(
    sentences: tuple[Sentence, ...],
) -> None:
    seen = set(mentions(of_split(sentences, "train")))
    text = "\n".join(sentence.text for sentence in of_split(sentences, "train"))
    found = mentions(of_split(sentences, "test"))
    for counted in (found, sorted(set(found))):
        assert sum(mention not in seen for mention in counted) >= 0.4 * len(counted)
        assert sum(mention not in text for mention in counted) >= 0.4 * len(counted)


def test_no_character_is_simplified_only(sentences: tuple[Sentence, ...]) -> None:
    to_taiwan = OpenCC("s2tw")
    for sentence in sentences:
        converted = to_taiwan.convert(sentence.text)
        changed = {a for a, b in zip(sentence.text, converted, strict=True) if a != b}
        assert changed <= VARIANTS | TWOFOLD, sentence.text


def test_every_tag_is_legal_bio(sentences: tuple[Sentence, ...]) -> None:
    legal = {"O"} | {f"{prefix}-{type_}" for prefix in "BI" for type_ in TYPES}
    for sentence in sentences:
        assert sentence.tags is not None
        assert set(sentence.tags) <= legal
        for before, tag in pairwise(("O", *sentence.tags)):
            assert tag[0] != "I" or before[2:] == tag[2:], sentence.text


def test_a_string_has_one_type(sentences: tuple[Sentence, ...]) -> None:
    types: dict[str, set[str]] = defaultdict(set)
    for sentence in sentences:
        for span in sentence.entities:
            types[sentence.mention(span)].add(span.type)
    assert {m: t for m, t in types.items() if len(t) > 1} == {"胰島素": {"CHEM", "DRUG"}}


def test_the_readme_counts_what_the_files_hold(sample: Corpus) -> None:
    readme = (files("chmed_ner") / "data" / "sample" / "README.md").read_text(encoding="utf-8")
    for (split, genre), part in sample.items():
        types = Counter(span.type for sentence in part for span in sentence.entities)
        counts = (
            len(part),
            sum(not sentence.entities for sentence in part),
            sum(len(sentence.text) for sentence in part),
            types.total(),
            *(types[type_] for type_ in TYPES),
        )
        assert f"| {split} | {genre} | {' | '.join(map(str, counts))} |" in readme


def real_texts(corpora_dir: Path) -> Iterator[str]:
    columns = sorted(corpora_dir.glob("rocling202?/*_truth*.txt"))
    assert columns
    for path in columns:
        for sentence in read_columns(path, prefix="", split="", genre="", labels=None):
            yield sentence.text
    untagged = corpora_dir / "rocling2023" / "MultiNER-Health_test_SM.txt"
    for block in re.split(r"\r?\n ?\r?\n", untagged.read_bytes().decode().rstrip()):
        yield re.sub(r"\r?\n", "", block)
    for path in sorted(corpora_dir.glob("healthner/*.json")):
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)["sentence"]


def test_no_sentence_is_taken_from_a_real_corpus(
    sentences: tuple[Sentence, ...], corpora_dir: Path
) -> None:
    known = [five_grams(sentence.text) for sentence in sentences]
    alike = [
        (text, sentences[number].text)
        for text, number, share in overlaps(known, real_texts(corpora_dir))
        if share >= 0.5
    ]
    assert not alike
