"""A page of two runs on the same sentences: what one gets right and the other wrong."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from chmed_ner.entities import Completion, LabelScheme, Sentence, Span, pieces
from chmed_ner.report.pages.document import EntityMarks, html_table, visible
from chmed_ner.report.pages.explorer import FIRST_KIND, OUTLINED, Explorer
from chmed_ner.report.pages.shown import ShownEntity, ShownSentence, by_sentence, spans_of
from chmed_ner.report.words import say
from chmed_ner.score import Comparisons, Estimate

KINDS = {"both right": False, "only A right": True, "only B right": True, "both wrong": False}
"""What an entity can be, and whether it is one to look for."""
BOTH, ONLY_A, ONLY_B, NEITHER = range(4)
"""A gold entity is got right by being predicted exactly, a wrong one by not being predicted."""


@dataclass(frozen=True, slots=True)
class Side:
    """One run: its name, its directory, its entities by sentence id, its completions."""

    name: str
    place: str
    spans: Mapping[str, Sequence[Span]]
    completions: Sequence[Completion] = ()


def write_comparison_page(
    path: Path,
    *,
    first: Side,
    second: Side,
    sentences: Sequence[Sentence],
    figures: Comparisons,
    labels: LabelScheme,
) -> None:
    """Write the page of run A (`first`) and run B (`second`) to `path`, atomically.

    InputError as `chmed_ner.report.pages.page.write_page` does.
    """
    explorer = Explorer(
        list(_shown(sentences, first, second)),
        EntityMarks(labels),
        lines=(say("gold"), "A", "B"),
        kinds={say(name): flagged for name, flagged in KINDS.items()},
        any_=say("one right, the other wrong"),
        none=say("no difference in the sentence"),
    )
    runs = "".join(
        f"<p>{letter}: {visible(side.name)} <code>{visible(side.place)}</code></p>\n"
        for letter, side in (("A", first), ("B", second))
    )
    tables = f"<h2>{say('Comparison')}</h2>\n{_scores(figures)}{_counts(explorer.sentences)}\n"
    title = f"A: {first.name}　B: {second.name}"
    explorer.write(path, title, runs + tables, say("differs from gold, or only one is right"))


def _shown(sentences: Sequence[Sentence], first: Side, second: Side) -> Iterator[ShownSentence]:
    answers = (
        by_sentence(say("output of A"), first.completions),
        by_sentence(say("output of B"), second.completions),
    )
    for sentence in sentences:
        gold = sentence.entities
        a, b = spans_of(first.spans, sentence), spans_of(second.spans, sentence)
        kinds = _kinds(gold, a, b)
        named = {
            span: FIRST_KIND + kind for span, kind in kinds.items() if kind in (ONLY_A, ONLY_B)
        }
        yield ShownSentence(
            sentence,
            (
                [(span, named.get(span, 0)) for span in gold],
                *([(s, 0 if s in gold else OUTLINED) for s in side] for side in (a, b)),
            ),
            [ShownEntity(kind, (span.type,)) for span, kind in kinds.items()],
            [
                each
                for side in answers
                for _, piece in pieces(sentence, side)
                for each in side.get(piece.id, ())
            ],
        )


def _kinds(gold: Sequence[Span], a: Sequence[Span], b: Sequence[Span]) -> dict[Span, int]:
    """The kind of each gold entity and of each wrong one that a run predicts."""
    kinds = {(True, True): BOTH, (True, False): ONLY_A, (False, True): ONLY_B}
    return {
        span: kinds.get(((span in a) == (span in gold), (span in b) == (span in gold)), NEITHER)
        for span in dict.fromkeys((*gold, *a, *b))
    }


def _scores(found: Comparisons) -> str:
    rows = [
        (
            visible(name) if each is not found.macro else say("macro average"),
            [
                f"{each.sentences:,}",
                _estimate(each.first),
                _estimate(each.second),
                _estimate(each.difference, "+"),
                f"{each.p_value:.4f}",
            ],
        )
        for name, each in (("macro", found.macro), *found.genres.items())
    ]
    return html_table(
        say("F1 (%) and 95% intervals"), ["", say("sentences"), "A", "B", "B − A", "p"], rows
    )


def _estimate(estimate: Estimate, sign: str = "") -> str:
    f1, low, high = (f"{x:{sign}.2f}" for x in (estimate.f1, estimate.low, estimate.high))
    return f"{f1} <small>{low} – {high}</small>"


def _counts(sentences: Sequence[ShownSentence]) -> str:
    """How many gold entities, and how many wrong predictions, are of each kind."""
    gold, wrong = Counter[int](), Counter[int]()
    for each in sentences:
        lines = [[span for span, _ in line] for line in each.lines]
        for span, kind in _kinds(lines[0], lines[1], lines[2]).items():
            (gold if span in lines[0] else wrong)[kind] += 1
    listed = [
        (say(name), [f"{gold[number]:,}", f"{wrong[number]:,}" if number != BOTH else "–"])
        for number, name in enumerate(KINDS)
    ]
    return html_table(say("Entities"), ["", say("gold entities"), say("wrong predictions")], listed)
