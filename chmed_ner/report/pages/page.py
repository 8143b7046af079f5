"""`report.html` of a run: one file that needs no network, to be looked at by people."""

from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

from chmed_ner.entities import Completion, LabelScheme, Sentence, Span, pieces
from chmed_ner.report.pages.document import ERROR_NAMES, EntityMarks, kind_name
from chmed_ner.report.pages.explorer import FIRST_KIND, OUTLINED, Explorer
from chmed_ner.report.pages.metric_tables import full_list, headline, metric_tables
from chmed_ner.report.pages.shown import ShownEntity, ShownSentence, by_sentence, spans_of
from chmed_ner.report.words import say
from chmed_ner.score import ERROR_KINDS, Pairing, pairings

_NUMBERS = {kind: number for number, kind in enumerate(ERROR_KINDS)}


def write_page(
    path: Path,
    *,
    title: str,
    sentences: Sequence[Sentence],
    spans: Mapping[str, Sequence[Span]],
    completions: Sequence[Completion],
    metrics: Mapping[str, float],
    labels: LabelScheme,
    training_mentions: Collection[str] | None = None,
) -> None:
    """Write the page of one run to `path`, atomically; `spans` are the entities by sentence id.

    Without `training_mentions` seen and unseen strings are not told apart. InputError: a sentence
    has no entry in `spans`, or an entity leaves its sentence.
    """
    marks = EntityMarks(labels)
    explorer = Explorer(
        list(_shown(sentences, spans, completions, training_mentions)),
        marks,
        lines=(say("gold"), say("predicted")),
        kinds={say(kind_name(kind)): kind in ERROR_NAMES for kind in ERROR_KINDS},
        any_=say("any error"),
        none=say("no error in the sentence"),
        seen=training_mentions is not None,
        sure=say("confidence")
        if metrics.get("confidence/calibrated")
        else say("confidence (not calibrated)"),
    )
    tables = metric_tables(metrics, sentences, marks)
    above = f"<h2>{say('Test scores')}</h2>\n{headline(metrics)}"
    above += (f"<h2>{say('In detail')}</h2>\n{tables}" if tables else "") + full_list(metrics)
    explorer.write(path, title, above, say("differs from the other line"))


def _shown(
    sentences: Sequence[Sentence],
    spans: Mapping[str, Sequence[Span]],
    completions: Sequence[Completion],
    training_mentions: Collection[str] | None,
) -> Iterator[ShownSentence]:
    answers = by_sentence(say("output of the model"), completions)
    known = None if training_mentions is None else frozenset(training_mentions)
    for sentence in sentences:
        predicted = spans_of(spans, sentence)
        found = pairings(sentence.entities, predicted)
        gold_marks, predicted_marks = _marks(found)
        yield ShownSentence(
            sentence,
            (
                [(span, gold_marks.get(span, 0)) for span in sentence.entities],
                [(span, predicted_marks.get(span, 0)) for span in predicted],
            ),
            [_entity(sentence, pairing, known) for pairing in found],
            [each for _, piece in pieces(sentence, answers) for each in answers.get(piece.id, ())],
        )


def _entity(sentence: Sentence, pairing: Pairing, known: Collection[str] | None) -> ShownEntity:
    """A spurious entity is seen or unseen by its own string, any other by the gold one's."""
    ends = [span for span in (pairing.gold, pairing.predicted) if span is not None]
    seen = None if known is None else sentence.mention(ends[0]) in known
    sure = pairing.predicted.confidence if pairing.predicted else None
    return ShownEntity(_NUMBERS[pairing.kind], tuple(span.type for span in ends), seen, sure)


def _marks(found: Sequence[Pairing]) -> tuple[dict[Span, int], dict[Span, int]]:
    """The marks of the gold and of the predicted entities in error; of the gold ones only a missed
    one is named."""
    gold: dict[Span, int] = {}
    predicted: dict[Span, int] = {}
    for pairing in found:
        if pairing.kind == "correct":
            continue
        named = FIRST_KIND + _NUMBERS[pairing.kind]
        if pairing.gold:
            gold[pairing.gold] = named if pairing.kind == "missed" else OUTLINED
        if pairing.predicted:
            predicted[pairing.predicted] = named
    return gold, predicted
