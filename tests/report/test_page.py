"""The page of a run: what it shows, and that nothing in the data can act on it."""

import base64
import hashlib
import json
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from chmed_ner.entities.labels import Label, LabelScheme
from chmed_ner.entities.types import Completion, Sentence, Span
from chmed_ner.errors import InputError
from chmed_ner.report.pages.document import TYPE_COLOURS, page_file
from chmed_ner.report.pages.explorer import FIRST_KIND, OUTLINED
from chmed_ner.report.pages.page import write_page
from chmed_ner.run.config import option as configured
from chmed_ner.score.breakdowns import ERROR_KINDS

VOID = {"meta", "input", "br"}
ALLOWED = {
    *("html", "head", "meta", "title", "style", "script", "body", "main", "a", "h1", "h2", "p"),
    *("div", "dl", "dt", "dd", "small", "code", "span", "mark", "i", "ul", "ol", "li", "label"),
    *("select", "option", "input", "output", "details", "summary", "button", "kbd", "noscript"),
    *("table", "caption", "thead", "tbody", "tr", "th", "td"),
}
HOSTILE = (
    "</samp></details></title><script>alert(1)</script><img src=x onerror=alert(2)>"
    "\" onclick='alert(3)' <!-- ]]> &lt;b&gt; &#x202e;"
    "\u202eabc\u2066\u200b\x00\x1b\x85\r\ud800\ufffe"
)
SHOWN = (
    "</samp></details></title><script>alert(1)</script><img src=x onerror=alert(2)>"
    "\" onclick='alert(3)' <!-- ]]> &lt;b&gt; &#x202e;"
    "U+202EabcU+2066U+200BU+0000U+001BU+0085U+000DU+D800U+FFFE"
)
LABELS = LabelScheme(
    "toy",
    [Label("DISE", "疾病", "疾病"), Label("DRUG", "藥品", "药品"), Label("BODY", "人體", "人体")],
)
METRICS = {
    "test/f1": 71.23456,
    "test/WA/f1": 71.23456,
    "test/precision": 75.0,
    "test/WA/precision": 75.0,
    "test/recall": 67.8,
    "test/WA/recall": 67.8,
    "test/WA/DISE/f1": 66.666,
    "test/WA/DRUG/f1": 12.5,
    "test/f1_low": 70.111,
    "test/f1_high": 72.999,
    "restore/longest_first/f1": 71.23456,
    "restore/longest_first/ceiling_f1": 99.7,
    "parse/unknown_label_rate": 0.0525,
    "error/missed": 1234.0,
    "time/train_seconds": 9.5,
}


@dataclass
class Element:
    tag: str
    attributes: Mapping[str, str | None]
    children: list["Element | str"] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(child if isinstance(child, str) else child.text for child in self.children)

    def walk(self) -> Iterator["Element"]:
        yield self
        for child in self.children:
            if isinstance(child, Element):
                yield from child.walk()

    def find(self, tag: str, class_: str = "") -> list["Element"]:
        return [
            element
            for element in self.walk()
            if element.tag == tag
            and (not class_ or class_ in (element.attributes.get("class") or "").split())
        ]


class Tree(HTMLParser):
    """The document's elements; fails where an element is not closed in its turn."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.root = Element("", {})
        self.open = [self.root]
        self.comments: list[str] = []
        self.feed(page)
        self.close()
        assert self.open == [self.root]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = Element(tag, dict(attrs))
        self.open[-1].children.append(element)
        if tag not in VOID:
            self.open.append(element)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop().tag == tag

    def handle_data(self, data: str) -> None:
        self.open[-1].children.append(data)

    def handle_comment(self, data: str) -> None:
        self.comments.append(data)


def sentence(
    text: str, entities: Sequence[Span] = (), id_: str = "toy/1", genre: str = "WA"
) -> Sentence:
    return Sentence(id_, "test", genre, text, ("O",) * len(text), tuple(entities))


def completion(text: str, id_: str = "toy/1", stop: str = "end") -> Completion:
    return Completion(id_, "test", "WA", "0" * 64, text, stop, 10, 7, 0.5)


def page_of(path: Path, **given: Any) -> Element:
    """The page written with `given`, parsed; what is not given is empty."""
    empty: dict[str, Any] = {
        "title": "a run",
        "sentences": [],
        "spans": {},
        "completions": [],
        "metrics": {},
        "labels": LABELS,
    }
    write_page(path, **(empty | given))
    tree = Tree(path.read_text(encoding="utf-8"))
    assert tree.comments == []
    return tree.root


def data_of(page: Element) -> dict[str, Any]:
    """What the sentences are drawn from."""
    (found,) = [e for e in page.find("script") if e.attributes.get("id") == "data"]
    assert found.attributes["type"] == "application/json"
    content = json.loads(found.text)
    assert isinstance(content, dict)
    return content


def assert_inert(page: Element) -> None:
    """Only our elements, at most one script beside the data, no handlers, styles, addresses."""
    assert {element.tag for element in page.walk()} - {""} <= ALLOWED
    assert len(page.find("style")) == 1
    scripts = [e for e in page.find("script") if e.attributes.get("type") != "application/json"]
    assert len(scripts) <= 1
    for element in page.walk():
        for name, value in element.attributes.items():
            assert not name.startswith("on")
            assert name not in {"style", "src", "srcdoc", "action", "formaction"}
            assert name != "href" or value == "#list"


def test_a_sentence_is_given_with_gold_and_predicted_entities(tmp_path: Path) -> None:
    text = "糖尿病患者服用二甲雙胍"
    gold = [Span(0, 3, "DISE"), Span(7, 11, "DRUG")]
    page = page_of(
        tmp_path / "report.html",
        sentences=[sentence(text, gold), sentence("無事", id_="toy/2", genre="SM")],
        spans={"toy/1": [Span(7, 11, "BODY"), Span(0, 3, "DISE")], "toy/2": [], "other": []},
        completions=[completion("糖尿病-疾病\n二甲双胍-人体"), completion("x", id_="other")],
        training_mentions={"二甲雙胍"},
    )
    data = data_of(page)
    kind = ERROR_KINDS.index("type")
    assert data["types"] == [["t0", "疾病"], ["t1", "藥品"], ["t2", "人體"]]
    assert (data["genres"], data["lines"]) == (["WA", "SM"], ["標準", "預測"])
    assert data["rows"] == [
        [
            "toy/1",
            0,
            text,
            [[[0, 3, 0, 0], [7, 11, 1, OUTLINED]], [[0, 3, 0, 0], [7, 11, 2, FIRST_KIND + kind]]],
            [[0, 0, 0, 0], [kind, 1, 2, 1]],
            [["模型輸出", "正常結束", 7, "糖尿病-疾病\n二甲双胍-人体"]],
            [],
        ],
        ["toy/2", 1, "無事", [[], []], [], [], []],
    ]
    legend = page.find("ul", "legend")[0].text
    assert all(name in legend for name in ("疾病", "藥品", "人體"))
    options = {
        each.attributes["id"]: [option.text for option in each.find("option")]
        for each in page.find("select")
    }
    assert options["genre"] == ["全部", "WA", "SM"]
    assert options["type"] == ["全部", "DISE 疾病", "DRUG 藥品", "BODY 人體"]
    assert options["kind"][3:] == ["正確", "邊界", "類別", "邊界與類別", "漏標", "多標"]
    assert options["seen"] == ["全部", "訓練中見過", "訓練中未見"]


def test_missed_and_spurious_entities_are_named_and_known_by_their_own_string(
    tmp_path: Path,
) -> None:
    page = page_of(
        tmp_path / "report.html",
        sentences=[sentence("頭痛與胃", [Span(0, 2, "DISE")])],
        spans={"toy/1": [Span(3, 4, "BODY")]},
        training_mentions={"胃"},
    )
    ((_, _, _, lines, items, _, _),) = data_of(page)["rows"]
    missed, spurious = ERROR_KINDS.index("missed"), ERROR_KINDS.index("spurious")
    assert lines == [[[0, 2, 0, FIRST_KIND + missed]], [[3, 4, 2, FIRST_KIND + spurious]]]
    assert items == [[missed, 0, 0, 0], [spurious, 2, 2, 1]]


def test_offsets_are_those_of_the_script(tmp_path: Path) -> None:
    """Python counts code points, JavaScript UTF-16 units."""
    page = page_of(
        tmp_path / "report.html",
        sentences=[sentence("𠮷胃\ud800𠮷痛", [Span(1, 2, "BODY"), Span(3, 5, "DISE")])],
        spans={"toy/1": []},
    )
    ((_, _, text, lines, _, _, _),) = data_of(page)["rows"]
    units = text.encode("utf-16-le", "surrogatepass")
    cut = [units[2 * a : 2 * b].decode("utf-16-le") for a, b, _, _ in lines[0]]
    assert cut == ["胃", "𠮷痛"]


def test_without_training_mentions_nothing_is_told_seen_from_unseen(tmp_path: Path) -> None:
    page = page_of(
        tmp_path / "report.html",
        sentences=[sentence("胃", [Span(0, 1, "BODY")])],
        spans={"toy/1": []},
    )
    assert [each.attributes["id"] for each in page.find("select")] == ["genre", "type", "kind"]
    assert data_of(page)["rows"][0][4] == [[ERROR_KINDS.index("missed"), 2, 2, -1]]


def test_every_metric_is_shown(tmp_path: Path) -> None:
    page = page_of(tmp_path / "report.html", metrics=METRICS, sentences=[], spans={})
    figures = page.find("dl", "figures")[0].text
    for expected in ("71.23", "70.11–73.00", "75.00", "67.80"):
        assert expected in figures
    cells = {
        row.find("th")[0].text: [cell.text for cell in row.find("td")]
        for table in page.find("table")
        for row in table.find("tbody")[0].find("tr")
    }
    assert cells["WA"] == ["0", "75.00", "67.80", "71.23"]
    assert cells["DISE疾病"] == ["66.67 0"]
    assert cells["longest_first"] == ["71.23", "99.70", "–"]
    assert cells["未知類別"] == ["5.25"]
    assert cells["漏標"] == ["1,234"]
    assert cells.keys() >= METRICS.keys()


def test_page_without_metrics_and_without_sentences(tmp_path: Path) -> None:
    page = page_of(tmp_path / "report.html")
    assert page.find("table") == []
    assert "沒有測試分數" in page.text
    assert "一句也沒有" in page.text
    assert page.find("script") == []
    page = page_of(tmp_path / "report.html", sentences=[sentence("無")], spans={"toy/1": []})
    assert page.find("table") == []
    assert len(data_of(page)["rows"]) == 1


def test_page_is_a_document_that_can_be_used_by_everyone(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    page = page_of(path, sentences=[sentence("無")], spans={"toy/1": []})
    assert path.read_text(encoding="utf-8").startswith("<!DOCTYPE html>")
    assert page.find("html")[0].attributes["lang"] == "zh-Hant"
    assert page.find("title")[0].text == page.find("h1")[0].text == "a run"
    style = page.find("style")[0].text
    assert "prefers-color-scheme:dark" in style
    assert "content-visibility:auto" in style
    for control in [*page.find("select"), *page.find("input")]:
        assert any(control in label.walk() for label in page.find("label"))
    for output in page.find("output"):
        ids = {element.attributes.get("id") for element in page.walk()}
        assert set((output.attributes["for"] or "").split()) <= ids


def test_hostile_text_stays_text_wherever_it_comes_from(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    page = page_of(
        path,
        title=HOSTILE,
        sentences=[sentence(HOSTILE, [Span(3, 9, HOSTILE)], id_=HOSTILE, genre=HOSTILE)],
        spans={HOSTILE: [Span(0, 5, HOSTILE + "!")]},
        completions=[completion("\n\n" + HOSTILE + "\n", id_=HOSTILE, stop=HOSTILE)],
    )
    assert_inert(page)
    assert page.find("title")[0].text == page.find("h1")[0].text == SHOWN
    assert SHOWN in [option.text for option in page.find("option")]
    data = data_of(page)
    assert data["genres"] == [HOSTILE]
    assert data["types"][3:] == [["x", HOSTILE], ["x", HOSTILE + "!"]]
    (row,) = data["rows"]
    assert (row[0], row[2]) == (HOSTILE, HOSTILE)
    assert row[5] == [["模型輸出", HOSTILE, 7, "\n\n" + HOSTILE + "\n"]]
    content = path.read_text(encoding="utf-8")
    assert "<script>alert" not in content
    assert not set("\u202e\u2066\u200b\x00\x1b\x85\r\ufffe") & set(content)


def test_hostile_metric_names_stay_text(tmp_path: Path) -> None:
    # A slash would make another kind of name of it, so this one has none.
    bad, seen = "<b onclick=alert(1)>&amp;\u202e\ud800", "<b onclick=alert(1)>&amp;U+202EU+D800"
    page = page_of(
        tmp_path / "report.html",
        metrics={
            f"test/{bad}/f1": 1.0,
            f"test/{bad}/{bad}/f1": 2.0,
            f"restore/{bad}/f1": 3.0,
            f"parse/{bad}_rate": 0.04,
        },
    )
    assert_inert(page)
    rows = [
        [cell.text for cell in row.walk() if cell.tag in ("th", "td")] for row in page.find("tr")
    ]
    assert [seen, "0", "–", "–", "1.00"] in rows
    assert ["類別", seen] in rows
    assert [seen, "2.00 0"] in rows  # an unknown type is named by its tag
    assert [seen, "3.00", "–", "–"] in rows
    assert [seen, "4.00"] in rows


@settings(max_examples=60, deadline=None)
@given(text=st.text(st.characters(exclude_categories=()), min_size=1), data=st.data())
def test_any_text_is_shown_whole(text: str, data: st.DataObject) -> None:
    start = data.draw(st.integers(0, len(text) - 1))
    span = Span(start, data.draw(st.integers(start + 1, len(text))), "DISE")
    with TemporaryDirectory() as folder:
        page = page_of(
            Path(folder) / "report.html",
            sentences=[sentence(text, [span])],
            spans={"toy/1": []},
            completions=[completion(text)],
        )
    assert_inert(page)
    (row,) = data_of(page)["rows"]
    assert [row[2], row[5][0][3]] == [joined(text), joined(text)]


def joined(text: str) -> str:
    """`text` as a language of UTF-16 reads it: two lone halves side by side are one character."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "surrogatepass")


def test_nothing_is_fetched_and_only_our_own_inline_texts_may_run(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    page = page_of(path, metrics=METRICS, sentences=[sentence("無")], spans={"toy/1": []})
    assert_inert(page)
    content = path.read_text(encoding="utf-8")
    assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttp|[sS]torage|\bimport\b", content)
    (policy,) = [
        meta.attributes["content"] or ""
        for meta in page.find("meta")
        if meta.attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    assert policy.startswith("default-src 'none';")
    assert "unsafe" not in policy
    for tag in ("script", "style"):
        digest = hashlib.sha256(page.find(tag)[-1].text.encode()).digest()
        assert f"{tag}-src 'sha256-{base64.b64encode(digest).decode()}'" in policy


def test_bad_spans_are_refused_and_the_old_page_stays(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    path.write_text("old", encoding="utf-8")
    cases: list[tuple[dict[str, list[Span]], str]] = [
        ({}, "toy/1.*missing"),
        ({"toy/1": [Span(0, 4, "DISE")]}, "toy/1.*3 characters"),
    ]
    for spans, message in cases:
        with pytest.raises(InputError, match=message):
            page_of(path, sentences=[sentence("頭很痛")], spans=spans)
        assert path.read_text(encoding="utf-8") == "old"
        assert list(tmp_path.iterdir()) == [path]


def test_entities_inside_others_and_across_are_drawn(tmp_path: Path) -> None:
    """One inside another comes after it; one across another in two pieces, each inside."""
    inner, outer, across = Span(1, 2, "BODY"), Span(0, 3, "DISE"), Span(2, 4, "DISE")
    page = page_of(
        tmp_path / "report.html",
        sentences=[sentence("頭𠮷痛了", [inner, outer])],
        spans={"toy/1": [inner, outer, across]},
        metrics={"nested/inside/f1": 50.0, "nested/inside/recall": 40.0},
    )
    gold, predicted = data_of(page)["rows"][0][3]
    assert [[start, end] for start, end, *_ in gold] == [[0, 4], [1, 3]]
    assert [[start, end] for start, end, *_ in predicted] == [[0, 4], [1, 3], [3, 4], [4, 5]]
    assert "在其他實體之內" in page.text


def test_the_sample_corpus_predicted_perfectly_shows_no_error(tmp_path: Path) -> None:
    tags = ("BODY", "SYMP", "INST", "EXAM", "CHEM", "DISE", "DRUG", "SUPP", "TREAT", "TIME")
    labels = {"name": "health10", "types": {tag: {} for tag in tags}}
    sample = configured("dataset", "sample", labels=labels)
    sentences = sample.raw(tmp_path)["test"]
    page = page_of(
        tmp_path / "report.html",
        sentences=sentences,
        spans={each.id: each.entities for each in sentences},
        labels=sample.scheme,
    )
    rows = data_of(page)["rows"]
    for row, each in zip(rows, sentences, strict=True):
        gold, predicted = row[3]
        assert gold == predicted
        assert len(gold) == len(each.entities)
        assert {item[0] for item in row[4]} <= {ERROR_KINDS.index("correct")}


def test_the_largest_test_set_is_written_in_seconds(tmp_path: Path) -> None:
    text = (
        "醫師說長期高血壓會傷害腎臟與心臟，建議每天量血壓並按時服用降血壓藥物，不要自行停藥。" * 2
    )
    spans = [Span(start, start + 3, "DISE") for start in range(4, 60, 9)]
    sentences = [sentence(text, spans, id_=f"toy/{number}") for number in range(6624)]
    path = tmp_path / "report.html"
    began = time.process_time()
    write_page(
        path,
        title="large",
        sentences=sentences,
        spans={each.id: spans[1:] for each in sentences},
        completions=[completion("高血壓-疾病\n" * 7, id_=each.id) for each in sentences],
        metrics=METRICS,
        labels=LABELS,
    )
    assert time.process_time() - began < 8
    content = path.read_text(encoding="utf-8")
    assert len(data_of(Tree(content).root)["rows"]) == 6624
    assert len(content) < 20_000_000


def test_colours_can_be_read_in_light_and_in_dark() -> None:
    style = page_file("page.css")
    light_text, dark_text = re.findall(r"--text:(#\w+)", style)
    colours = re.findall(r"\.t(\d+)\{background:(#\w+)\}", style)
    assert [int(number) for number, _ in colours] == [*range(len(TYPE_COLOURS))] * 2
    assert len({colour for _, colour in colours}) == 2 * len(TYPE_COLOURS) >= 20
    for _, light in colours[: len(TYPE_COLOURS)]:
        assert contrast(light, light_text) > 7
    for _, dark in colours[len(TYPE_COLOURS) :]:
        assert contrast(dark, dark_text) > 5


def contrast(one: str, other: str) -> float:
    """The contrast ratio of two colours by WCAG 2.2."""
    brighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def luminance(colour: str) -> float:
    parts = [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
