"""Raw text and a backbone: no finished run, no gold."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

import chmed_ner
from chmed_ner import Entity
from chmed_ner.data import read_annotated
from chmed_ner.entities import Span
from chmed_ner.errors import InputError

TEXT = "😀她有糖尿病，又頭痛"
ANSWER = "糖尿病-疾病\n头痛-症状"
FOUND = (Entity("糖尿病", "疾病", 3, 6), Entity("頭痛", "症狀", 8, 10))


class Reader(BaseHTTPRequestHandler):
    """Lists what stands in the question."""

    def do_POST(self) -> None:
        """Answer."""
        asked = self.rfile.read(int(self.headers["Content-Length"])).decode()
        question = json.loads(asked)["messages"][-1]["content"]
        sentence = question.rsplit("句子：", 1)[1]
        listed = [line for line in ANSWER.split("\n") if line.split("-")[0] in sentence]
        message = {"role": "assistant", "content": "\n".join(listed) or "无"}
        content = {"choices": [{"message": message, "finish_reason": "stop"}]}
        body = json.dumps(content).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing is logged."""


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The settings of an endpoint on loopback."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.chdir(tmp_path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), Reader)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield [
        f"backbone.base_url=http://127.0.0.1:{server.server_address[1]}/v1",
        "backbone.model=reader",
        f"paths.cache={tmp_path / 'cache'}",
        f"paths.data={tmp_path / 'none'}",
    ]
    server.shutdown()


def test_a_text_and_categories_are_enough(settings: list[str], tmp_path: Path) -> None:
    options = {"backbone": "openai_compatible", "labels": ["疾病", "症狀"]}
    with chmed_ner.extractor(*settings, **options) as extract:  # type: ignore[arg-type]
        assert extract(TEXT) == FOUND
        assert extract.extract(["沒事", TEXT]) == [(), FOUND]
        long = "沒事。" * 300 + TEXT
        assert [long[each.start : each.end] for each in extract(long)] == ["糖尿病", "頭痛"]
        assert extract.predict([TEXT])[0].entities == (Span(3, 6, "疾病"), Span(8, 10, "症狀"))
    assert {each.name for each in tmp_path.iterdir()} <= {"cache"}, "nothing is left behind"


def test_categories_can_be_those_of_a_scheme(settings: list[str]) -> None:
    extract = chmed_ner.extractor(*settings, backbone="openai_compatible", labels="health10")
    assert [(each.text, each.type) for each in extract(TEXT)] == [
        ("糖尿病", "DISE"), ("頭痛", "SYMP"),
    ]  # fmt: skip
    extract.close()


@pytest.mark.parametrize("style", ["jsonl", "bio", "conll", "brat", "doccano", "label_studio"])
def test_the_command_needs_no_run(command, settings: list[str], tmp_path: Path, style: str) -> None:
    (tmp_path / "a=b.txt").write_bytes(f"{TEXT}\r\n無\r\n".encode())
    words = ("backbone=openai_compatible", "labels@dataset.labels=health10", *settings)
    told = ("./a=b.txt", "--format", style)
    printed = command("predict", *words, *told)
    assert printed.code == 0, printed.text
    written = command("predict", *words, *told, "--out", "out")
    assert (written.code, written.out) == (0, "")
    if style == "brat":
        assert (tmp_path / "out" / "00000.txt").read_bytes() == TEXT.encode()
    else:
        assert (tmp_path / "out").read_text(encoding="utf-8") == printed.out
    reader = {"jsonl": "span_json", "bio": "columns", "conll": "columns"}.get(style, style)
    found = read_annotated(tmp_path / "out", reader, {}).texts
    assert [text.text for text in found] == [TEXT, "無"]
    assert found[0].entities == (Span(3, 6, "DISE"), Span(8, 10, "SYMP"))


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        ((), "give either --run RUN"),
        (("a.txt",), "give either --run RUN"),
        (("backbone=scripted", "a.txt", "b.txt"), "b.txt: one file at a time"),
        (("--run", "latest", "backbone=scripted"), "which has its settings"),
        (("method=crf", "a.txt"), "need training data"),
        (("regime=few_shot", "a.txt"), "need training data"),
        (("hints@prompt.hints=lexicon", "a.txt"), "need training data"),
        (("backbone=scripted", "decoding=constrained", "a.txt"), "cannot be held to a grammar"),
        (("backbone=scripted", "a.txt", "--out", "a.txt"), "one of the files that are read"),
    ],
)
def test_what_cannot_be_asked_is_refused(
    command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.txt").write_text("頭痛\n", encoding="utf-8")
    ended = command("predict", *words)
    assert ended.code == 2
    assert problem in ended.err


def test_a_run_answers_in_entities_too(finished_run: Path) -> None:
    with chmed_ner.load(finished_run) as model:
        assert model("頭痛") == ()


def test_labels_must_be_a_scheme() -> None:
    with pytest.raises(InputError, match="names both"):
        chmed_ner.extractor(backbone="scripted", labels=["ＡＢ", "AB"])
