"""Corpora of one's own and of others: the YAML files, labels=auto, lone files, long texts, gold."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.cli import main
from chmed_ner.data import ColumnFiles, Limit
from chmed_ner.errors import InputError
from chmed_ner.knobs import TRUSTED
from chmed_ner.run import build, compose

COUNTS: dict[str, dict[str, tuple[int, int, int]]] = {
    "cmeee": {"train": (15000, 61794, 9), "test": (5000, 20300, 9)},  # 61,796 with 2 bad ones
    "cmedqaner": {"train": (1673, 12490, 11), "test": (215, 1340, 11)},
    "cehrner": {"train": (914, 16136, 7), "test": (41, 632, 7)},
    "yidu_s4k": {"train": (1000, 17653, 6), "test": (379, 6002, 6)},
    "cluener": {"train": (10748, 23970, 10), "test": (1343, 3072, 10)},  # two lie in another
    "resume": {"train": (3821, 13440, 8), "test": (477, 1630, 8)},
}
CHINESE = '{"text": "他患有肺炎。", "entities": [{"start": 3, "end": 5, "label": "疾病和诊断"}]}\n'


@pytest.mark.usefixtures("corpora_dir")
@pytest.mark.parametrize("name", COUNTS)
def test_stats_counts_each_corpus_as_it_is(name: str, tmp_path: Path) -> None:
    file = tmp_path / "stats.json"
    assert main(["stats", f"dataset={name}", "--json", str(file)]) == 0
    stats = json.loads(file.read_text(encoding="utf-8"))
    for split, (sentences, entities, types) in COUNTS[name].items():
        found = stats[split]["all"]
        assert (found["sentences"], found["entities"]) == (sentences, entities)
        assert sum(map(bool, found["types"].values())) >= types - (split == "test")
    if name == "cmeee":
        assert [stats[each]["all"]["inside_another"] for each in ("train", "test")] == [3644, 1209]


@pytest.mark.parametrize(("name", "texts", "n"), [("cmedqaner", 175, 1024), ("cehrner", 44, 749)])
def test_development_files(name: str, texts: int, n: int, corpora_dir: Path) -> None:
    validation = dataset(f"dataset={name}").raw(corpora_dir)["validation"]
    assert (len(validation), sum(len(s.entities) for s in validation)) == (texts, n)


def dataset(*words: str) -> ColumnFiles:
    built = build(compose(words).dataset, "dataset")
    assert isinstance(built, ColumnFiles)
    return built


def written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def mine(file: Path, *words: str, **load: Any) -> Any:
    chosen = dataset("dataset=column_files", f"dataset.test={file}", *words)
    chosen = chosen.with_labels(file.parent)
    return chosen.load(file.parent, seed=1, limit=Limit(), training=False, **load)


def test_a_lone_file_and_the_types_found_in_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    file = written(tmp_path / "mine.jsonl", CHINESE)
    corpus = mine(file, "dataset.format=span_json", "labels=auto")
    assert corpus.genres == ("all",)
    assert corpus.labels.tags == ("疾病和诊断",)
    assert corpus.test[0].tags == ("O", "O", "O", "B-疾病和诊断", "I-疾病和诊断", "O")
    assert "labels=auto: the 1 types" in caplog.text
    with pytest.raises(InputError, match=r"mine\.jsonl, line 1: '肺炎': type '疾病和诊断' is"):
        mine(file, "dataset.format=span_json")
    assert mine(file, "dataset.format=span_json", "labels=yidu_s4k").test[0].entities[0].type == (
        "disease"
    )


def test_a_run_keeps_the_types_it_found(tmp_path: Path) -> None:
    file = written(tmp_path / "mine.jsonl", CHINESE)
    words = ["dataset=column_files", f"dataset.test={file}", "dataset.format=span_json"]
    words += ["labels=auto", "backbone=scripted", "backbone.noise=0", "regime=zero_shot"]
    assert main(["run", *words, "tracking=dry", f"paths.output={tmp_path}"]) == 0
    (run,) = (tmp_path / "runs").iterdir()
    types = json.loads((run / "run.json").read_text())["config"]["dataset"]["labels"]["types"]
    assert list(types) == ["疾病和诊断"]
    assert json.loads((run / "metrics.json").read_text())["test/f1"] == 100


def test_relative_paths_start_here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here, root = tmp_path / "here", tmp_path / "root"
    for folder, mention in ((here, "肺"), (root, "胃")):
        folder.mkdir()
        written(folder / "a.txt", f"{mention} B-BODY\n")
    written(root / "b.txt", "肝 B-BODY\n")
    monkeypatch.chdir(here)
    chosen = dataset("dataset=column_files", "dataset.test=[a.txt,b.txt]")
    test = chosen.raw(root, training=False)["test"]
    assert [sentence.text for sentence in test] == ["肺", "肝"]
    assert len({sentence.id for sentence in test}) == 2


def test_a_long_text_is_cut_for_the_model_and_joined_again(tmp_path: Path) -> None:
    text = "他有肺炎。肝。炎也在。" + "好" * 9 + "。腎"
    spans = [(2, 4), (5, 8), (text.index("腎"), len(text))]  # the second lies across a cut
    entities = [{"start": a, "end": b, "label": "DISE"} for a, b in spans]
    file = written(tmp_path / "long.jsonl", json.dumps({"text": text, "entities": entities}) + "\n")
    words = ["dataset=column_files", f"dataset.test={file}", "dataset.format=span_json"]
    words += ["dataset.max_characters=12", "script=traditional", "prompt=inline"]
    words += ["backbone=scripted", "backbone.noise=0", "regime=zero_shot", "tracking=dry"]
    assert main(["run", *words, f"paths.output={tmp_path}"]) == 0
    (run,) = (tmp_path / "runs").iterdir()
    completions = (run / "completions.jsonl").read_text(encoding="utf-8").splitlines()
    assert sorted(json.loads(each)["id"].rpartition("#")[2] for each in completions) == [*"01234"]
    (prediction,) = map(json.loads, (run / "predictions.jsonl").read_text().splitlines())
    assert prediction["sentence"] == text
    assert [(e["start"], e["end"]) for e in prediction["entities"]] == [spans[0], spans[2]]
    metrics = json.loads((run / "metrics.json").read_text())
    assert (metrics["test/precision"], round(metrics["test/recall"], 2)) == (100, 66.67)
    assert json.loads((run / "run.json").read_text())["counts"]["entities_across_cuts"] == 1
    assert len((run / "submission" / "all.txt").read_text().splitlines()) == len(text) + 1


def test_training_texts_are_cut(tmp_path: Path) -> None:
    file = written(
        tmp_path / "train.txt", "".join(f"{c} O\n" for c in "好。" * 10) + "\n肺 B-BODY\n"
    )
    test = written(tmp_path / "test.txt", "胃 B-BODY\n")
    words = ["dataset=column_files", f"dataset.test={test}", f"dataset.train={file}"]
    chosen = dataset(*words, "dataset.validation_share=0", "dataset.max_characters=10")
    corpus = chosen.load(tmp_path, seed=1, limit=Limit())
    assert [each.text for each in corpus.train] == ["好。"] * 10 + ["肺"]


def test_overlapping_entities_in_a_flat_scheme(tmp_path: Path, caplog: Any) -> None:
    both = [{"start": 0, "end": 2, "label": "DISE"}, {"start": 0, "end": 1, "label": "BODY"}]
    file = written(tmp_path / "a.jsonl", json.dumps({"text": "肺炎", "entities": both}) + "\n")
    with pytest.raises(InputError, match=r"a\.jsonl, line 1: entities overlap"):
        mine(file, "dataset.format=span_json")
    nested = mine(file, "dataset.format=span_json", "++dataset.labels.nested=true").test[0]
    assert (len(nested.entities), nested.tags) == (2, None)
    assert mine(file, "dataset.format=span_json", "labels=auto").labels.nested
    words = ["dataset=column_files", f"dataset.train={file}", f"dataset.test={file}"]
    train = dataset(*words, "dataset.format=span_json").sources(tmp_path, "train")[0]
    assert train.read("train", dataset(*words).scheme)[0].tags == ("B-DISE", "I-DISE")
    assert "the outermost are kept" in caplog.text


def test_a_test_file_without_gold(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], caplog: Any
) -> None:
    file = written(tmp_path / "test.txt", "胃\n炎\n\n肺\n炎\n")
    train = written(tmp_path / "train.txt", "有 O\n肺 B-DISE\n炎 I-DISE\n\n好 O\n")
    words = ["dataset=column_files", f"dataset.test={file}", f"dataset.train={train}"]
    words += ["dataset.validation_share=0", "method.thresholds=[0.5]"]
    words += ["dataset.gold=false", "method=lexicon", "tracking=dry", f"paths.output={tmp_path}"]
    caplog.set_level(logging.INFO)
    assert main(["run", *words]) == 0
    (run,) = (tmp_path / "runs").iterdir()
    assert "no gold" in capsys.readouterr().out
    submission = (run / "submission" / "all.txt").read_text(encoding="utf-8")
    assert submission == "胃 O\n炎 O\n\n肺 B-DISE\n炎 I-DISE\n\n"
    assert not any("f1" in name for name in json.loads((run / "metrics.json").read_text()))
    assert main(["compare", str(run), str(run)]) == 2
    assert "no test sentence with gold" in capsys.readouterr().err


def test_official_files_without_gold(corpora_dir: Path) -> None:
    with_gold = build(compose(["dataset=rocling2022"]).dataset, "dataset")
    without = build(compose(["dataset=rocling2022", "dataset.gold=false"]).dataset, "dataset")
    texts = [
        [sentence.text for sentence in each.raw(corpora_dir, training=False)["test"]]
        for each in (with_gold, without)
    ]
    assert texts[0] == texts[1]
    words = ["dataset=rocling2023", "dataset.gold=false", "dataset.genres=[SM]"]
    social = build(compose(words).dataset, "dataset").raw(corpora_dir, training=False)["test"]
    assert len(social) == 2208
    assert all(sentence.tags is None for sentence in social)


READER = """
from chmed_ner.data import Annotations, ColumnFiles
from chmed_ner.entities import AnnotatedText, Span

class Mine(ColumnFiles):
    def annotations(self, path, *, gold):
        return Annotations((AnnotatedText("肺炎", (Span(0, 2, "DISE"),)),))
"""


@pytest.fixture
def own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words that name a dataset with a reader of one's own."""
    written(tmp_path / "my_own_reader.py", READER)
    written(tmp_path / "file.bin", "?")
    (tmp_path / "conf" / "dataset").mkdir(parents=True)
    yaml = "defaults: [column_files, _self_]\n_target_: my_own_reader.Mine\nname: mine\n"
    written(tmp_path / "conf" / "dataset" / "mine.yaml", f"{yaml}test: {tmp_path / 'file.bin'}\n")
    monkeypatch.syspath_prepend(tmp_path)
    return ["--config-dir", str(tmp_path / "conf"), "dataset=mine"]


def test_a_reader_of_one_s_own_is_trusted_on_the_command_line_alone(
    own: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["stats", *own]) == 2
    assert "needs --allow-target" in capsys.readouterr().err
    assert main(["stats", *own, "--allow-target", "my_own_reader"]) == 2
    assert "with a dot at its end" in capsys.readouterr().err
    trusted = ["--allow-target", "my_own_reader."]
    assert main(["stats", *own, *trusted]) == 0
    assert "DISE 疾病 | 1" in capsys.readouterr().out
    assert main(["stats", *own, "--allow-target", "another."]) == 2  # nothing is left of it
    assert TRUSTED.get() == ()

    words = ["backbone=scripted", "regime=zero_shot", "tracking=dry", f"paths.output={tmp_path}"]
    assert main(["run", *own, *words]) == 2
    assert main(["run", *own, *trusted, *words]) == 0
    (run,) = (tmp_path / "runs").iterdir()
    capsys.readouterr()
    for command in (["rescore", str(run)], ["compare", str(run), str(run)]):
        assert main([*command]) == 2  # a record may be a stranger's
        assert "needs --allow-target" in capsys.readouterr().err
    assert main(["compare", str(run), str(run), *trusted]) == 0


@pytest.mark.parametrize("command", ["stats", "prompts", "report", "data", "run"])
def test_every_command_knows_a_folder_of_one_s_own(
    command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([command, "--config-dir", "nowhere"]) == 2
    said = capsys.readouterr().err
    assert "nowhere: no such folder" in said or (command == "data" and "ACTION" in said)
