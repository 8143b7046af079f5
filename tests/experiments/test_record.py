"""The record: no page shows a score that it lacks, links lead somewhere, the figure is drawn."""

import re
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from experiments.learning_curve import main

ROOT = Path(__file__).parents[2]
EXPERIMENTS = ROOT / "experiments"
POINTS = EXPERIMENTS / "learning_curve.yaml"
PAGES = sorted(
    path
    for folder in (".", ".github", "conf", "chmed_ner", "experiments")
    for path in (ROOT / folder).glob("*.md" if folder == "." else "**/*.md")
)
LINK = re.compile(r"\]\(([^)\s]+)\)")


def text_of(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def record() -> str:
    """Every file of the record, measurements of speed and offsets and published scores too."""
    files = sorted((EXPERIMENTS / "record").glob("*.md"))
    others = [EXPERIMENTS / "benchmark" / "README.md", EXPERIMENTS / "published.yaml"]
    assert len(files) > 15
    return "\n".join(map(text_of, [*files, *others]))


def scores(text: str) -> set[str]:
    """Numbers that are written like an F1 in percent."""
    return set(re.findall(r"(?<![\d.,])\d{1,2}\.\d{2}(?![\d.])", text))


def slugs(path: Path) -> set[str]:
    """The anchors that GitHub gives a page's headings."""
    outside = re.sub(r"^```.*?^```", "", text_of(path), flags=re.MULTILINE | re.DOTALL)
    heads = re.findall(r"^#+ (.*)$", outside, re.MULTILINE)
    words = [re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", head).lower() for head in heads]
    return {re.sub(r"[^\w\- ]", "", head).strip().replace(" ", "-") for head in words}


def test_each_score_of_the_page_stands_in_the_record() -> None:
    page = scores(text_of(EXPERIMENTS / "README.md"))
    assert len(page) > 100
    assert not page - scores(record()) - {"2.15", "5.23"}  # versions


def test_each_score_of_the_readme_stands_in_the_record() -> None:
    found = {each for each in scores(text_of(ROOT / "README.md")) if float(each) >= 10}
    assert not found - scores(record())


def test_the_page_stays_a_page() -> None:
    assert len(text_of(EXPERIMENTS / "README.md").splitlines()) <= 240


def test_the_page_leads_to_each_file_of_the_record() -> None:
    linked = set(LINK.findall(text_of(EXPERIMENTS / "README.md")))
    names = {target.partition("#")[0] for target in linked}
    for path in (EXPERIMENTS / "record").glob("*.md"):
        assert f"record/{path.name}" in names, path.name


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    for target in LINK.findall(text_of(page)):
        if re.match(r"\w+:", target):
            continue
        name, _, anchor = target.partition("#")
        file = (page.parent / name).resolve() if name else page
        assert file.exists(), target
        assert not anchor or anchor in slugs(file), target


def test_each_point_of_the_figure_is_a_row_of_the_record() -> None:
    text = record()
    rows = [line for line in text.splitlines() if line.startswith("|")]
    points = [point for row in OmegaConf.load(POINTS).ours for point in row.points]
    assert len(points) > 8
    for sentences, f1, *ends in points:
        words = [f"{f1:.2f}", " to ".join(f"{end:.2f}" for end in ends)]
        assert any(all(word in row for word in words) for row in rows), words
        assert f"{sentences:,}" in text


def test_the_figure_is_drawn(tmp_path: Path) -> None:
    assert main(["--out", str(tmp_path / "curve.png")]) == 0
    assert (tmp_path / "curve.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            {"ours": [{"system": "CRF", "lists": "all", "points": [[250, 50.0]]}]},
            "lists: all; write",
        ),
        (
            {"published": {"NoSuch": {"name": "?", "sentences": 1}}},
            "published: NoSuch; published.yaml",
        ),
    ],
)
def test_unknown_words_are_refused(
    change: dict[str, object], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "points.yaml"
    OmegaConf.save(OmegaConf.create({**OmegaConf.load(POINTS), **change}), file)
    assert main(["--points", str(file), "--out", str(tmp_path / "curve.png")]) == 2
    assert f"{file}: {said}" in capsys.readouterr().out
    assert not (tmp_path / "curve.png").exists()
