"""The assessment as a table, the paper's ratings beside what was measured."""

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path

from chmed_ner.files import markdown_table, replacing

RATINGS = {
    "accuracy": 5.0,
    "generality": 4.33,
    "stability": 4.0,
    "completeness": 4.33,
    "irrelevance": 1.33,
}
"""Wang & Yang 2023, Table 3: means of three raters, 1 to 5, for the extraction prompt; a low
irrelevance is good."""

MEANINGS = {
    "accuracy": "F1, macro over genres, mean of the variants",
    "accuracy_spread": "best variant's F1 less the worst's",
    "generality": "F1 of the weakest genre",
    "stability": "F1 of one variant's spans against another's, mean of all pairs",
    "stability_exact": "sentences with the same spans, mean of all pairs, %",
    "completeness": "completions wholly parsed with legal labels, %",
    "labelled_characters": "characters of the sentence that were read out, %",
    "irrelevance": "characters of the output that belong to no parsed item, %",
    "foreign_mentions": "mentions that are not in the sentence, %",
    "prompt_tokens": "tokens of the prompt, a sentence",
    "completion_tokens": "tokens of the completion, a sentence",
    "tokens": "tokens of both, a sentence",
}


def rows_of(metrics: Mapping[str, float]) -> list[tuple[str, str, str, str]]:
    """Measure, figure, the paper's rating, meaning: one row a measure that was taken."""
    rows = []
    for name, value in sorted(metrics.items(), key=lambda item: _place(item[0])):
        measure = name.removeprefix("assess/")
        rating = RATINGS.get(measure)
        shown = "" if rating is None else f"{rating:.2f}"
        rows.append((measure, f"{value:.2f}", shown, _meaning(measure)))
    return rows


def write_tables(
    directory: Path,
    metrics: Mapping[str, float],
    variants: Sequence[Mapping[str, str | float]],
) -> str:
    """Write `table.md`, `table.csv` and `variants.csv` (a row a variant); returns the first."""
    header = ("measure", "measured", "rating in the paper", "meaning")
    rows = rows_of(metrics)
    text = markdown_table(header, rows, "llll")
    with replacing(directory / "table.md") as file:
        file.write(text)
    with replacing(directory / "table.csv") as file:
        csv.writer(file, lineterminator="\n").writerows([header, *rows])
    with replacing(directory / "variants.csv") as file:
        writer = csv.DictWriter(file, list(variants[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(variants)
    return text


def _place(name: str) -> tuple[int, str]:
    measure = name.removeprefix("assess/")
    known = list(MEANINGS)
    base = next((each for each in known if measure == each), None)
    return (known.index(base), "") if base else (known.index("stability_exact"), measure)


def _meaning(measure: str) -> str:
    if measure in MEANINGS:
        return MEANINGS[measure]
    exact = measure.endswith("_exact")
    kind = measure.removesuffix("_exact").removeprefix("stability_").replace("_", " ")
    return f"the same over {kind}" + (": sentences, %" if exact else "")
