"""What no model can exceed: gold mentions put back into the sentence by a restoration policy."""

from collections.abc import Iterable, Mapping, Sequence

from chmed_ner.entities.restoration import restore
from chmed_ner.entities.types import Mention, Scores, Sentence
from chmed_ner.errors import InputError
from chmed_ner.score.spans import span_scores


def gold_mentions(sentence: Sentence) -> tuple[Mention, ...]:
    """The gold mentions as the model reads them (`model_text`), in text order, with repeats.

    Raises InputError where the text the model reads is not as long as the original.
    """
    text = sentence.model_text
    if len(text) != len(sentence.text):
        raise InputError(
            f"sentence {sentence.id}: the model's text has {len(text)} characters, the original "
            f"{len(sentence.text)}; run the script step first"
        )
    return tuple(Mention(text[span.start : span.end], span.type) for span in sentence.entities)


def ceiling_scores(policy: str, sentences: Iterable[Sentence]) -> Scores:
    """The policy's ceiling: gold mentions in text order with repeats, restored in the same text.

    It is a figure of corpus and policy alone, so it is taken in the original script. (In the
    simplified script some characters fall together, and it moves by up to 0.02 points.) KeyError
    for an unknown policy.
    """
    return span_scores(
        (
            sentence.entities,
            restore(
                policy,
                sentence.text,
                [Mention(sentence.mention(span), span.type) for span in sentence.entities],
            ),
        )
        for sentence in sentences
    )


def target_ceiling_scores(
    policy: str, sentences: Iterable[Sentence], listed: Mapping[str, Sequence[Mention]]
) -> Scores:
    """The ceiling of a prompt format: what it writes for gold, by sentence id, restored as a run
    restores a model's answer, in the text the model reads. KeyError for an unknown policy or id.
    """
    return span_scores(
        (sentence.entities, restore(policy, sentence.model_text, listed[sentence.id]))
        for sentence in sentences
    )
