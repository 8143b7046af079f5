"""`method=crf` from its command line to its predictions; legal tags."""

import itertools
import json
import shutil
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

import chmed_ner
from chmed_ner.cli import main
from chmed_ner.entities import entries_from_json
from chmed_ner.entities.bio import chunks, tags_of
from chmed_ner.errors import InputError
from chmed_ner.methods.crf import is_complete, legal, legal_tags
from chmed_ner.methods.crfsuite import read_model
from chmed_ner.methods.features import sentence_features

LABELS = ("B-X", "B-Y", "I-X", "I-Y", "O")


@given(st.lists(st.tuples(*[st.integers(-9, 9)] * len(LABELS)), max_size=4))
def test_legal_tags_are_the_best_of_all_legal_ones(scores: list[tuple[int, ...]]) -> None:
    def total(tags: tuple[str, ...]) -> int:
        return sum(row[LABELS.index(tag)] for row, tag in zip(scores, tags, strict=True))

    every = [t for t in itertools.product(LABELS, repeat=len(scores)) if legal(t)]
    found = tuple(legal_tags(LABELS, scores))
    assert legal(found)
    assert total(found) == max(map(total, every))


@given(st.lists(st.sampled_from(LABELS), max_size=8))
def test_tags_are_legal_where_writing_their_chunks_gives_them_back(tags: list[str]) -> None:
    assert legal(tags) is (tags_of(chunks(tags), len(tags)) == tuple(tags))


def test_the_best_setting_on_validation_is_kept(crf_run) -> None:
    content = json.loads((crf_run.directory / "model" / "crf.json").read_text("utf-8"))
    assert [trial["iterations"] for trial in content["trials"]] == [3, 25]
    assert content["chosen"] == max(content["trials"], key=lambda trial: trial["validation_f1"])
    assert content["chosen"]["validation_f1"] > 40
    assert (crf_run.directory / "model" / "crf.crfsuite").read_bytes()[:4] == b"lCRF"
    assert {path.name for path in (crf_run.directory / "model").iterdir()} == {
        "crf.json", "crf.crfsuite",
    }  # fmt: skip


def test_it_beats_the_lexicon_on_mentions_never_seen(crf_run, lexicon_run) -> None:
    assert crf_run.metrics()["test/unseen_f1"] > 4
    assert lexicon_run.metrics()["test/unseen_f1"] == 0


def test_predict_gives_the_run_s_own_predictions(crf_run, tmp_path: Path, capsys) -> None:
    rows = crf_run.rows()
    model = chmed_ner.load(crf_run.directory)
    found = model.predict([*[row["sentence"] for row in rows], "", "\ud800"])
    model.close()
    assert [
        [{"start": s.start, "end": s.end, "type": s.type} for s in each.entities]
        for each in found[:-2]
    ] == [[{k: e[k] for k in ("start", "end", "type")} for e in row["entities"]] for row in rows]
    assert found[-2].entities == ()

    text = tmp_path / "text.txt"
    text.write_text("".join(row["sentence"] + "\n" for row in rows[:5]), encoding="utf-8")
    capsys.readouterr()
    assert main(["predict", "--run", str(crf_run.directory), str(text)]) == 0
    written = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [each["entities"] for each in written] == [row["entities"] for row in rows[:5]]


def test_the_same_command_gives_the_same_model_and_predictions(crf_run, run, crf_words) -> None:
    again = run(*crf_words)
    assert again.code == 0, again.said
    for name in ("predictions.jsonl", "model/crf.json", "model/crf.crfsuite"):
        assert (again.directory / name).read_bytes() == (crf_run.directory / name).read_bytes()


def test_a_finished_model_is_not_fitted_again(crf_run, run, crf_words, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(crf_run.directory, copy)
    weights = copy / "model" / "crf.crfsuite"
    before = weights.stat()
    (copy / "predictions.jsonl").unlink()
    assert run(*crf_words, f"resume={copy}").code == 0
    assert weights.stat().st_mtime_ns == before.st_mtime_ns
    name = "predictions.jsonl"
    assert (copy / name).read_bytes() == (crf_run.directory / name).read_bytes()


def test_a_file_that_was_cut_short_is_not_whole(crf_run, tmp_path: Path) -> None:
    data = (crf_run.directory / "model" / "crf.crfsuite").read_bytes()
    path = tmp_path / "crf.crfsuite"
    assert not is_complete(path)
    for length, whole in ((len(data), True), (len(data) - 1, False), (8, False), (0, False)):
        path.write_bytes(data[:length])
        assert is_complete(path) is whole


@pytest.mark.parametrize("damage", ["other", "absent"])
def test_other_weights_are_refused(crf_run, tmp_path: Path, damage: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(crf_run.directory, copy)
    weights = copy / "model" / "crf.crfsuite"
    if damage == "other":
        weights.write_bytes(weights.read_bytes()[:-10])
    else:
        weights.unlink()
    with pytest.raises(InputError, match="another file than the one that was fitted"):
        chmed_ner.load(copy)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["method.c1=[-1]"], "method.c1=[-1]"),
        (["method.iterations=[0]"], "method.iterations=[0]"),
        (["method.iterations=[1.5]"], "method.iterations=[1.5]"),
        (["method.folds=1"], "method.folds=1"),
        (["method.min_frequency=0"], "method.min_frequency=0"),
        (["method.c3=1"], "c3"),
        (["limit.validation=0"], "validation sentences"),
    ],
    ids=lambda words: " ".join(words) if isinstance(words, list) else None,
)
def test_what_cannot_be_fitted_is_refused(run, words: list[str], says: str) -> None:
    ended = run("method=crf", *words)
    assert ended.code == 2
    assert says in ended.said
    assert "Traceback" not in ended.said


def test_the_model_file_is_read_as_crfsuite_reads_it(crf_run) -> None:
    import pycrfsuite

    weights = crf_run.directory / "model" / "crf.crfsuite"
    content = json.loads((crf_run.directory / "model" / "crf.json").read_text("utf-8"))
    lexicon = entries_from_json(content["lexicon"])
    reference, model = pycrfsuite.Tagger(), read_model(weights)
    reference.open(str(weights))
    assert list(model.chain.labels) == reference.labels()
    for row in crf_run.rows()[:20]:
        features = sentence_features(lexicon, row["sentence"])
        emissions, length = model.emissions(features)[None], len(features)
        (path,) = model.chain.best(emissions, [length])
        assert [model.chain.labels[tag] for tag in path] == reference.tag(features)
        forward, backward, _ = model.chain.messages(emissions, [length])
        marginals = (forward * backward)[..., 0]
        for at, tag in itertools.product(range(0, length, 5), range(len(model.chain.labels))):
            expected = reference.marginal(model.chain.labels[tag], at)
            assert marginals[at, tag] == pytest.approx(expected, abs=1e-9)


def test_entities_have_their_marginal_probability(crf_run) -> None:
    found = [e["confidence"] for row in crf_run.rows() for e in row["entities"]]
    assert all(0 < confidence <= 1 for confidence in found)
    assert min(found) < 0.9 < max(found)
