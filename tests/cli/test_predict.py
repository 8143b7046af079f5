"""Raw text in, entities out: offsets in the original, as a stream."""

import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator, Sequence
from functools import cache
from pathlib import Path
from typing import ClassVar

import pytest
from hypothesis import given, settings, strategies as st

import chmed_ner
from chmed_ner.backbone.decoding import Greedy
from chmed_ner.data.predictions import prediction_record
from chmed_ner.entities.labels import Script, Simplified, Traditional
from chmed_ner.entities.types import Completion, Span
from chmed_ner.errors import InputError
from chmed_ner.model.asking import Answered, Reply, Request
from chmed_ner.prompt import TaskPrompt
from chmed_ner.run.config import build, compose
from chmed_ner.run.extractors import Predictor

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
    labels = build(config.dataset, "dataset").scheme
    prompt: TaskPrompt = build(config.prompt, "prompt").task(labels, script)
    return prompt


SIMPLIFIED = Simplified()


def predictor(script: Script = SIMPLIFIED, policy: str = "longest_first") -> Predictor:
    """The default prompt in front of a `Reader`."""
    return Predictor(
        Reader(),
        task(script.name),
        script,
        Greedy(tokens_per_character=2.0, spare_tokens=32),
        policy,
    )


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
        (entity,) = prediction_record(prediction)["entities"]
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
    assert [each["problems"] for each in records] == [
        {"empty": 1, "unread": 1}, {}, {"empty": 1, "unread": 1},
    ]  # fmt: skip

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


def test_the_command_looks_for_latest_where_it_is_told(command, finished_run: Path) -> None:
    output = finished_run.parent.parent
    asked = ("predict", "--run", "latest", "--runs-in", str(output), "none.txt")
    ended = command(*asked)
    assert ended.code == 2
    assert "none.txt: cannot be read" in ended.err
    ended = command(*asked[:3], "--runs-in", str(output / "runs"), "none.txt")
    assert f"no finished run under {output / 'runs' / 'runs'}" in ended.err


def test_lines_before_a_bad_one_are_written_and_bytes_come_back(
    finished_run: Path, tmp_path: Path
) -> None:
    file = tmp_path / "texts.txt"
    surrogate = "\ud800頭".encode("utf-8", "surrogatepass")
    file.write_bytes(surrogate + "\n好\n".encode() + "頭痛".encode("big5"))
    words = [sys.executable, "-m", "chmed_ner", "predict", "--run", str(finished_run)]
    ended = subprocess.run(
        [*words, "--format", "bio", str(file)],
        capture_output=True,
        env={**os.environ, "PYTHONIOENCODING": "ascii", "OMP_NUM_THREADS": "1"},
    )
    assert ended.returncode == 2
    assert f"{file}, line 3: not UTF-8".encode() in ended.stderr
    head = "\ud800 O\n頭 O\n\n好 O\n\n".encode("utf-8", "surrogatepass")
    assert ended.stdout == head


def test_a_pipe_is_answered_while_it_is_open(finished_run: Path) -> None:
    words = [sys.executable, "-m", "chmed_ner", "predict", "--run", str(finished_run)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
        assert running.stdin
        assert running.stdout
        for text in ("頭痛", "很久以前"):
            running.stdin.write(f"{text}\n".encode())
            running.stdin.flush()
            assert json.loads(running.stdout.readline())["sentence"] == text
        running.stdin.close()
        assert running.wait(timeout=60) == 0


def test_a_budget_is_for_all_calls_together() -> None:
    class Priced(Reader):
        """Streams, and notes what it is told was paid before."""

        told: ClassVar[list[int]] = []

        def stream(
            self, requests: Sequence[Request], before: Iterable[Completion]
        ) -> Iterator[list[Answered]]:
            """The first answer is from a cache."""
            self.told.append(sum(each.completion_tokens for each in before))
            for number, (request, reply) in enumerate(
                zip(requests, self.answer(requests), strict=True)
            ):
                yield [Answered(request, reply, 0.5 * number)]

    found = Predictor(
        Priced(),
        task("simplified"),
        SIMPLIFIED,
        Greedy(tokens_per_character=2.0, spare_tokens=32),
        "longest_first",
    )
    for _ in range(3):
        found.predict(["頭痛", "頭痛", "糖尿病"])
    paid = 2 * len("头痛-症状")  # the longest is asked first
    assert Priced.told == [0, paid, 2 * paid]
