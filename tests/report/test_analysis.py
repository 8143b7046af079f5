"""`analysis/` of a run: tables that add up, figures with Chinese glyphs, the same bytes again."""

import csv
import subprocess
import sys
import tomllib
import warnings
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib import font_manager
from matplotlib.ft2font import FT2Font
from PIL import Image

from chmed_ner.data.columns import read_columns
from chmed_ner.entities.bio import chunks
from chmed_ner.entities.labels import LabelScheme, label_scheme
from chmed_ner.entities.types import Sentence, Span
from chmed_ner.report import words
from chmed_ner.report.analysis.analysis import write_analysis
from chmed_ner.report.analysis.figures import confusion_matrix
from chmed_ner.report.figures import chinese_font, text_style
from chmed_ner.report.words import say, speaking
from chmed_ner.score.breakdowns import ERROR_KINDS, confusions

WORDS = tomllib.loads((Path(words.__file__).with_name("words.toml")).read_text(encoding="utf-8"))
LABELS = label_scheme(
    "two", {"DISE": {"traditional": "疾病"}, "BODY": {"traditional": "人體 $x^2$"}}
)
FORMATS = ("png", "svg", "pdf")
FIGURES = ("confusion", "errors_by_type", "f1_by_length", "f1_by_string")
DRAWN = [f"{name}.{style}" for name in FIGURES for style in FORMATS]
CSVS = (
    "confusion.csv", "errors_by_type.csv", "f1_by_entity_length.csv", "f1_by_sentence_length.csv",
    "f1_by_seen.csv", "one_character_entities.csv",
)  # fmt: skip
COUNTS = ("gold", "predicted", "correct")


def sentence(number: int, text: str, tags: str, genre: str) -> Sentence:
    read = tuple(tags.split())
    return Sentence(f"{genre}/{number}", "test", genre, text, read, chunks(read))


SENTENCES = (
    sentence(1, "胃痛傷胃", "B-DISE I-DISE O B-BODY", "FT"),
    sentence(2, "肝炎與肝", "B-DISE I-DISE O B-BODY", "FT"),
    sentence(3, "頭痛", "B-DISE I-DISE", "SM"),
)
SPANS = {
    "FT/1": (Span(0, 2, "BODY"), Span(3, 4, "BODY")),
    "FT/2": (Span(0, 1, "DISE"), Span(2, 3, "BODY")),
    "SM/3": (Span(0, 2, "DISE"),),
}


def written(
    directory: Path,
    sentences: Sequence[Sentence] = SENTENCES,
    spans: dict[str, Any] = SPANS,
    training: Sequence[str] = ("胃",),
    labels: LabelScheme = LABELS,
    formats: Sequence[str] = (),
) -> Path:
    with speaking("zh-Hant"):
        write_analysis(
            directory,
            sentences=sentences,
            spans=spans,
            training_mentions=training,
            labels=labels,
            formats=formats,
        )
    return directory / "analysis"


def rows(folder: Path, name: str) -> list[dict[str, str]]:
    with (folder / f"{name}.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def test_tables_by_hand(tmp_path: Path) -> None:
    folder = written(tmp_path)
    assert {path.name for path in folder.iterdir()} == {*CSVS}
    cells = [tuple(row.values()) for row in rows(folder, "confusion") if row["genre"] == "all"]
    assert sorted(cells) == [
        ("all", "", "BODY", "spurious", "1"),
        ("all", "BODY", "", "missed", "1"),
        ("all", "BODY", "BODY", "correct", "1"),
        ("all", "DISE", "BODY", "type", "1"),
        ("all", "DISE", "DISE", "boundary", "1"),
        ("all", "DISE", "DISE", "correct", "1"),
    ]
    errors = {(row["genre"], row["type"]): row for row in rows(folder, "errors_by_type")}
    assert list(errors) == [(g, t) for g in ("FT", "SM", "all") for t in ("DISE", "BODY", "all")]
    assert list(errors["all", "BODY"].values())[2:] == [
        *("2", "1", "0", "0", "0", "1"),
        *("3", "1", "0", "1", "0", "1"),
    ]
    seen = {(row["genre"], row["string"]): row for row in rows(folder, "f1_by_seen")}
    assert [seen["FT", "seen"][count] for count in COUNTS] == ["1", "1", "1"]
    assert [seen["FT", "unseen"][count] for count in COUNTS] == ["3", "3", "0"]
    one = rows(folder, "one_character_entities")
    assert [(r["genre"], r["string"], r["type"], r["gold"], r["predicted"]) for r in one][:4] == [
        ("FT", "胃", "BODY", "1", "1"),
        ("FT", "肝", "BODY", "1", "0"),
        ("FT", "肝", "DISE", "0", "1"),
        ("FT", "與", "BODY", "0", "1"),
    ]


def reference(corpora_dir: Path) -> tuple[tuple[Sentence, ...], dict[str, tuple[Span, ...]]]:
    folder = corpora_dir / "rocling2023"
    gold, predicted = (
        read_columns(file, prefix="FT/", split="test", genre="FT", labels=None)
        for file in (
            folder / "MultiNER-Health_truth_FT.txt",
            folder / "reference_run" / "FT_result.txt",
        )
    )
    return gold, {each.id: each.entities for each in predicted}


@pytest.fixture(scope="module")
def health10() -> LabelScheme:
    from chmed_ner.run.config import option

    return option("dataset", "sample").scheme  # type: ignore[no-any-return]


def test_the_tables_of_the_reference_run_add_up(
    corpora_dir: Path, tmp_path: Path, health10: LabelScheme
) -> None:
    gold, spans = reference(corpora_dir)
    folder = written(tmp_path, gold, spans, ["痛"], health10, formats=["png"])
    whole = (10_849, 9075, 6085)
    for name in ("f1_by_entity_length", "f1_by_sentence_length", "f1_by_seen"):
        for genre in ("FT", "all"):
            parts = [row for row in rows(folder, name) if row["genre"] == genre]
            assert tuple(sum(int(row[count]) for row in parts) for count in COUNTS) == whole
    cells = [row for row in rows(folder, "confusion") if row["genre"] == "FT"]
    assert sum(int(row["entities"]) for row in cells if row["gold"]) == whole[0]
    assert sum(int(row["entities"]) for row in cells if row["predicted"]) == whole[1]
    kinds: Counter[str] = Counter()
    for row in cells:
        kinds[row["kind"]] += int(row["entities"])
    assert [kinds[kind] for kind in ERROR_KINDS] == [6085, 855, 708, 360, 2841, 1067]
    errors = [row for row in rows(folder, "errors_by_type") if row["genre"] == "FT"]
    types, total = errors[:-1], errors[-1]
    assert [row["type"] for row in types] == list(health10.tags)
    for key in (key for key in total if key not in ("genre", "type")):
        assert sum(int(row[key]) for row in types) == int(total[key]), key
    assert total["gold_missed"] == "2841"
    sizes = [path.stat().st_size for path in folder.glob("*.png")]
    assert len(sizes) == 4
    assert max(sizes) < 150_000


def test_confidences_are_drawn_against_what_came_true(tmp_path: Path) -> None:
    sure = {
        id_: tuple(replace(span, confidence=0.25 + 0.25 * at) for at, span in enumerate(spans))
        for id_, spans in SPANS.items()
    }
    folder = written(tmp_path, spans=sure, formats=["png"])
    assert (folder / "reliability.png").read_bytes()[:4] == b"\x89PNG"
    found = [tuple(map(float, list(row.values())[1:])) for row in rows(folder, "reliability")]
    assert [row["genre"] for row in rows(folder, "reliability")] == ["FT", "SM", "all"]
    assert found == [(4, 37.5, 25), (1, 25, 100), (5, 35, 40)]


def test_the_matrix_adds_up_to_gold_and_predicted() -> None:
    found: Counter[tuple[str | None, str | None, str]] = Counter()
    for each in SENTENCES:
        found.update(confusions(each.entities, SPANS[each.id]))
    matrix = confusion_matrix(found, ["DISE", "BODY"])
    assert matrix.tolist() == [[2, 1, 0], [0, 1, 1], [0, 1, 0]]
    assert matrix.sum(axis=1).tolist() == [3, 2, 1]
    assert matrix.sum(axis=0).tolist() == [2, 3, 1]


def test_figures_are_pictures_with_something_in_them(tmp_path: Path) -> None:
    folder = written(tmp_path, formats=FORMATS)
    assert {path.name for path in folder.iterdir()} == {*DRAWN, *CSVS}
    for name in FIGURES:
        assert (folder / f"{name}.svg").read_text(encoding="utf-8").rstrip().endswith("</svg>")
        assert (folder / f"{name}.pdf").read_bytes().rstrip().endswith(b"%%EOF")
        with Image.open(folder / f"{name}.png") as image:
            assert image.format == "PNG"
            assert min(image.size) > 200
            assert not image.info.keys() & {"Software", "Creation Time", "date"}
            pixels = np.asarray(image.convert("RGB")).reshape(-1, 3)
        assert 0.5 < (pixels == 255).all(axis=1).mean() < 0.99
        assert len(np.unique(pixels, axis=0)) > 50


@pytest.mark.parametrize("language", ["zh-Hant", "zh-Hans"])
def test_the_font_has_every_glyph_of_the_figures(health10: LabelScheme, language: str) -> None:
    names = "".join(label.traditional + label.simplified for label in health10.labels)
    with speaking(language):
        path = text_style(9)["fontproperties"].get_file()
        said = "".join(map(say, WORDS))
    face = getattr(path, "face_index", 0)
    glyphs = FT2Font(path, face_index=face).get_charmap() if face else FT2Font(path).get_charmap()
    assert [c for c in said + names if ord(c) not in glyphs] == []


def test_without_its_font_figures_are_in_english_and_say_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    chinese_font.cache_clear()
    monkeypatch.setitem(sys.modules, "noto_cjk_sans_otc", None)  # as if it were not installed
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # as matplotlib's for a glyph that is not there
        written(tmp_path, formats=["png"])
    chinese_font.cache_clear()
    (said,) = [record.getMessage() for record in caplog.records if record.name.endswith("figures")]
    assert "in English; pip install noto-cjk-sans-otc" in said


def test_the_same_predictions_give_the_same_bytes(tmp_path: Path) -> None:
    """In another process with another hash seed as well."""
    first = written(
        tmp_path / "a", spans={key: SPANS[key] for key in reversed(SPANS)}, formats=FORMATS
    )
    program = (
        "import importlib.util, pathlib, sys\n"
        f"spec = importlib.util.spec_from_file_location('again', {__file__!r})\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(module)\n"
        "module.written(pathlib.Path(sys.argv[1]), formats=module.FORMATS)\n"
        "assert 'matplotlib.pyplot' not in sys.modules\n"
    )
    subprocess.run(
        [sys.executable, "-c", program, str(tmp_path / "b")],
        check=True,
        env={"PATH": "", "HOME": str(tmp_path), "PYTHONHASHSEED": "7", "OMP_NUM_THREADS": "1"},
        cwd=Path(__file__).parents[2],
    )
    for name in (*DRAWN, *CSVS):
        again = tmp_path / "b" / "analysis" / name
        assert (first / name).read_bytes() == again.read_bytes(), name


def test_figures_leave_no_trace_in_matplotlib(tmp_path: Path) -> None:
    import matplotlib

    before = dict(matplotlib.rcParams)
    fonts = len(font_manager.fontManager.ttflist)
    written(tmp_path, formats=FORMATS)
    assert dict(matplotlib.rcParams) == before
    assert len(font_manager.fontManager.ttflist) == fonts


def test_nothing_predicted_and_a_type_beside_the_scheme(tmp_path: Path) -> None:
    silent = written(tmp_path / "a", spans=dict.fromkeys(SPANS, ()))
    assert {row["kind"] for row in rows(silent, "confusion")} == {"missed"}
    odd = tuple(Span(number, number + 1, type_) for number, type_ in enumerate("ZXWY"))
    folder = written(tmp_path / "b", spans={**SPANS, "FT/2": odd})
    types = [row["type"] for row in rows(folder, "errors_by_type") if row["genre"] == "SM"]
    assert types == ["DISE", "BODY", "W", "X", "Y", "Z", "all"]


def test_a_scheme_of_many_types(tmp_path: Path) -> None:
    many = {f"TYPE{n}": {"traditional": f"類型{n}"} for n in range(40)}
    folder = written(tmp_path, labels=label_scheme("many", many), formats=["png"])
    with Image.open(folder / "confusion.png") as image:
        assert max(image.size) < 2000


def test_a_corpus_whose_only_genre_is_all_counts_once(tmp_path: Path) -> None:
    alone = tuple(replace(each, genre="all") for each in SENTENCES)
    folder = written(tmp_path / "alone", alone)
    assert {row["genre"] for row in rows(folder, "confusion")} == {"all"}
    together = written(tmp_path / "together")
    for name in ("confusion", "errors_by_type", "f1_by_entity_length", "f1_by_seen"):
        assert rows(folder, name) == [r for r in rows(together, name) if r["genre"] == "all"]


def test_without_test_sentences_nothing_is_written(tmp_path: Path) -> None:
    written(tmp_path, (), {})
    assert list(tmp_path.iterdir()) == []
