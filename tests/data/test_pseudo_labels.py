"""`dataset.pseudo_labels`: what a model has labelled is trained on, and test text never is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.data.corpus import Corpus, Limit
from chmed_ner.data.pseudo_labels import labeller_line
from chmed_ner.entities import Sentence
from chmed_ner.errors import InputError
from chmed_ner.files import sha256_of
from chmed_ner.run.config import option

NEW = (
    "主要危險因子有過敏、氣喘、心臟病、之前曾對顯影劑過敏。",
    "現今腕隧道症候群的檢測都是透過問診與超音波來確認的。",
)
LIMIT = Limit(test=2)


def labelled(text: str, *entities: tuple[str, str, float | None]) -> dict[str, Any]:
    """A line of `predict`: entities are (mention, type, confidence)."""
    found = []
    for mention, type_, confidence in entities:
        start = text.index(mention)
        entity = {"start": start, "end": start + len(mention), "type": type_, "mention": mention}
        found.append(entity if confidence is None else {**entity, "confidence": confidence})
    return {"id": "0", "sentence": text, "entities": found, "problems": {}}


SURE = labelled(NEW[0], ("氣喘", "DISE", 0.97), ("心臟病", "DISE", 0.91))
UNSURE = labelled(NEW[1], ("腕隧道症候群", "DISE", 0.95), ("超音波", "EXAM", 0.6))


@pytest.fixture(scope="module")
def root(corpora_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data root with the beginning of each published file that is needed."""
    folder = tmp_path_factory.mktemp("corpora")
    for name, lines in (
        ("healthner/test.json", 20),
        ("rocling2022/ROCLING22_CHNER_truth.txt", 400),
        ("rocling2023/MultiNER-Health_test_FT.txt", 400),
        ("rocling2023/MultiNER-Health_test_SM.txt", 400),
    ):
        (folder / name).parent.mkdir(exist_ok=True)
        content = (corpora_dir / name).read_bytes().split(b"\n")[:lines]
        (folder / name).write_bytes(b"\n".join(content) + b"\n")
    return folder


@pytest.fixture
def load(root: Path, tmp_path: Path) -> Callable[..., Corpus]:
    """ROCLING-2022 with these pseudo-labels; `trained` are the labeller's training files."""

    def call(*lines: Any, trained: dict[str, str] | None = None, **knobs: Any) -> Corpus:
        path = tmp_path / "labelled.jsonl"
        rows = [json.dumps(each, ensure_ascii=False) + "\n" for each in lines]
        path.write_text(labeller_line("crf", trained or {}) + "".join(rows), encoding="utf-8")
        chosen = {"healthner_part": "test", "pseudo_labels": str(path), **knobs}
        found: Corpus = option("dataset", "rocling2022", **chosen).load(root, seed=13, limit=LIMIT)
        return found

    return call


def pseudo(corpus: Corpus) -> list[Sentence]:
    return [each for each in corpus.train if each.id.startswith("pseudo/")]


def test_sure_sentences_are_trained_on_beside_the_others(
    load: Callable[..., Corpus], root: Path
) -> None:
    alone = option("dataset", "rocling2022", healthner_part="test").load(root, seed=13, limit=LIMIT)
    corpus = load(SURE, UNSURE, labelled(NEW[1]), trained={"a.json": "sha of a"})
    (new,) = pseudo(corpus)
    assert corpus.train[:-1] == alone.train
    assert (corpus.validation, corpus.test) == (alone.validation, alone.test)
    assert [(new.mention(e), e.type, e.confidence) for e in new.entities] == [
        ("氣喘", "DISE", None), ("心臟病", "DISE", None),
    ]  # fmt: skip
    assert new.tags is not None
    assert new.tags[NEW[0].index("心")] == "B-DISE"
    counts = {name: n for name, n in corpus.counts.items() if name.startswith("pseudo")}
    assert counts == {
        "pseudo_sentences": 1, "pseudo_sentences_tested": 0, "pseudo_sentences_known": 0,
        "pseudo_sentences_without_entity": 1, "pseudo_sentences_unsure": 1,
    }  # fmt: skip
    assert "sha of a" in corpus.training_files.values()
    assert len(pseudo(load(SURE, UNSURE, pseudo_confidence=0.6))) == 2


def test_the_file_and_what_it_is_compared_with_are_checksummed(
    load: Callable[..., Corpus], tmp_path: Path
) -> None:
    corpus = load(SURE)
    assert corpus.training_files["dataset.pseudo_labels"] == sha256_of(tmp_path / "labelled.jsonl")
    other = load(SURE, UNSURE)
    differ = {n for n, sha in corpus.training_files.items() if other.training_files[n] != sha}
    assert differ == {"dataset.pseudo_labels"}


def test_test_text_and_known_text_is_left_out(load: Callable[..., Corpus], root: Path) -> None:
    plain = option("dataset", "rocling2022", healthner_part="test")
    raw = plain.raw(root)
    test, train = (next(s for s in raw[n] if len(s.text) > 30) for n in ("test", "train"))
    longest = []
    for genre in ("FT", "SM"):
        chosen = option("dataset", "rocling2023", genres=[genre], gold=False)
        found = chosen.load_test(root, seed=13, limit=LIMIT).test
        longest.append(max((s.text for s in found), key=len))
    texts = [
        test.text, f"{test.text[:5]} {test.text[5:25]}，以及其他。", f"他說：「{test.text}」",
        *longest, train.text, NEW[0],
    ]  # fmt: skip
    said = [labelled(text, (text[0], "BODY", 0.99)) for text in texts]
    corpus = load(*said, said[-1])  # the last one twice
    assert [sentence.text for sentence in pseudo(corpus)] == [NEW[0]]
    assert corpus.counts["pseudo_sentences_tested"] == 6  # healthner/test.json is trained on here
    assert corpus.counts["pseudo_sentences_known"] == 1


def test_a_labeller_that_knows_the_test_sentences_is_refused(
    load: Callable[..., Corpus], root: Path
) -> None:
    gold = root / "rocling2022" / "ROCLING22_CHNER_truth.txt"
    with pytest.raises(InputError, match=r"labelled by crf, which was trained on gold\.txt"):
        load(SURE, trained={"gold.txt": sha256_of(gold)})


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            [UNSURE],
            "none of its 1 sentences can be used (0 tested, 0 known, 0 without entity, 1 un",
        ),
        ([labelled(NEW[0], ("氣喘", "DISE", None))], "lower dataset.pseudo_confidence (0.9)"),
        ([], "none of its 0 sentences"),
        (
            [labelled(NEW[0], ("氣喘", "PAIN", 1.0))],
            "line 2: type 'PAIN' is not in the label scheme",
        ),
        (
            [labelled(NEW[0], ("心臟病", "DISE", 1.0), ("心臟", "BODY", 1.0))],
            "line 2: entities overlap",
        ),
        ([SURE, {"sentence": NEW[1]}], "line 3: not a prediction"),
        ([SURE, {**SURE, "entities": [{"start": 0}]}], "line 3: not a prediction"),
    ],
)
def test_what_cannot_be_trained_on_is_refused(
    load: Callable[..., Corpus], lines: list[Any], said: str
) -> None:
    with pytest.raises(InputError) as caught:
        load(*lines)
    assert said in str(caught.value)


@pytest.mark.parametrize(
    "content", ["", "[]\n", json.dumps(SURE) + "\n", "{\n", '{"labelled_by": 1}']
)
def test_predictions_of_nobody_are_refused(content: str, root: Path, tmp_path: Path) -> None:
    path = tmp_path / "plain.jsonl"
    path.write_text(content, encoding="utf-8")
    dataset = option("dataset", "rocling2022", healthner_part="test", pseudo_labels=str(path))
    with pytest.raises(InputError, match="line 1: does not say who labelled"):
        dataset.load(root, seed=13, limit=LIMIT)
