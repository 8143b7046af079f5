"""`chmed-ner audit` from its command line to its files."""

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.cli import main
from chmed_ner.entities import Span, in_script
from chmed_ner.methods import out_of_fold
from chmed_ner.run import compose, configure

LEXICON = ("method=lexicon", "method.thresholds=[0.2]")


def annotated(text: str, mention: str = "", type_: str = "") -> dict[str, Any]:
    start = text.find(mention)
    return {"text": text, "label": [[start, start + len(mention), type_]] if mention else []}


TEXTS = [
    *(annotated(f"第{n}位病人有高血壓。", "高血壓", "DISE") for n in "一二三四五六七八"),
    *(annotated(f"第{n}位病人頭痛。", "頭痛", "SYMP") for n in "一二三四五六七八"),
    annotated("這位病人也有高血壓。"),
    annotated("這位病人頭痛了。", "頭痛", "DISE"),
    annotated("那位有高血壓了。", "高血", "DISE"),
]
WRONG = {
    ("missed", "高血壓", None, "DISE"),
    ("type", "頭痛", "DISE", "SYMP"),
    ("boundary", "高血壓", "DISE", "DISE"),
}


@pytest.fixture
def corpus(tmp_path: Path) -> list[str]:
    """The words that choose a corpus of one file: 19 sentences, of which three are wrong."""
    path = tmp_path / "mine.jsonl"
    path.write_text("".join(f"{json.dumps(each)}\n" for each in TEXTS), encoding="utf-8")
    return ["dataset=column_files", f"dataset.test={path}", "dataset.format=doccano", "labels=auto"]


Audit = Callable[..., tuple[int, Path]]


@pytest.fixture
def audit(tmp_path: Path) -> Audit:
    """`chmed-ner audit` into a folder; its exit code and the folder."""

    def call(*words: str) -> tuple[int, Path]:
        out = tmp_path / "audit"
        return main(["audit", "--out", str(out), *words]), out

    return call


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_wrong_annotations_are_suggested_first(audit: Audit, corpus: list[str]) -> None:
    code, out = audit(*corpus, *LEXICON, "--folds", "4", "--least", "0")
    assert code == 0
    found = {
        (
            each["kind"],
            each["suggested"]["mention"],
            each["annotated"] and each["annotated"]["type"],
            each["suggested"]["type"],
        )
        for each in lines(out / "suggestions.jsonl")[:3]
    }
    assert found == WRONG
    scores = [each["score"] for each in lines(out / "suggestions.jsonl")]
    assert scores == sorted(scores, reverse=True)


def test_the_files_to_correct_hold_every_sentence_the_suspicious_ones_first(
    audit: Audit, corpus: list[str]
) -> None:
    _, out = audit(*corpus, *LEXICON, "--folds", "4", "--least", "0")
    suspicious = list(dict.fromkeys(each["id"] for each in lines(out / "suggestions.jsonl")))
    assert {f"column_files/test/{n:05d}" for n in (16, 17, 18)} <= set(suspicious)
    written = lines(out / "doccano.jsonl")
    assert [each["id"] for each in written[: len(suspicious)]] == suspicious
    given = Counter((each["text"], str(each["label"])) for each in TEXTS)
    assert Counter((each["text"], str(each["label"])) for each in written) == given
    tasks = json.loads((out / "label_studio.json").read_text(encoding="utf-8"))
    assert [task["data"]["id"] for task in tasks] == [each["id"] for each in written]
    assert "annotations" in tasks[0]
    assert {path.name for path in out.iterdir()} == {
        "audit.html", "suggestions.jsonl", "doccano.jsonl", "label_studio.json",
    }  # fmt: skip


def test_no_sentence_is_read_by_a_model_that_has_learnt_from_it(tmp_path: Path) -> None:
    path = tmp_path / "mine.jsonl"
    texts = [annotated(f"得了{name}。", name, "DISE") for name in ("甲病", "乙病", "丙病", "甲病")]
    path.write_text("".join(f"{json.dumps(each)}\n" for each in texts), encoding="utf-8")
    words = ["dataset=column_files", f"dataset.test={path}", "dataset.format=doccano"]
    experiment = configure(compose([*words, "labels=auto", *LEXICON]), {})
    dataset = experiment.dataset
    read = dataset.annotated(experiment.data, seed=13, limit=experiment.limit)
    read = in_script(experiment.script, read)
    asked = {each.id: each.entities for each in read}
    predicted, judged = out_of_fold(experiment, read, asked, 3, tmp_path / "folds")
    assert set(predicted.values()) == {()}  # the two equal sentences are in one fold
    assert judged == asked
    assert {span.confidence for spans in judged.values() for span in spans} == {None}
    assert len(predicted) == 4


def test_a_crf_is_the_method_unless_another_is_named(
    audit: Audit, corpus: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    code, out = audit(*corpus, "--folds", "2", "--least", "0", "method.iterations=[20]")
    assert code == 0, capsys.readouterr().err
    found = [each for line in lines(out / "suggestions.jsonl")
             for each in (line["annotated"], line["suggested"]) if each]  # fmt: skip
    assert found
    assert all(0 <= each["confidence"] <= 1 for each in found)


def test_a_crf_is_as_sure_of_a_given_entity_as_of_the_same_found(
    tmp_path: Path, corpus: list[str]
) -> None:
    experiment = configure(compose([*corpus, "preset=audit", "method.iterations=[20]"]), {})
    read = in_script(
        experiment.script,
        experiment.dataset.annotated(experiment.data, seed=13, limit=experiment.limit),
    )
    out_of_fold(experiment, read, {each.id: () for each in read}, 2, tmp_path)
    model = experiment.method.reopen(tmp_path / "0", None)
    assert model is not None
    texts = [each.model_text for each in read]
    found = model.find(texts)
    judged = model.judge(texts, found)
    assert any(found)
    for spans, again in zip(found, judged, strict=True):
        assert spans == again
        assert [each.confidence for each in again] == pytest.approx(
            [each.confidence for each in spans]
        )
    (other,) = model.judge([texts[0], ""], [(Span(1, 3, "SYMP"), Span(0, 2, "NEW")), ()])[:1]
    assert other[0].confidence is not None
    assert 0 <= other[0].confidence < 0.5
    assert other[1].confidence == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--folds", "1"], "--folds 1: give 2 or more"),
        (["--least", "2"], "--least 2: give a score from 0 to 1"),
        (["limit.test=1"], "two different ones are needed"),
    ],
)
def test_what_cannot_be_audited(
    audit: Audit, corpus: list[str], capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    code, _ = audit(*corpus, *LEXICON, *words)
    assert code == 2
    assert said in capsys.readouterr().err
