"""Raw text in, entities out: offsets in the original, three formats."""

import io
import json
import shutil
import sys
from collections.abc import Sequence
from functools import cache
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import chmed_ner
from chmed_ner.backbone.protocol import Reply, Request
from chmed_ner.cli.predict import bio, brat, jsonl
from chmed_ner.config import build, compose
from chmed_ner.data.columns import read_columns
from chmed_ner.errors import InputError
from chmed_ner.infer.decoding import Greedy
from chmed_ner.predict import Predictor
from chmed_ner.prompt import TaskPrompt
from chmed_ner.script import Script, Simplified, Traditional
from chmed_ner.types import Span

WORDS = {"头痛": "症状", "糖尿病": "疾病", "普拿疼": "药品", "頭痛": "症狀"}


class Reader:
    """A generator that lists the words it knows, as the prompt's sentence has them."""

    batch_size = 2

    def __init__(self) -> None:
        self.batches: list[int] = []
        self.read: list[str] = []

    def length(self, request: Request) -> int:
        """Characters for tokens."""
        return len(request.prompt)

    def most_seconds(self, batches: Sequence[Sequence[Request]]) -> float:
        """No time at all."""
        return 0.0 * len(batches)

    def answer(self, batch: Sequence[Request]) -> list[Reply]:
        """The known words that occur, or that there is none."""
        self.batches.append(len(batch))
        return [self._reply(request.prompt) for request in batch]

    def _reply(self, prompt: str) -> Reply:
        sentence = prompt.split("句子：", 1)[1].rsplit("\n", 2)[0]
        self.read.append(sentence)
        found = [f"{word}-{name}" for word, name in WORDS.items() if word in sentence]
        text = "\n".join(found) or "无"
        return Reply(text, "end", len(prompt), len(text))

    def close(self) -> None:
        """Nothing is held."""


@cache
def task(script: str) -> TaskPrompt:
    """The default prompt in a script."""
    config = compose([])
    labels = build(config.dataset, "dataset").labels
    prompt: TaskPrompt = build(config.prompt, "prompt").task(labels, script)
    return prompt


SIMPLIFIED = Simplified()


def predictor(script: Script = SIMPLIFIED, policy: str = "longest_first") -> Predictor:
    """The default prompt in front of a `Reader`."""
    return Predictor(Reader(), task(script.name), script, Greedy(), policy)


@pytest.mark.parametrize(
    ("text", "spans", "problems"),
    [
        ("頭痛吃普拿疼", [(0, 2, "SYMP"), (3, 6, "DRUG")], {}),
        ("😀頭痛🏳️‍🌈，又頭痛", [(1, 3, "SYMP"), (9, 11, "SYMP")], {}),
        ("頭痛\ud800糖尿病", [(0, 2, "SYMP"), (3, 6, "DISE")], {"unreadable_character": 1}),
        ("\udfff\ud800", [], {"unreadable_character": 2}),
        ("𠮷野家頭痛", [(3, 5, "SYMP")], {}),
        ("e\u0301頭痛", [(2, 4, "SYMP")], {}),
        ("  頭痛  ", [(2, 4, "SYMP")], {}),
        ("頭痛\r\n頭痛", [(0, 2, "SYMP"), (4, 6, "SYMP")], {}),
        ("沒事", [], {}),
        ("", [], {}),
        (" ", [], {}),
    ],
)
def test_offsets_are_code_points_of_the_original(
    text: str, spans: list[tuple[int, int, str]], problems: dict[str, int]
) -> None:
    (prediction,) = predictor().predict([text])
    assert prediction.text == text
    assert prediction.entities == tuple(Span(*each) for each in spans)
    assert dict(prediction.problems) == problems


def test_the_model_reads_the_run_s_script_and_the_mention_is_the_original() -> None:
    for script, word in ((SIMPLIFIED, "头痛"), (Traditional(), "頭痛")):
        found = predictor(script)
        (prediction,) = found.predict(["她頭痛"])
        assert found.generator.read == [f"她{word}"]  # type: ignore[attr-defined]
        (line,) = jsonl([prediction])
        (entity,) = json.loads(line)["entities"]
        assert entity == {"start": 1, "end": 3, "type": "SYMP", "mention": "頭痛"}


def test_order_and_ids_are_those_of_the_texts_however_they_are_batched() -> None:
    texts = ["頭痛", "很久以前就有糖尿病了", "", "頭痛", "普拿疼沒有用"]
    found = predictor()
    predictions = found.predict(texts)
    assert [each.text for each in predictions] == texts
    assert [each.id for each in predictions] == ["0", "1", "2", "3", "4"]
    assert [len(each.entities) for each in predictions] == [1, 1, 0, 1, 1]
    assert found.generator.batches == [2, 2, 1]  # type: ignore[attr-defined]
    assert found.predict([]) == []


def test_the_policy_is_the_run_s() -> None:
    text = "頭痛又頭痛"
    found = {
        policy: len(predictor(policy=policy).predict([text])[0].entities)
        for policy in ("longest_first", "first")
    }
    assert found == {"longest_first": 2, "first": 1}


@settings(max_examples=60, deadline=None)
@given(st.lists(st.text(st.characters() | st.sampled_from("頭痛糖尿病\ud800😀"), max_size=12)))
def test_any_text_is_read_and_no_span_leaves_it(texts: list[str]) -> None:
    predictions = predictor().predict(texts)
    assert [each.text for each in predictions] == texts
    for prediction in predictions:
        last = 0
        for span in prediction.entities:
            assert last <= span.start < span.end <= len(prediction.text)
            last = span.end


# ---------------------------------------------------------------- formats

TEXTS = ["頭痛吃普拿疼", "", "沒事", "😀糖尿病"]


def test_jsonl_is_one_object_a_text() -> None:
    records = [json.loads(line) for line in jsonl(predictor().predict(TEXTS))]
    assert [each["sentence"] for each in records] == TEXTS
    for each in records:
        assert set(each) == {"id", "sentence", "entities", "problems"}
        for entity in each["entities"]:
            assert each["sentence"][entity["start"] : entity["end"]] == entity["mention"]


def test_jsonl_holds_lone_surrogates() -> None:
    (line,) = jsonl(predictor().predict(["\ud800頭痛"]))
    line.encode("utf-8")
    assert json.loads(line)["sentence"] == "\ud800頭痛"


def test_bio_is_read_back_as_a_corpus(tmp_path: Path) -> None:
    predictions = predictor().predict(TEXTS)
    (tmp_path / "out.txt").write_text("".join(bio(predictions)), encoding="utf-8")
    read = read_columns(tmp_path / "out.txt", prefix="", split="test", genre="G", labels=None)
    kept = [each for each in predictions if each.text]
    assert [each.text for each in read] == [each.text for each in kept]
    assert [each.entities for each in read] == [each.entities for each in kept]


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_brat_offsets_point_into_the_whole_file(end: str) -> None:
    document = "".join(text + end for text in TEXTS)
    lines = "".join(brat(predictor().predict(TEXTS), [len(end)] * len(TEXTS))).splitlines()
    assert [line.split("\t")[0] for line in lines] == ["T1", "T2", "T3"]
    mentions = []
    for line in lines:
        _, place, mention = line.split("\t")
        type_, start, stop = place.split(" ")
        assert document[int(start) : int(stop)] == mention
        mentions.append((type_, mention))
    assert mentions == [("SYMP", "頭痛"), ("DRUG", "普拿疼"), ("DISE", "糖尿病")]


# ---------------------------------------------------------------- the command, with a finished run


@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_command_reads_a_file_or_standard_input(
    command, finished_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, end: str
) -> None:
    data = f"頭痛{end}{end}沒事".encode()
    file = tmp_path / "texts.txt"
    file.write_bytes(data)
    from_file = command("predict", str(file), "--run", str(finished_run))
    assert from_file.code == 0, from_file.text
    records = [json.loads(line) for line in from_file.out.splitlines()]
    assert [each["sentence"] for each in records] == ["頭痛", "", "沒事"]
    assert [each["problems"] for each in records] == [{"empty": 1}] * 3

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data)))
    assert command("predict", "--run", str(finished_run)).out == from_file.out

    as_bio = command("predict", str(file), "--format", "bio", "--run", str(finished_run))
    assert as_bio.out == "頭 O\n痛 O\n\n\n沒 O\n事 O\n\n"
    as_brat = command("predict", "--format", "brat", "--run", str(finished_run), str(file))
    assert (as_brat.code, as_brat.out) == (0, "")


def test_the_command_refuses_what_it_cannot_read(command, finished_run: Path, tmp_path) -> None:
    bad = tmp_path / "big5.txt"
    bad.write_bytes("好\n".encode() + "頭痛".encode("big5"))
    ended = command("predict", str(bad), "--run", str(finished_run))
    assert ended.code == 2
    assert f"{bad}, line 2: not UTF-8" in ended.err
    ended = command("predict", str(tmp_path / "none.txt"), "--run", str(finished_run))
    assert ended.code == 2
    assert "none.txt" in ended.err


def test_load_from_python_and_a_changed_backbone(finished_run: Path, tmp_path: Path) -> None:
    loaded = chmed_ner.load(finished_run)
    assert [each.entities for each in loaded.predict(["頭痛"])] == [()]
    loaded.close()
    run = tmp_path / "run"
    shutil.copytree(finished_run, run)
    record = json.loads((run / "run.json").read_text(encoding="utf-8"))
    record["backbone_sha256"] = "0" * 64
    (run / "run.json").write_text(json.dumps(record), encoding="utf-8")
    with pytest.raises(InputError, match="the backbone scripted has changed since the run"):
        chmed_ner.load(run)
