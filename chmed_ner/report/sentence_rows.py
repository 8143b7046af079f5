"""Each test sentence as two lines, gold and predicted, with its errors and the raw completion."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from chmed_ner.errors import InputError
from chmed_ner.labels import LabelScheme
from chmed_ner.report.visible import visible
from chmed_ner.score.error_kinds import Pairing, pairings
from chmed_ner.types import Completion, Sentence, Span

ERROR_NAMES = {
    "boundary": "邊界",
    "type": "類別",
    "boundary_and_type": "邊界與類別",
    "missed": "漏標",
    "spurious": "多標",
}
"""What a page calls each kind of error of `chmed_ner.score.error_kinds`."""

_STOPS = {"end": "正常結束", "length": "達長度上限", "refused": "拒答"}


@dataclass(frozen=True, slots=True)
class EntityMarks:
    """How a page marks each entity type: CSS class and escaped name, by tag."""

    classes: Mapping[str, str]
    names: Mapping[str, str]

    def mark(self, text: str, type_: str, *, wrong: bool = False, error: str = "") -> str:
        """`text` marked as an entity of `type_`; a type outside the scheme is shown by its tag.

        `wrong` outlines it, `error` is a kind named behind the type.
        """
        style = self.classes.get(type_, "x") + (" e" if wrong else "")
        name = self.names.get(type_) or visible(type_)
        note = f"·{ERROR_NAMES[error]}" if error else ""
        return f'<mark class="{style}">{visible(text)}<small>{name}{note}</small></mark>'

    def legend(self) -> str:
        """The types of the scheme and how an error looks, as an HTML list."""
        entries = [
            f"<li>{self.mark(tag, tag)}</li>"  # the tag is what metrics and files call the type
            for tag in self.classes
        ]
        entries.append('<li><mark class="e">外框</mark> <small>與另一行不一致</small></li>')
        return f'<ul class="legend" aria-label="圖例">{"".join(entries)}</ul>\n'


def entity_marks(labels: LabelScheme) -> EntityMarks:
    """The marks of a label scheme, coloured in its order, named in traditional characters."""
    return EntityMarks(
        classes={tag: f"t{number}" for number, tag in enumerate(labels.tags)},
        names={label.tag: visible(label.traditional) for label in labels.labels},
    )


def sentence_rows(
    sentences: Sequence[Sentence],
    spans: Mapping[str, Sequence[Span]],
    completions: Sequence[Completion],
    genres: Sequence[str],
    marks: EntityMarks,
) -> Iterator[str]:
    """One HTML list item a sentence: `data-g` is its genre's index, `data-e` its errors' number.

    Raises InputError for a sentence without an entry in `spans`, and for an entity that does not
    lie in its sentence or overlaps another.
    """
    answers: dict[str, list[Completion]] = {}
    for completion in completions:
        answers.setdefault(completion.id, []).append(completion)
    number_of = {genre: number for number, genre in enumerate(genres)}
    for sentence in sentences:
        if sentence.id not in spans:
            raise InputError(
                f"spans, sentence {sentence.id!r}: missing; give each sentence its predicted "
                "entities, an empty list where there are none"
            )
        predicted = spans[sentence.id]
        found = pairings(sentence.entities, predicted)
        errors = [pairing for pairing in found if pairing.kind != "correct"]
        yield (
            f'<li data-g="{number_of[sentence.genre]}" data-e="{len(errors)}">\n'
            + _about(sentence, errors)
            + _line("標準", sentence, sentence.entities, _gold_errors(errors), marks)
            + _line("預測", sentence, predicted, _predicted_errors(errors), marks)
            + "".join(map(_completion, answers.get(sentence.id, ())))
            + "</li>\n"
        )


def _gold_errors(errors: Sequence[Pairing]) -> dict[Span, str]:
    """The gold entities in error; only a missed one is named here, the others one line below."""
    return {
        pairing.gold: "missed" if pairing.kind == "missed" else ""
        for pairing in errors
        if pairing.gold
    }


def _predicted_errors(errors: Sequence[Pairing]) -> dict[Span, str]:
    return {pairing.predicted: pairing.kind for pairing in errors if pairing.predicted}


def _about(sentence: Sentence, errors: Sequence[Pairing]) -> str:
    counts = [
        f"{name} {count}"
        for kind, name in ERROR_NAMES.items()
        if (count := sum(pairing.kind == kind for pairing in errors))
    ]
    wrong = f'<small class="wrong">{"　".join(counts)}</small>' if counts else ""
    return (
        f'<p class="about"><small>{visible(sentence.genre)}</small>'
        f'<code class="quiet">{visible(sentence.id)}</code>{wrong}</p>\n'
    )


def _line(
    name: str,
    sentence: Sentence,
    entities: Sequence[Span],
    errors: Mapping[Span, str],
    marks: EntityMarks,
) -> str:
    text = sentence.text
    parts: list[str] = []
    cursor = 0
    for span in sorted(entities):
        if not cursor <= span.start < span.end <= len(text):
            raise InputError(
                f"sentence {sentence.id!r}: {span} overlaps another entity or does not lie in the "
                f"{len(text)} characters of the sentence; restore flat spans first"
            )
        parts.append(visible(text[cursor : span.start]))
        parts.append(
            marks.mark(
                text[span.start : span.end],
                span.type,
                wrong=span in errors,
                error=errors.get(span, ""),
            )
        )
        cursor = span.end
    parts.append(visible(text[cursor:]))
    return f'<p class="answer"><small>{name}</small><span>{"".join(parts)}</span></p>\n'


def _completion(completion: Completion) -> str:
    stop = _STOPS.get(completion.stop) or visible(completion.stop)
    return (
        f"<details><summary>模型輸出（{stop}，{completion.completion_tokens} 詞元）</summary>"
        f"<samp>{visible(completion.text, keep=chr(10))}</samp></details>\n"
    )
