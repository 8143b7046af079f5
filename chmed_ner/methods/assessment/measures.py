"""What an assessment measures, and its table; README.md says what each figure means."""

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import fmean

from chmed_ner.entities import Completion, Sentence, Span
from chmed_ner.files import markdown_table, replacing
from chmed_ner.methods.fitted import placed_f1
from chmed_ner.prompt import Answer, TaskPrompt
from chmed_ner.score import span_scores

INCOMPLETE = ("unparsable_line", "unknown_label", "repaired", "truncated", "empty", "refused")
"""The problems with which a completion was not wholly read, or not with legal labels."""


@dataclass(frozen=True)
class Reading:
    """What one variant's completions say of the test sentences, by sentence id."""

    kind: str
    name: str
    prompt: TaskPrompt
    completions: Mapping[str, Completion]
    answers: Mapping[str, Answer]
    spans: Mapping[str, Sequence[Span]]


def measures(sentences: Sequence[Sentence], readings: Sequence[Reading]) -> dict[str, float]:
    """`assess/<measure>` of a prompt; the first reading is its own, the others its variants'.

    Shares and F1 in percent, tokens a sentence; all but stability are means over the readings.
    """
    each = [single(sentences, reading) for reading in readings]
    found = {f"assess/{name}": fmean(one[name] for one in each) for name in each[0]}
    f1 = [one["accuracy"] for one in each]
    found["assess/accuracy_spread"] = max(f1) - min(f1)
    found |= _stability(sentences, readings, "")
    for kind in dict.fromkeys(reading.kind for reading in readings[1:]):
        same = [readings[0], *(each for each in readings[1:] if each.kind == kind)]
        found |= _stability(sentences, same, f"_{kind}")
    return found


def single(sentences: Sequence[Sentence], reading: Reading) -> dict[str, float]:
    """The figures of one reading, by measure."""
    genres = dict.fromkeys(sentence.genre for sentence in sentences)
    f1 = [placed_f1((s for s in sentences if s.genre == genre), reading.spans) for genre in genres]
    answers = [reading.answers[sentence.id] for sentence in sentences]
    completions = [reading.completions[sentence.id] for sentence in sentences]
    complete = [not any(answer.problems.get(r) for r in INCOMPLETE) for answer in answers]
    mentions = sum(len(answer.mentions) for answer in answers)
    foreign = sum(answer.problems.get("not_in_sentence", 0) for answer in answers)
    return {
        "accuracy": fmean(f1),
        "generality": min(f1),
        "completeness": 100 * fmean(complete),
        **_labelled(sentences, answers),
        "irrelevance": _irrelevance(sentences, reading),
        "foreign_mentions": 100 * foreign / mentions if mentions else 0.0,
        "prompt_tokens": fmean(each.prompt_tokens for each in completions),
        "completion_tokens": fmean(each.completion_tokens for each in completions),
        "tokens": fmean(each.prompt_tokens + each.completion_tokens for each in completions),
    }


def _stability(
    sentences: Sequence[Sentence], readings: Sequence[Reading], ending: str
) -> dict[str, float]:
    """Means over all pairs of readings: F1 of one's spans against the other's, and the share of
    sentences with the same spans. Two readings without any span agree."""
    f1, exact = [], []
    for one, other in combinations(readings, 2):
        pairs = [(one.spans[s.id], other.spans[s.id]) for s in sentences]
        scores = span_scores(pairs)
        f1.append(scores.f1 if scores.gold + scores.predicted else 100.0)
        exact.append(100 * fmean(sorted(a) == sorted(b) for a, b in pairs))
    return {
        f"assess/stability{ending}": fmean(f1),
        f"assess/stability{ending}_exact": fmean(exact),
    }


def _labelled(sentences: Sequence[Sentence], answers: Sequence[Answer]) -> dict[str, float]:
    """The share of the sentences' characters that were read out; nothing for formats that list."""
    placed = [answer.placed_characters for answer in answers]
    if all(each is None for each in placed):
        return {}
    characters = sum(len(sentence.text) for sentence in sentences)
    return {"labelled_characters": 100 * sum(each or 0 for each in placed) / characters}


def _irrelevance(sentences: Sequence[Sentence], reading: Reading) -> float:
    """The share of the output's characters, white space apart, that belong to no parsed item."""
    written = relevant = 0
    for sentence in sentences:
        text = "".join(reading.completions[sentence.id].text.split())
        written += len(text)
        relevant += relevant_characters(
            text, reading.answers[sentence.id], sentence, reading.prompt
        )
    return 100 * (written - relevant) / written if written else 0.0


def relevant_characters(text: str, answer: Answer, sentence: Sentence, prompt: TaskPrompt) -> int:
    """How many characters of `text` (without white space) say what was parsed.

    The longest common subsequence with the answer as its format writes it; of a copy that was read
    in part, that part at most.
    """
    from rapidfuzz.distance import LCSseq

    model_text = sentence.model_text
    said = prompt.answer.write(answer, model_text, prompt.labels, prompt.script)
    said = "".join(said.split())
    most = len(said)
    if answer.placed_characters is not None and answer.placed_characters < len(model_text):
        most = most * answer.placed_characters // len(model_text)
    if not answer.mentions and answer.placed_characters == 0:
        return len(text) if not answer.problems else 0  # the word for none
    return min(most, LCSseq.similarity(text, said))


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
    known = list(MEANINGS)  # the stability of one kind of variants follows that of all
    found = {name.removeprefix("assess/"): value for name, value in metrics.items()}
    ordered = sorted(
        found, key=lambda each: (known.index(each if each in known else "stability_exact"), each)
    )
    return [
        (
            each,
            f"{found[each]:.2f}",
            f"{RATINGS[each]:.2f}" if each in RATINGS else "",
            _meaning(each),
        )
        for each in ordered
    ]


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


def _meaning(measure: str) -> str:
    if measure in MEANINGS:
        return MEANINGS[measure]
    exact = measure.endswith("_exact")
    kind = measure.removesuffix("_exact").removeprefix("stability_").replace("_", " ")
    return f"the same over {kind}" + (": sentences, %" if exact else "")
