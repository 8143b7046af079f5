"""The page of an audit in a real browser: order, evidence, filters, and that text stays text."""

from pathlib import Path
from typing import Any

import pytest

from chmed_ner.entities import Label, LabelScheme, Sentence, Span
from chmed_ner.report import write_audit_page
from chmed_ner.score import suggestions

LABELS = LabelScheme("toy", [Label("DISE", "疾病", "疾病"), Label("SYMP", "症狀", "症状")])
EVIL = "</script><script>window.hit=1</script><img src=x onerror='window.hit=2'>\u202e"
SHOWN = EVIL.replace("\u202e", "U+202E")


def sentence(number: int, text: str, *entities: Span) -> Sentence:
    return Sentence(f"WA/{number}", "test", "WA", text, None, entities, text)


def page(path: Path, sentences: list[Sentence], predicted: dict[str, list[Span]]) -> Path:
    spans = {each.id: predicted.get(each.id, each.entities) for each in sentences}
    found = suggestions(sentences, spans, [])
    entities = sum(len(each.entities) for each in sentences)
    write_audit_page(
        path,
        title="audit",
        suggestions=found,
        labels=LABELS,
        looked_at=(len(sentences), entities),
    )
    return path


@pytest.fixture
def audited(tmp_path: Path) -> Path:
    """Three sentences with suggestions, one without."""
    return page(
        tmp_path / "audit.html",
        [
            sentence(1, "胃痛了", Span(0, 2, "SYMP", 0.1)),
            sentence(2, "有胃痛"),
            sentence(3, "說胃痛", Span(0, 1, "DISE", 0.4)),
            sentence(4, "胃痛", Span(0, 2, "DISE")),
        ],
        {"WA/1": [Span(0, 2, "DISE", 0.8)], "WA/2": [Span(1, 3, "DISE", 0.9)], "WA/3": []},
    )


def test_the_evidence_is_below_the_sentence(browser: Any, audited: Path) -> None:
    browser.open(audited)
    notes = browser.run(
        "[...document.querySelectorAll('#sentences > li')].map(each =>"
        " [each.querySelector('code').textContent,"
        " ...[...each.querySelectorAll('.note p, .note li')].map(line => line.textContent)])"
    )
    found = {id_: lines for id_, *lines in notes}
    assert set(found) == {"WA/1", "WA/2", "WA/3"}
    head, counts, *examples = found["WA/2"]
    assert head.startswith("漏標 0.00")
    assert "不標 → 「胃痛」疾病" in head
    assert "模型對建議的信心 0.90" in head
    assert counts == "「胃痛」別處 3 次 (症狀 1, 不標 1, 疾病 1)"
    assert len(examples) == 3
    assert "「說」疾病 → 不標" in found["WA/3"][0]
    lines = (
        "[...document.querySelectorAll('#sentences > li')].find(each => each.textContent"
        ".startsWith('WAWA/1')).querySelectorAll('.answer')"
    )
    marks = f"[...{lines}].map(each => each.querySelector('mark').textContent)"
    assert browser.run(marks) == ["胃痛症狀 10%", "胃痛疾病·類別 80%"]
    assert browser.mishaps() == []


def test_filters_by_kind_and_type(browser: Any, audited: Path) -> None:
    browser.open(audited)
    for control, value, left in (
        ("kind", "0", {"WA/2"}), ("kind", "1", {"WA/3"}), ("kind", "3", {"WA/1"}),
        ("kind", "", {"WA/1", "WA/2", "WA/3"}), ("type", "1", {"WA/1"}),
    ):  # fmt: skip
        browser.choose(control, value)
        assert set(browser.ids()) == left


def test_a_suggestion_takes_the_place_of_all_that_it_overlaps(browser: Any, tmp_path: Path) -> None:
    """Also of an annotation that no suggestion is about: one of a low score is left out."""
    both = sentence(1, "左胃痛了", Span(0, 2, "DISE"), Span(2, 3, "SYMP"))
    found = suggestions([both], {"WA/1": [Span(0, 3, "SYMP", 0.9)]}, [])
    path = tmp_path / "audit.html"
    kept = [each for each in found if each.suggested]
    write_audit_page(path, title="audit", suggestions=kept, labels=LABELS, looked_at=(1, 2))
    browser.open(path)
    assert browser.run("document.querySelectorAll('mark mark').length") == 0
    each_line = "[...document.querySelectorAll('.answer')]"
    counts = f"{each_line}.map(each => each.querySelectorAll('mark').length)"
    assert browser.run(counts) == [2, 1]


def test_nothing_is_asked_about_completions(browser: Any, audited: Path) -> None:
    browser.open(audited)
    assert "模型輸出" not in browser.run("document.body.innerText")
    assert "模型輸出" not in browser.run("document.getElementById('search').placeholder")


def test_hostile_text_is_shown_as_text(browser: Any, tmp_path: Path) -> None:
    evil = Sentence(EVIL, "test", EVIL, EVIL, None, (Span(0, len(EVIL), EVIL, 0.5),), EVIL)
    copy = Sentence("WA/1", "test", "WA", EVIL, None, (), EVIL)
    whole = Span(0, len(EVIL), "DISE", 0.9)
    browser.open(page(tmp_path / "audit.html", [evil, copy], {EVIL: [], "WA/1": [whole]}))
    assert browser.run("window.hit") is None
    assert browser.run("document.querySelectorAll('img,svg').length") == 0
    notes = browser.run("[...document.querySelectorAll('.note')].map(each => each.textContent)")
    assert all(SHOWN in note for note in notes)
    assert browser.mishaps() == []


def test_nothing_to_suggest(browser: Any, tmp_path: Path) -> None:
    browser.open(page(tmp_path / "audit.html", [sentence(1, "胃痛", Span(0, 2, "DISE"))], {}))
    assert "一句也沒有" in browser.run("document.body.innerText")
