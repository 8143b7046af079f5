"""A page of annotations that are probably wrong, the surest first, and why."""

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from chmed_ner.entities import LabelScheme, Span, in_text_order
from chmed_ner.report.pages.document import ERROR_NAMES, EntityMarks, html_table
from chmed_ner.report.pages.explorer import FIRST_KIND, OUTLINED, Explorer
from chmed_ner.report.pages.shown import Note, ShownEntity, ShownSentence
from chmed_ner.report.words import say
from chmed_ner.score import PLAIN, SUGGESTION_KINDS, Suggestion, Usage

NUMBERS = {kind: number for number, kind in enumerate(SUGGESTION_KINDS)}
_ABOUT = (
    "{sentences} sentences, {entities} annotations; each sentence was read by a model that had not "
    "learnt from it. The higher the score (0 to 1), the more likely is an annotation wrong."
)
BANDS = (0.7, 0.5, 0.3, 0.0)
"""The lowest score of each column of the table."""


def write_audit_page(
    path: Path,
    *,
    title: str,
    suggestions: Sequence[Suggestion],
    labels: LabelScheme,
    looked_at: tuple[int, int],
) -> None:
    """Write the page to `path`, atomically, a sentence where its surest suggestion stands;
    `looked_at` are the sentences and the annotated entities of the corpus."""
    marks = EntityMarks(labels)
    by_sentence: defaultdict[str, list[Suggestion]] = defaultdict(list)
    for each in suggestions:
        by_sentence[each.sentence.id].append(each)
    explorer = Explorer(
        [_shown(found, marks, nested=labels.nested) for found in by_sentence.values()],
        marks,
        lines=(say("annotated"), say("suggested")),
        kinds={say(ERROR_NAMES[kind]): True for kind in SUGGESTION_KINDS},
        any_=say("any suggestion"),
        none=say("no suggestion"),
        heading="Suspicious sentences",
    )
    sentences, entities = looked_at
    above = (
        f"<p>{say(_ABOUT, sentences=f'{sentences:,}', entities=f'{entities:,}')}</p>\n"
        f"{_table(suggestions)}"
    )
    explorer.write(path, title, above, say("a change is suggested"))


def _table(suggestions: Sequence[Suggestion]) -> str:
    counts = [[0] * len(BANDS) for _ in SUGGESTION_KINDS]
    for each in suggestions:
        band = next(at for at, least in enumerate(BANDS) if each.score >= least)
        counts[NUMBERS[each.kind]][band] += 1
    columns = [say("{least} and more", least=f"{least:.1f}") for least in BANDS[:-1]] + [
        say("lower")
    ]
    rows = [
        (say(ERROR_NAMES[kind]), [f"{count:,}" for count in (*counts[at], sum(counts[at]))])
        for kind, at in NUMBERS.items()
    ]
    return html_table(say("Suggestions by score"), ["", *columns, say("all")], rows)


def _shown(found: Sequence[Suggestion], marks: EntityMarks, *, nested: bool) -> ShownSentence:
    sentence = found[0].sentence
    annotated: dict[Span, int] = {}
    suggested: dict[Span, int] = {}
    for each in found:
        named = FIRST_KIND + NUMBERS[each.kind]
        if each.annotated is not None:
            annotated[each.annotated] = named if each.suggested is None else OUTLINED
        if each.suggested is not None:
            suggested[each.suggested] = named
    for span in sentence.entities:  # a suggestion takes the place of all that it overlaps
        if not nested and any(
            each.start < span.end and span.start < each.end for each in suggested
        ):
            annotated.setdefault(span, OUTLINED)
    kept = {span: 0 for span in sentence.entities if span not in annotated}
    corrected = {**kept, **suggested}
    return ShownSentence(
        sentence,
        (
            [(span, annotated.get(span, 0)) for span in sentence.entities],
            [(span, corrected[span]) for span in in_text_order(corrected)],
        ),
        [
            ShownEntity(
                NUMBERS[each.kind],
                tuple(s.type for s in (each.annotated, each.suggested) if s is not None),
            )
            for each in found
        ],
        notes=[_note(each, marks) for each in found],
    )


def _note(suggestion: Suggestion, marks: EntityMarks) -> Note:
    sentence, before, after = suggestion.sentence, suggestion.annotated, suggestion.suggested
    change = " → ".join(
        say("no entity") if span is None else f"「{sentence.mention(span)}」{marks.name(span.type)}"
        for span in (before, after)
    )
    sure = [
        f"{say(name)} {span.confidence:.2f}"
        for name, span in (
            ("the model's confidence in the annotation", before),
            ("the model's confidence in the suggestion", after),
        )
        if span is not None and span.confidence is not None
    ]
    words = [f"{say(ERROR_NAMES[suggestion.kind])} {suggestion.score:.2f}", change, *sure]
    usages = {usage.text: usage for usage in suggestion.usages if usage is not None}
    reasons = [line for usage in usages.values() for line in _reasons(usage, marks)]
    return "　".join(words), reasons


def _reasons(usage: Usage, marks: EntityMarks) -> list[str]:
    inside = say("; inside longer entities: {n}", n=f"{usage.inside:,}") if usage.inside else ""
    if not usage.occurrences:
        return [say("「{text}」 stands nowhere else by itself", text=usage.text) + inside]

    def name(type_: str) -> str:
        return say("no entity") if type_ == PLAIN else marks.name(type_)

    counts = ", ".join(f"{name(type_)} {count:,}" for type_, count in usage.types.items())
    times = say("「{text}」 elsewhere: {n}", text=usage.text, n=f"{usage.occurrences:,}")
    return [f"{times} ({counts}){inside}"] + [
        f"{name(each.type)}: {each.before}【{each.text}】{each.after}　{each.id}"
        for each in usage.examples
    ]
