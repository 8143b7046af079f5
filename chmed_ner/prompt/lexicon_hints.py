"""A lexicon of the training split as a source of hints, kept in the run: `hints/lexicon.json`.

The hints of a training sentence are those of all other texts (leave one out): it would find every
mention of its own in the lexicon, and a model would learn to copy.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from chmed_ner.entities import (
    LabelScheme,
    Mention,
    MentionCounts,
    Sentence,
    StringIndex,
    count_mentions,
    mention_strings,
)
from chmed_ner.errors import InputError
from chmed_ner.files import read_json, write_json
from chmed_ner.prompt import TaskPrompt

FOLDER = "hints"
HINTS_FILE = f"{FOLDER}/lexicon.json"


@dataclass(eq=False)
class LexiconHints:
    """The longest matches, left to right, of the strings that reach `threshold`.

    `counts` are of distinct texts, `counted` maps each of them to its sentence where they are
    known. Of equally frequent types of a string the first in `types` is listed.
    """

    counts: MentionCounts
    counted: Mapping[str, Sentence]
    threshold: float
    types: Sequence[str]

    def __post_init__(self) -> None:
        self._index = StringIndex(self.counts.entities)

    def hints(self, model_text: str) -> tuple[Mention, ...]:
        """The hints for a text that was not counted."""
        return self._listed(model_text, self._counts_in(model_text))

    def hints_without(self, sentence: Sentence) -> tuple[Mention, ...]:
        """The hints for a text that was counted, by the counts of all others."""
        text = sentence.model_text
        own = count_mentions([self.counted.get(text, sentence)], self._index)
        return self._listed(text, self._counts_in(text).without(own))

    def _counts_in(self, text: str) -> MentionCounts:
        """The counts of the strings that `text` holds."""
        strings = sorted(set(self._index.everywhere(text)))
        return MentionCounts(
            {string: self.counts.entities[string] for string in strings},
            Counter({string: self.counts.occurrences[string] for string in strings}),
        )

    def _listed(self, text: str, counts: MentionCounts) -> tuple[Mention, ...]:
        found = counts.lexicon(self.types).longest_matches(text, self.threshold)
        listed = (Mention(text[each.start : each.end], each.entry.type) for each in found)
        return tuple(dict.fromkeys(listed))


def add_hints(
    prompt: TaskPrompt,
    train: Sequence[Sentence],
    directory: Path | None = None,
    inherited: Path | None = None,
) -> TaskPrompt:
    """`prompt` with hints where it asks for any, from the training split or an `inherited` lexicon.

    Their lexicon is kept in the run `directory`; one that is there is read. InputError: unreadable.
    """
    if prompt.hints is None:
        return prompt
    # Each text with the first sentence that has it: a duplicate would give the other away.
    counted = {sentence.model_text: sentence for sentence in reversed(train)}
    path = None if directory is None else directory / HINTS_FILE
    kept = path is not None and path.is_file()
    source = path if kept else inherited
    if source is None:
        strings = StringIndex(mention_strings(counted.values()))
        counts = count_mentions(counted.values(), strings)
    elif source.is_file():
        counts = _read(source, prompt.labels)
    else:
        raise InputError(
            f"{source}: is not there, so that run was tuned without hints; leave "
            "hints@prompt.hints out, or take one that was tuned with them"
        )
    if path is not None and not kept:
        write_json(path, _as_json(counts))
    return _with(prompt, counts, counted)


def reopen_hints(prompt: TaskPrompt, directory: Path) -> TaskPrompt:
    """`prompt` with the hints of the finished run in `directory`, if it has any."""
    if prompt.hints is None:
        return prompt
    return _with(prompt, _read(directory / HINTS_FILE, prompt.labels), {})


def _with(prompt: TaskPrompt, counts: MentionCounts, counted: Mapping[str, Sentence]) -> TaskPrompt:
    assert prompt.hints is not None
    threshold, types = prompt.hints.threshold, prompt.labels.tags
    return replace(prompt, hinter=LexiconHints(counts, counted, threshold, types))


def _as_json(counts: MentionCounts) -> dict[str, list[Any]]:
    """`{string: [occurrences, {type: entities}]}`, in alphabetical order."""
    return {
        string: [counts.occurrences[string], dict(sorted(types.items()))]
        for string, types in sorted(counts.entities.items())
    }


def _read(path: Path, labels: LabelScheme) -> MentionCounts:
    """What was written, of the types in `labels`; InputError for anything else."""
    content = read_json(path)
    try:
        entities = {
            string: Counter({str(type_): int(n) for type_, n in types.items()})
            for string, (_, types) in content.items()
        }
        occurrences = Counter({string: int(n) for string, (n, _) in content.items()})
        if any(not 0 < entities[s].total() <= occurrences[s] for s in entities):
            raise ValueError("a string has more entities than occurrences, or none")
        if unknown := {type_ for types in entities.values() for type_ in types} - {*labels.tags}:
            raise ValueError(f"{min(unknown)} is no type of the label scheme '{labels.name}'")
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise InputError(
            f"{path}: not a lexicon of hints ({error}); restore the file, or start a new run"
        ) from None
    return MentionCounts(entities, occurrences)
