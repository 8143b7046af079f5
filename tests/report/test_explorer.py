"""The pages in a real browser: what is drawn, filtered, typed, and that text stays text."""

from pathlib import Path
from typing import Any

import pytest

from chmed_ner.entities.labels import Label, LabelScheme
from chmed_ner.entities.types import Completion, Sentence, Span
from chmed_ner.report.pages.comparison_page import Side, write_comparison_page
from chmed_ner.report.pages.page import write_page
from chmed_ner.score.resampling import compare_counts, sentence_counts

LABELS = LabelScheme("toy", [Label("DISE", "疾病", "疾病"), Label("BODY", "人體", "人体")])
EVIL = (
    "</script><script>window.hit=1</script><!--<script><img src=x onerror='window.hit=2'>"
    "<svg onload=window.hit=3>&lt;b&gt;\u202eabc\u2066\u200b\x00\x1b\r\ud800"
)
SHOWN = (
    "</script><script>window.hit=1</script><!--<script><img src=x onerror='window.hit=2'>"
    "<svg onload=window.hit=3>&lt;b&gt;U+202EabcU+2066U+200BU+0000U+001BU+000DU+D800"
)
MILLION = 1_000_000
COMPLETIONS = "[...document.querySelectorAll('details')].every(d => d.querySelector('samp'))"
"""Every completion is drawn: a page draws one after it was opened."""


def sentence(number: int, text: str, *entities: Span, genre: str = "WA") -> Sentence:
    return Sentence(f"{genre}/{number}", "test", genre, text, None, entities)


def completion(id_: str, text: str) -> Completion:
    return Completion(id_, "test", "WA", "0" * 64, text, "end", 10, 7, 0.5)


def page(path: Path, **given: Any) -> Path:
    empty: dict[str, Any] = {
        "title": "run", "spans": {}, "completions": [], "metrics": {}, "labels": LABELS,
    }  # fmt: skip
    write_page(path, **(empty | given))
    return path


@pytest.fixture
def four(tmp_path: Path) -> Path:
    """Four sentences: right, missed (unseen), of another type (seen), spurious."""
    return page(
        tmp_path / "report.html",
        sentences=[
            sentence(1, "胃痛", Span(0, 2, "DISE")),
            sentence(2, "肝炎", Span(0, 2, "DISE")),
            sentence(3, "頭昏", Span(0, 1, "BODY"), genre="FT"),
            sentence(4, "無事", genre="FT"),
        ],
        spans={
            "WA/1": [Span(0, 2, "DISE")],
            "WA/2": [],
            "FT/3": [Span(0, 1, "DISE")],
            "FT/4": [Span(1, 2, "BODY")],
        },
        completions=[completion("WA/1", "Gastric-疾病\n第二行"), completion("FT/3", "頭-疾病")],
        training_mentions={"胃痛", "頭"},
    )


@pytest.mark.parametrize(
    ("choices", "left"),
    [
        ({}, ["WA/1", "WA/2", "FT/3", "FT/4"]),
        ({"genre": "1"}, ["FT/3", "FT/4"]),
        ({"type": "0"}, ["WA/1", "WA/2", "FT/3"]),
        ({"kind": "any"}, ["WA/2", "FT/3", "FT/4"]),
        ({"kind": "none"}, ["WA/1"]),
        ({"kind": "4"}, ["WA/2"]),
        ({"kind": "2", "type": "1"}, ["FT/3"]),
        ({"kind": "5", "type": "0"}, []),
        ({"seen": "0"}, ["WA/2", "FT/4"]),
        ({"seen": "1", "kind": "any"}, ["FT/3"]),
        ({"search": " gastric "}, ["WA/1"]),
        ({"search": "ft/"}, ["FT/3", "FT/4"]),
        ({"search": "頭", "genre": "0"}, []),
    ],
)
def test_filters(browser: Any, four: Path, choices: dict[str, str], left: list[str]) -> None:
    browser.open(four)
    for control, value in choices.items():
        browser.choose(control, value)
    assert browser.ids() == left
    assert browser.run("document.getElementById('shown').value") == f"{len(left)} / 4 句"
    assert browser.run("document.getElementById('nothing').hidden") is bool(left)
    browser.run("document.getElementById('clear').click()")
    assert len(browser.ids()) == 4
    assert browser.mishaps() == []


@pytest.mark.parametrize(
    ("choices", "left"),
    [
        ({}, ["WA/1", "WA/2", "WA/3", "WA/4"]),
        ({"order": "least"}, ["WA/2", "WA/3", "WA/1", "WA/4"]),
        ({"order": "most"}, ["WA/1", "WA/2", "WA/3", "WA/4"]),
        ({"order": "most", "kind": "5"}, ["WA/3", "WA/2"]),
        ({"sure": "50 80"}, ["WA/3"]),
        ({"sure": "0 50", "kind": "0"}, []),
        ({"sure": "95 101", "type": "0"}, ["WA/1"]),
    ],
)
def test_sentences_are_sorted_and_filtered_by_confidence(
    browser: Any, tmp_path: Path, choices: dict[str, str], left: list[str]
) -> None:
    path = page(
        tmp_path / "report.html",
        sentences=[
            sentence(1, "胃痛", Span(0, 2, "DISE")),
            sentence(2, "頭昏胃痛", Span(2, 4, "DISE")),
            sentence(3, "頭昏"),
            sentence(4, "肝炎", Span(0, 2, "DISE")),
        ],
        spans={
            "WA/1": [Span(0, 2, "DISE", 0.999)],
            "WA/2": [Span(0, 1, "BODY", 0.1), Span(2, 4, "DISE", 0.9)],
            "WA/3": [Span(0, 1, "BODY", 0.7)],
            "WA/4": [],
        },
        metrics={"confidence/calibrated": 1.0},
    )
    browser.open(path)
    marks = "[...document.querySelectorAll('mark small')].map(m => m.textContent)"
    assert "疾病 99%" in browser.run(marks)
    for control, value in choices.items():
        browser.choose(control, value)
    assert browser.ids() == left
    assert browser.mishaps() == []


def test_what_is_drawn(browser: Any, four: Path) -> None:
    browser.open(four)
    third = "document.querySelectorAll('#sentences > li')[2]"
    assert browser.run(f"{third}.querySelector('.about').textContent") == "FTFT/3類別 1"
    marks = f"[...{third}.querySelectorAll('mark')].map(m => [m.className, m.textContent])"
    assert browser.run(marks) == [["t1 e", "頭人體"], ["t0 e", "頭疾病·類別"]]
    assert browser.run("document.querySelectorAll('samp').length") == 0
    browser.run("document.getElementById('expanded').click()")
    browser.wait_for(COMPLETIONS)
    drawn = "[...document.querySelectorAll('samp')].map(s => s.textContent)"
    assert browser.run(drawn) == ["Gastric-疾病\n第二行", "頭-疾病"]


def test_entities_inside_others_are_drawn_inside(browser: Any, tmp_path: Path) -> None:
    entities = [Span(0, 4, "DISE"), Span(0, 1, "BODY"), Span(2, 4, "BODY")]
    spans = {"WA/1": entities[:2]}
    browser.open(
        page(tmp_path / "report.html", sentences=[sentence(1, "肺部發炎", *entities)], spans=spans)
    )
    drawn = "[...document.querySelectorAll('.answer > span')].map(each => each.innerHTML)"
    inner = '<mark class="t1">肺<small>人體</small></mark>部'
    missed = '<mark class="t1 e">發炎<small>人體·漏標</small></mark>'
    outer = '<mark class="t0">{}<small>疾病</small></mark>'
    assert browser.run(drawn) == [outer.format(inner + missed), outer.format(inner + "發炎")]
    assert browser.mishaps() == []


def test_keys(browser: Any, four: Path) -> None:
    browser.open(four)
    focused = "document.activeElement.querySelector?.('code')?.textContent"
    for key, expected in (("j", "WA/1"), ("j", "WA/2"), ("k", "WA/1"), ("k", "WA/1")):
        browser.press(key)
        assert browser.run(focused) == expected
    browser.press("o")
    assert browser.run("document.querySelector('details').open") is True
    browser.press("o")
    assert browser.run("document.querySelector('details').open") is False
    browser.press("/")
    assert browser.run("document.activeElement.id") == "search"
    browser.press("x")  # in the field it is a letter
    assert browser.run("document.activeElement.value") == "x"
    assert browser.ids() == []
    browser.press("Escape")
    browser.press("x")
    assert len(browser.ids()) == 4


def test_hostile_text_is_shown_as_text(browser: Any, tmp_path: Path) -> None:
    path = page(
        tmp_path / "report.html",
        title=EVIL,
        sentences=[Sentence(EVIL, "test", EVIL, EVIL, None, (Span(0, 9, EVIL),))],
        spans={EVIL: [Span(2, 60, "BODY")]},
        completions=[completion(EVIL, EVIL)],
    )
    browser.open(path)
    browser.run("document.getElementById('expanded').click()")
    browser.wait_for(COMPLETIONS)
    assert browser.run("window.hit") is None
    assert browser.run("document.querySelectorAll('img,svg').length") == 0
    assert browser.run("document.querySelectorAll('script').length") == 2
    assert browser.run("document.querySelector('h1').textContent") == SHOWN
    assert browser.run("document.querySelector('samp').textContent") == SHOWN
    assert browser.run("document.querySelector('#sentences code').textContent") == SHOWN
    line = (
        "(p => { p.querySelectorAll('small').forEach(s => s.remove()); return p.textContent })"
        "(document.querySelectorAll('.answer')[1].cloneNode(true))"
    )
    assert browser.run(line) == SHOWN
    assert browser.run("document.querySelectorAll('#genre option')[1].textContent") == SHOWN
    assert browser.mishaps() == []


def test_a_line_of_a_megabyte(browser: Any, tmp_path: Path) -> None:
    text = "\u202e" * 10 + "<b>" + "藥" * MILLION + "末"
    path = page(
        tmp_path / "report.html",
        sentences=[sentence(1, "胃痛"), sentence(2, "肝炎")],
        spans={"WA/1": [], "WA/2": []},
        completions=[completion("WA/1", text)],
    )
    browser.open(path)
    browser.run("document.getElementById('expanded').click()")
    browser.wait_for(COMPLETIONS)
    begun = browser.run("document.querySelector('samp').textContent")
    assert begun.startswith("U+202E" * 10 + "<b>藥藥")
    assert len(begun) < 10_000
    more = "document.querySelector('samp .rest')"
    assert "996,014" in browser.run(f"{more}.textContent")
    browser.run(f"{more}.click()")
    assert "992,014" in browser.run(f"{more}.textContent")
    browser.choose("search", "藥末")
    assert browser.ids() == ["WA/1"]
    assert browser.mishaps() == []


def test_it_works_in_the_frame_that_mlflow_shows_it_in(browser: Any, four: Path) -> None:
    frame = four.with_name("frame.html")
    frame.write_text(
        f'<iframe sandbox="allow-scripts" src="{four.name}" width="900" height="600"></iframe>'
    )
    browser.open(frame)
    assert browser.run_in_frame(four, "document.getElementById('shown').value") == "4 / 4 句"
    drawn = "document.getElementById('sentences').textContent"
    assert "FT/4" in browser.run_in_frame(four, drawn)
    assert browser.run_in_frame(four, "window.origin") == "null"
    assert browser.mishaps() == []


def test_many_sentences_are_drawn_as_they_are_scrolled_to(browser: Any, tmp_path: Path) -> None:
    path = page(
        tmp_path / "report.html",
        sentences=[sentence(n, "胃痛" * 20) for n in range(500)],
        spans={f"WA/{n}": [] for n in range(500)},
    )
    browser.open(path)
    browser.wait_for("document.getElementById('more').getBoundingClientRect().top > 2100")
    first = len(browser.ids())
    assert 40 <= first < 200
    browser.run("window.scrollTo(0, document.body.scrollHeight)")
    browser.wait_for(f"document.querySelectorAll('#sentences > li').length > {first}")
    assert len(browser.ids()) < 500
    browser.choose("search", "WA/499")
    assert browser.ids() == ["WA/499"]


def test_the_page_of_two_runs(browser: Any, tmp_path: Path) -> None:
    sentences = [
        sentence(1, "胃痛", Span(0, 2, "DISE")),
        sentence(2, "肝炎", Span(0, 2, "DISE")),
        sentence(3, "頭昏", Span(0, 1, "BODY")),
        sentence(4, "無事"),
    ]
    a = {s.id: list(s.entities) for s in sentences} | {"WA/2": []}
    b = {s.id: list(s.entities) for s in sentences} | {"WA/3": [], "WA/4": [Span(0, 1, "BODY")]}
    counts = [
        {"WA": sentence_counts([(s.entities, tuple(side[s.id])) for s in sentences])}
        for side in (a, b)
    ]
    write_comparison_page(
        tmp_path / "compare.html",
        first=Side(EVIL, "here", a, [completion("WA/1", "A says")]),
        second=Side("two", "there", b, [completion("WA/1", EVIL)]),
        sentences=sentences,
        figures=compare_counts(counts[0], counts[1], rounds=99, resamples=50),
        labels=LABELS,
    )
    browser.open(tmp_path / "compare.html")
    for kind, left in (
        ("", ["WA/1", "WA/2", "WA/3", "WA/4"]),
        ("any", ["WA/2", "WA/3", "WA/4"]),
        ("none", ["WA/1"]),
        ("1", ["WA/3", "WA/4"]),
        ("2", ["WA/2"]),
        ("3", []),
    ):
        browser.choose("kind", kind)
        assert browser.ids() == left, kind
    browser.choose("kind", "")
    browser.run("document.getElementById('expanded').click()")
    browser.wait_for(COMPLETIONS)
    drawn = "[...document.querySelectorAll('samp')].map(s => s.textContent)"
    assert browser.run(drawn) == ["A says", SHOWN]
    cells = (
        "[...document.querySelectorAll('table')[1].querySelectorAll('td')].map(t => t.innerText)"
    )
    assert browser.run(cells) == ["1", "–", "1", "1", "1", "0", "0", "0"]
    assert browser.run("document.querySelector('h1').textContent").startswith(f"A: {SHOWN}")
    assert browser.run("window.hit") is None
    assert browser.mishaps() == []


def test_a_mark_s_label_stays_with_its_entity(browser: Any, tmp_path: Path) -> None:
    texts = [f"{'字' * before}排聽力檢查再談" for before in range(24)]
    path = page(
        tmp_path / "report.html",
        sentences=[sentence(n, text, Span(n, n + 5, "DISE")) for n, text in enumerate(texts)],
        spans={f"WA/{n}": [Span(n, n + 5, "BODY")] for n in range(len(texts))},
    )
    size = {"width": 360, "height": 700, "deviceScaleFactor": 1, "mobile": False}
    browser.call("Emulation.setDeviceMetricsOverride", **size)
    try:
        browser.open(path)
        apart = browser.run(
            """[...document.querySelectorAll('#sentences mark')].map(mark => {
                 const word = mark.firstChild, last = document.createRange();
                 last.setStart(word, word.length - 1);
                 last.setEnd(word, word.length);
                 const label = mark.querySelector('small').getBoundingClientRect();
                 return Math.abs(last.getBoundingClientRect().bottom - label.bottom);
               })"""
        )
    finally:
        browser.call("Emulation.clearDeviceMetricsOverride")
    assert len(apart) == 2 * len(texts)
    assert max(apart) < 15
