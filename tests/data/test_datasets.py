"""The datasets of conf/dataset: which files they read, what they refuse, and their YAML files."""

import json
import logging
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.data.column_files import ColumnFiles
from chmed_ner.data.corpus import Limit
from chmed_ner.data.dataset import Dataset, MissingTrainingFileError, Sample
from chmed_ner.data.datasets import ROCLING2022, ROCLING2023, HealthNER
from chmed_ner.data.predictions import write_columns
from chmed_ner.errors import InputError
from chmed_ner.files import sha256_of
from chmed_ner.run.config import build, compose, option

LABELS = {"name": "two", "types": {"DISE": {"simplified": "疾病"}, "BODY": {"simplified": "人体"}}}
ALL = Limit()


def dataset_of(name: str, /, **knobs: Any) -> Any:
    """The dataset of conf/dataset with the small labels and a tenth for validation."""
    return option("dataset", name, **{"labels": LABELS, "validation_share": 0.1, **knobs})


def tagged(text: str) -> tuple[str, tuple[str, ...]]:
    return text, ("B-DISE", *["I-DISE"] * (len(text) - 1))


def health_line(number: int, text: str, genre: str) -> str:
    row = {"id": number, "genre": genre, "sentence": text, "character": list(text)}
    return json.dumps({**row, "character_label": list(tagged(text)[1])}) + "\n"


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A data root with small files of every official name, but for HealthNER's training file."""
    folder = tmp_path / "corpora"
    (folder / "healthner").mkdir(parents=True)
    health = [health_line(n, f"肺炎{n}", "ft" if n % 2 else "sm") for n in range(10)]
    (folder / "healthner" / "test.json").write_text("".join(health))
    wiki = [tagged(f"胃炎{n}") for n in range(4)]
    write_columns(folder / "rocling2022" / "ROCLING22_CHNER_truth.txt", [*wiki, tagged("肺炎3")])
    for genre in ("FT", "SM", "WA"):
        path = folder / "rocling2023" / f"MultiNER-Health_truth_{genre}.txt"
        write_columns(path, [tagged(f"肝炎{genre}{n}") for n in range(5)] + [tagged("胃炎1")])
    return folder


def add_train(root: Path, packed: bool = False) -> None:
    lines = "".join(health_line(n, f"痛風{n}", "ft") for n in range(20))
    if packed:
        with zipfile.ZipFile(root / "healthner" / "train.zip", "w") as archive:
            archive.writestr("train.json", lines)
    else:
        (root / "healthner" / "train.json").write_text(lines)


def message(call: Callable[[], object], kind: type[Exception] = InputError) -> str:
    with pytest.raises(kind) as caught:
        call()
    return str(caught.value)


def test_healthner_trains_on_train_and_tests_on_test(root: Path) -> None:
    add_train(root)
    dataset = dataset_of("healthner", genres=["SM"], validation_share=0.2)
    corpus = dataset.load(root, seed=1, limit=ALL)
    assert (len(corpus.train), len(corpus.validation), len(corpus.test)) == (16, 4, 5)
    assert corpus.genres == ("SM",)
    assert {s.split for s in corpus.train} == {"train"}
    assert {s.split for s in corpus.test} == {"test"}
    file = root / "healthner" / "train.json"
    assert corpus.training_files == {"healthner/train.json": sha256_of(file)}
    assert set(corpus.test_files) == {"healthner/test.json"}


def test_the_zip_serves_where_the_plain_file_is_absent(root: Path) -> None:
    add_train(root, packed=True)
    dataset = dataset_of("healthner")
    assert set(dataset.load(root, seed=1, limit=ALL).training_files) == {"healthner/train.zip"}
    packed = dataset.raw(root)
    add_train(root)
    assert set(dataset.load(root, seed=1, limit=ALL).training_files) == {"healthner/train.json"}
    assert dataset.raw(root) == packed


def test_rocling2022_trains_on_the_part_named_and_drops_leaks(root: Path) -> None:
    dataset = dataset_of("rocling2022", healthner_part="test", validation_share=0)
    raw, corpus = dataset.raw(root), dataset.load(root, seed=1, limit=ALL)
    assert (len(raw["train"]), len(raw["test"])) == (10, 5)
    assert len(corpus.train) == 9
    assert "肺炎3" not in {sentence.text for sentence in corpus.train}
    assert corpus.counts["leaked_sentences"] == 1
    assert corpus.validation == ()


@pytest.mark.parametrize(("protocol", "files"), [("paper", 1), ("shared_task", 2)])
def test_rocling2023_protocols(protocol: str, files: int, root: Path) -> None:
    dataset = dataset_of("rocling2023", protocol=protocol, healthner_part="test")
    corpus = dataset.load(root, seed=1, limit=ALL)
    assert corpus.genres == ("FT", "SM", "WA")
    assert len(corpus.training_files) == files
    assert ("WA" in {s.genre for s in dataset.raw(root)["train"]}) == (files == 2)
    assert corpus.counts["leaked_sentences"] == files - 1
    everything = (*corpus.train, *corpus.validation, *corpus.test)
    assert len({sentence.id for sentence in everything}) == len(everything)


def test_genres_choose_the_test_and_leave_the_training_data(root: Path) -> None:
    def load(genres: list[str] | None) -> Any:
        dataset = dataset_of("rocling2023", genres=genres, healthner_part="test")
        return dataset.load(root, seed=1, limit=ALL)

    assert load(["WA", "FT"]).genres == ("FT", "WA")
    assert load(["WA"]).train == load(None).train


def test_a_missing_gold_file_names_itself_and_the_cure(root: Path) -> None:
    (root / "rocling2023" / "MultiNER-Health_truth_SM.txt").unlink()
    dataset = dataset_of("rocling2023", healthner_part="test")
    said = message(lambda: dataset.load(root, seed=1, limit=ALL))
    assert str(root / "rocling2023" / "MultiNER-Health_truth_SM.txt") in said
    assert "dataset.genres" in said
    assert "'dataset.genres=[FT,WA]'" in said
    fewer = dataset_of("rocling2023", genres=["FT", "WA"], healthner_part="test")
    assert fewer.load(root, seed=1, limit=ALL).genres == ("FT", "WA")


@pytest.mark.parametrize("name", ["healthner", "rocling2022", "rocling2023"])
def test_a_missing_training_file_names_itself_and_the_cure(name: str, root: Path) -> None:
    dataset: Dataset = dataset_of(name)
    said = message(lambda: dataset.load(root, seed=1, limit=ALL), MissingTrainingFileError)
    assert str(root / "healthner" / "train.json") in said
    assert "dataset.healthner_part" in said
    assert "chmed-ner data fetch" in said
    assert message(lambda: dataset.raw(root), MissingTrainingFileError) == said


def test_without_training_a_missing_training_file_is_no_matter(root: Path) -> None:
    dataset = dataset_of("rocling2023", protocol="shared_task")
    corpus = dataset.load(root, seed=1, limit=ALL, training=False)
    assert (corpus.train, corpus.validation, dict(corpus.training_files)) == ((), (), {})
    assert len(corpus.test) == 18
    add_train(root)
    with_files = dataset.load(root, seed=1, limit=ALL, training=False)
    assert with_files == dataset.load(root, seed=1, limit=ALL)
    assert with_files.train


def test_without_training_a_missing_gold_file_is_an_error_all_the_same(tmp_path: Path) -> None:
    dataset = dataset_of("rocling2022")
    said = message(lambda: dataset.load(tmp_path, seed=1, limit=ALL, training=False))
    assert "ROCLING22_CHNER_truth.txt: no such file" in said


def test_a_genre_without_sentences_is_an_empty_test_split(root: Path) -> None:
    path = root / "healthner" / "test.json"
    path.write_text(health_line(1, "肺炎", "ft"))
    add_train(root)
    said = message(lambda: dataset_of("healthner").load(root, seed=1, limit=ALL))
    assert "the test split of genre SM is empty" in said
    assert "'dataset.genres=[FT]'" in said
    assert dataset_of("healthner", genres=["FT"]).load(root, seed=1, limit=ALL).test


def test_limits_and_seeds(root: Path) -> None:
    add_train(root)
    dataset = dataset_of("rocling2023", validation_share=0.3)
    limit = Limit(train=7, validation=2, test=3)
    corpus = dataset.load(root, seed=1, limit=limit)
    assert (len(corpus.train), len(corpus.validation), len(corpus.test)) == (7, 2, 9)
    assert dataset.load(root, seed=1, limit=limit) == corpus
    other = dataset.load(root, seed=2, limit=limit)
    assert {s.id for s in other.test} != {s.id for s in corpus.test}
    assert {s.id for s in other.train} != {s.id for s in corpus.train}


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        (
            {"genres": ["FT", "XX"]},
            "dataset.genres=['FT', 'XX']: give a list of some of FT, SM",
        ),
        ({"genres": []}, "dataset.genres=[]"),
        ({"genres": "FT"}, "dataset.genres='FT'"),
        (
            {"genres": ["FT", "FT"]},
            "dataset.genres=['FT', 'FT']: give a list of some",
        ),
        ({"protocol": "both"}, "dataset.protocol=both: give one of paper, shared_task"),
        ({"healthner_part": "dev"}, "dataset.healthner_part=dev: give one of train, test"),
        ({"validation_share": 1}, "dataset.validation_share=1"),
        ({"validation_share": "half"}, "dataset.validation_share=half"),
        ({"validation_share": float("nan")}, "dataset.validation_share=nan"),
        ({"validation_share": True}, "dataset.validation_share=True"),
        ({"labels": {"name": "x"}}, "dataset.labels"),
        ({"labels": {"name": "x", "types": ["A"]}}, "dataset.labels.types"),
    ],
)
def test_bad_knobs(knobs: dict[str, Any], says: str) -> None:
    assert says in message(lambda: dataset_of("rocling2023", **knobs))


def test_healthner_does_not_train_on_its_test_part() -> None:
    said = message(lambda: dataset_of("healthner", healthner_part="test"))
    assert "dataset.healthner_part=test" in said


def test_the_sample_needs_no_download(tmp_path: Path) -> None:
    dataset = build(compose(["dataset=sample"]).dataset, "dataset")
    assert isinstance(dataset, Sample)
    corpus = dataset.load(tmp_path / "nowhere", seed=1, limit=ALL)
    assert corpus.genres == ("FT", "SM", "WA")
    assert len(corpus.train) + len(corpus.validation) + len(corpus.test) >= 400
    assert all(name.startswith("sample/") for name in corpus.training_files)
    assert corpus.counts["leaked_sentences"] == corpus.counts["repaired_tags"] == 0
    assert set(dataset.raw(tmp_path)) == {"train", "validation", "test"}


@pytest.mark.parametrize(
    ("name", "kind", "genres"),
    [
        ("sample", Sample, ("FT", "SM", "WA")),
        ("healthner", HealthNER, ("FT", "SM")),
        ("rocling2022", ROCLING2022, ("WA",)),
        ("rocling2023", ROCLING2023, ("FT", "SM", "WA")),
    ],
)
def test_yaml_files(name: str, kind: type[Dataset], genres: tuple[str, ...]) -> None:
    dataset = build(compose([f"dataset={name}"]).dataset, "dataset")
    assert type(dataset) is kind
    assert dataset.name == name
    assert dataset.tested == genres
    tags = "BODY SYMP INST EXAM CHEM DISE DRUG SUPP TREAT TIME"
    assert " ".join(dataset.scheme.tags) == tags
    assert dataset.scheme.names("simplified") == (
        *("人体", "症状", "医疗器材", "检查", "化学物质", "疾病", "药品", "营养品", "治疗", "时间"),
    )


def test_a_stray_knob_is_an_error() -> None:
    config = compose(["dataset=rocling2022", "+dataset.protocol=paper"])
    assert "protocol" in message(lambda: build(config.dataset, "dataset"))


@pytest.mark.parametrize(
    ("name", "tag"),
    [
        ("身体部位", "BODY"),
        ("身體部位", "BODY"),
        ("器官", "BODY"),
        ("临床表现", "SYMP"),
        ("医疗设备", "INST"),
        ("检验", "EXAM"),
        ("化合物", "CHEM"),
        ("Ｄｉｓｅａｓｅ", "DISE"),
        ("药物", "DRUG"),
        ("保健食品", "SUPP"),
        ("手术", "TREAT"),
        ("時期", "TIME"),
        ("人物", None),
    ],
)
def test_what_people_call_the_types(name: str, tag: str | None) -> None:
    dataset = build(compose([]).dataset, "dataset")
    assert dataset.scheme.tag_of(name) == tag


def test_each_traditional_alias_has_its_simplified_form() -> None:
    from opencc import OpenCC

    simplify = OpenCC("t2s").convert
    for label in build(compose([]).dataset, "dataset").scheme.labels:
        names = {label.traditional, label.simplified, *label.aliases}
        assert {simplify(name) for name in names} <= names
        assert simplify(label.traditional) == label.simplified
        assert label.definition


def column_files(**knobs: Any) -> ColumnFiles:
    built: ColumnFiles = dataset_of(
        "column_files", **{"name": "mine", "test": {"FT": "test.txt"}, **knobs}
    )
    return built


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """A data root with a corpus of one's own."""
    write_columns(tmp_path / "test.txt", [tagged("肝炎"), tagged("肺炎")])
    write_columns(tmp_path / "own" / "train.txt", [tagged(f"胃{n}") for n in range(10)])
    write_columns(tmp_path / "own" / "more.txt", [tagged("肺炎"), ("好", ("O",))])
    return tmp_path


def test_column_files(mine: Path) -> None:
    corpus = column_files(train="own/train.txt").load(mine, seed=1, limit=ALL)
    assert (corpus.name, corpus.genres, corpus.labels.tags) == ("mine", ("FT",), ("DISE", "BODY"))
    assert (len(corpus.train), len(corpus.validation), len(corpus.test)) == (9, 1, 2)
    assert {sentence.genre for sentence in corpus.train} == {"FT"}
    assert set(corpus.training_files) == {"own/train.txt"}


def test_column_files_in_several_genres_and_with_a_validation_file(mine: Path) -> None:
    shutil.copy(mine / "test.txt", mine / "own" / "wa.txt")
    dataset = column_files(
        train=["own/train.txt", str(mine / "own" / "more.txt")],
        validation={"WA": "own/more.txt"},
        test={"FT": "test.txt", "WA": "own/wa.txt"},
    )
    corpus = dataset.load(mine, seed=1, limit=ALL)
    assert corpus.genres == ("FT", "WA")
    assert (len(corpus.train), len(corpus.validation), len(corpus.test)) == (11, 1, 4)
    assert {sentence.genre for sentence in corpus.train} == {"mixed"}
    assert {sentence.genre for sentence in corpus.validation} == {"WA"}
    everything = (*corpus.train, *corpus.validation, *corpus.test)
    assert len({sentence.id for sentence in everything}) == len(everything)


def test_column_files_without_training_data(mine: Path) -> None:
    dataset = column_files()
    assert len(dataset.load(mine, seed=1, limit=ALL, training=False).test) == 2
    said = message(lambda: dataset.load(mine, seed=1, limit=ALL), MissingTrainingFileError)
    assert "dataset.train is null" in said


def test_column_files_say_where_they_looked(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(mine / "own")
    here = column_files(train="train.txt").sources(mine, "train")
    assert here[0].path == mine / "own" / "train.txt"  # the current directory comes first
    monkeypatch.chdir("/")
    said = message(lambda: column_files(train="train.txt").load(mine, seed=1, limit=ALL))
    assert f"{mine / 'train.txt'}: no such file; dataset.train names 'train.txt'" in said
    assert "paths.data" in said
    absent = str(mine / "absent.txt")
    said = message(lambda: column_files(test={"FT": absent}).load(mine, seed=1, limit=ALL))
    assert f"{absent}: no such file; dataset.test names" in said


def test_a_tag_outside_the_scheme_in_a_training_file(mine: Path) -> None:
    write_columns(mine / "own" / "train.txt", [("胃", ("B-ORGAN",))])
    said = message(lambda: column_files(train="own/train.txt").load(mine, seed=1, limit=ALL))
    assert "train.txt, line 1: '胃': type 'ORGAN' is" in said
    assert "DISE, BODY" in said


@pytest.mark.parametrize(
    ("knobs", "says"),
    [
        ({"test": None}, "dataset.test=None"),
        ({"test": {}}, "dataset.test={}"),
        ({"test": ""}, "dataset.test=''"),
        ({"test": {"FT": None}}, "dataset.test: None is not a path"),
        ({"test": {"all": "a"}}, "dataset.test: 'all' cannot name a genre"),
        ({"test": {"../x": "a"}}, "dataset.test: '../x' cannot name a genre"),
        ({"test": {"FT": "a", "WA": "a"}}, "dataset.test: a file is listed twice"),
        ({"train": ["a", 3]}, "dataset.train: 3 is not a path"),
        ({"train": 3}, "dataset.train: 3 is not a path"),
        ({"validation": [""]}, "dataset.validation: '' is not a path"),
        ({"genres": ["WA"]}, "dataset.genres=['WA']: give a list of some of FT"),
        ({"name": ""}, "dataset.name=''"),
    ],
)
def test_bad_column_file_knobs(knobs: dict[str, Any], says: str) -> None:
    assert says in message(lambda: column_files(**knobs))


def test_column_files_from_the_command_line(mine: Path) -> None:
    config = compose(
        ["dataset=column_files", "dataset.test={FT: test.txt}", "dataset.train=[own/train.txt]"]
    )
    dataset = build(config.dataset, "dataset")
    assert isinstance(dataset, ColumnFiles)
    assert len(dataset.load(mine, seed=1, limit=Limit(train=3)).train) == 3


def test_the_real_corpora(corpora_dir: Path) -> None:
    config = compose(
        [
            *("dataset=rocling2023", "dataset.protocol=shared_task"),
            *("dataset.healthner_part=test", "dataset.genres=[FT,WA]"),
        ]
    )
    dataset = build(config.dataset, "dataset")
    corpus = dataset.load(corpora_dir, seed=13, limit=Limit(test=300))
    assert len(corpus.train) + len(corpus.validation) == 5736
    assert len(corpus.test) == 600
    assert dict(corpus.counts) == {
        "repaired_tags": 8,
        "repaired_stray_inside": 4,
        "repaired_type_change": 2,
        "repaired_malformed_prefix": 2,
        "leaked_sentences": 0,
        "conflicting_mentions": 198,
        "conflicting_sentences": 6,
        "empty_sentences_left_out": 0,
    }


def test_rocling2022_without_its_last_sentence(root: Path) -> None:
    add_train(root)
    whole = dataset_of("rocling2022").load(root, seed=1, limit=ALL)
    shorter = dataset_of("rocling2022", without_last_sentence=True).load(root, seed=1, limit=ALL)
    assert shorter.test == whole.test[:-1]
    assert (shorter.train, shorter.test_files) == (whole.train, whole.test_files)
    assert "dataset.without_last_sentence=yes: true or false is needed" in message(
        lambda: dataset_of("rocling2022", without_last_sentence="yes")
    )


def test_the_sentence_rocling2022_shares_with_healthner_is_dropped(corpora_dir: Path) -> None:
    config = compose(["dataset=rocling2022", "dataset.healthner_part=test"])
    corpus = build(config.dataset, "dataset").load(corpora_dir, seed=13, limit=ALL)
    assert corpus.counts["leaked_sentences"] == 1
    assert len(corpus.train) + len(corpus.validation) == 2530


def test_corrected_sentences_are_added_but_those_that_are_tested(
    corpora_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    alone, extra = (
        option(
            "dataset",
            "rocling2022",
            healthner_part="test",
            healthner_extra=more,
            validation_share=0,
        )
        for more in (False, True)
    )
    before, after = (each.load(corpora_dir, seed=1, limit=Limit(test=0)) for each in (alone, extra))
    with caplog.at_level(logging.INFO, "chmed_ner"):
        raw = extra.raw(corpora_dir)
    assert "268 of 774 sentences are used; 479 are in HealthNER's test file, 25 have" in caplog.text
    new = after.train[len(before.train) :]
    assert after.train[: len(before.train)] == before.train
    assert len(new) == 268
    assert set(after.training_files) - set(before.training_files) == {
        "healthner_extra/corrections.json"
    }
    tested = {sentence.text for sentence in raw["test"]}
    assert not tested & {sentence.text for sentence in new}
    assert sum(len(sentence.entities) for sentence in new) == 1047


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("{}", "corrections.json: a JSON dict"),
        ('[{"Sentence": "痛"}]', "corrections.json, item 0: needs Sentence"),
        ('[{"Sentence": "痛", "Full True Labels": ["B"]}]', "item 0: 'B' is no BIO tag"),
        ('[{"Sentence": "痛", "Full True Labels": ["B-PAIN"]}]', "type 'PAIN' is not in the label"),
    ],
)
def test_broken_corrections_are_named(
    content: str, said: str, corpora_dir: Path, tmp_path: Path
) -> None:
    for name in ("healthner", "rocling2022"):
        (tmp_path / name).symlink_to(corpora_dir / name)
    path = tmp_path / "healthner_extra" / "corrections.json"
    path.parent.mkdir()
    path.write_text(content, encoding="utf-8")
    dataset = option("dataset", "rocling2022", healthner_part="test", healthner_extra=True)
    assert said in message(lambda: dataset.raw(tmp_path))
