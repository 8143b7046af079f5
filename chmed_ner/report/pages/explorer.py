"""The sentences of a page: filters in HTML, and JSON; `explorer.js` draws what is looked at."""

import html
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from heapq import heapify, heappop, heappush
from itertools import accumulate
from pathlib import Path
from typing import Any

from chmed_ner.entities import Completion, Sentence, Span, order
from chmed_ner.errors import InputError
from chmed_ner.files import replacing
from chmed_ner.report.pages.document import (
    EntityMarks,
    closing,
    is_named,
    opening,
    page_file,
    plain,
)
from chmed_ner.report.pages.shown import ShownEntity, ShownSentence
from chmed_ner.report.words import chinese, say

OUTLINED, FIRST_KIND = 1, 2
"""The mark of an entity in error: outlined; from `FIRST_KIND` on a kind is named after its type.
"""

_STOPS = {"end": "ended", "length": "longest length reached", "refused": "refused"}
_LEVELS = [
    ("0 50", "below 50%"),
    ("50 80", "50–80%"),
    ("80 95", "80–95%"),
    ("95 101", "95% and more"),
]
_ORDERS = [("least", "least sure first"), ("most", "most sure first")]
_SCRIPT = "The sentences are shown by JavaScript in this page; please allow it."
_SCRIPTED = {
    "rest": "show {n} characters more ({left} are left)",
    "completion": "{name} ({stop}, {n} tokens)",
    "shown": "{n} of {all} sentences",
}
"""What explorer.js says."""
_EXPANDED = '<label><input type="checkbox" id="expanded" autocomplete="off">{}</label>\n'


@dataclass(frozen=True)
class Explorer:
    """Sentences to look through.

    `lines` are the headings of each sentence's lines. `kinds` are what an entity can be, each with
    whether it is one to look for; a sentence with such an entity is called `any_`, else `none`.
    `sure` names the entities' confidence.
    """

    sentences: Sequence[ShownSentence]
    marks: EntityMarks
    lines: Sequence[str]
    kinds: Mapping[str, bool]
    any_: str
    none: str
    seen: bool = False
    sure: str = ""
    heading: str = "Test sentences"

    def write(self, path: Path, title: str, above: str, outlined: str) -> None:
        """Write a page of these sentences, `above` before them, atomically.

        InputError for an entity that leaves its sentence.
        """
        script = page_file("explorer.js") if self.sentences else ""
        with replacing(path) as file:
            file.write(opening(title, script, skip=("list", say("Go to the sentences"))) + above)
            file.write(f'<h2 id="list">{say(self.heading)} ({len(self.sentences):,})</h2>\n')
            if self.sentences:
                file.write(self.marks.legend(outlined) + self._frame())
                file.write(closing(self._data(), script))
            else:
                file.write(f"<p>{say('There are none.')}</p>\n{closing()}")

    @cached_property
    def _genres(self) -> Mapping[str, int]:
        """The number of each genre, in the order in which they are met."""
        genres = dict.fromkeys(each.sentence.genre for each in self.sentences)
        return {genre: number for number, genre in enumerate(genres)}

    @cached_property
    def _types(self) -> Mapping[str, int]:
        """The number of each type: those of the scheme, then others that occur, by their tag."""
        scheme = self.marks.classes
        lines = (line for each in self.sentences for line in each.lines)
        met = {span.type for line in lines for span, _ in line}
        return {tag: n for n, tag in enumerate([*scheme, *sorted(met - set(scheme))])}

    def _frame(self) -> str:
        """The filters and the list, empty; they stay hidden without scripts."""
        kinds = [("any", self.any_), ("none", self.none)]
        kinds += [(str(number), name) for number, name in enumerate(self.kinds)]
        names = {tag: self.marks.name(tag) for tag in self._types}
        types = [
            (str(n), tag if names[tag] == tag else f"{tag} {names[tag]}")
            for tag, n in self._types.items()
        ]
        seen = [("1", say("seen in training")), ("0", say("not seen in training"))]
        filters, more = say("filter the sentences"), say("Show more sentences")
        sure = any(e.confidence is not None for each in self.sentences for e in each.entities)
        return (
            f'<div class="filters" id="filters" role="search" aria-label="{filters}" hidden>\n'
            + _select("genre", say("genre"), [(str(n), name) for name, n in self._genres.items()])
            + _select("type", say("type"), types)
            + _select("kind", say("result"), kinds)
            + (_select("seen", say("string"), seen) if self.seen else "")
            + (_select("sure", self.sure, _said(_LEVELS)) if sure else "")
            + (
                _select("order", say("order"), _said(_ORDERS), say("as in the corpus"))
                if sure
                else ""
            )
            + _search(completions=any(each.completions for each in self.sentences))
            + "</div>\n"
            f'<ol class="sentences" id="sentences" lang="{chinese()}"></ol>\n'
            f'<p id="nothing" hidden>{say("No sentence fits.")}</p>\n'
            f'<button type="button" id="more" class="more" hidden>{more}</button>\n'
            f"<noscript><p>{say(_SCRIPT)}</p></noscript>\n"
        )

    def _data(self) -> Iterator[str]:
        """The JSON, in pieces, as it may be in a script element."""
        head = {
            "genres": list(self._genres),
            "types": [[self.marks.style(tag), self.marks.name(tag)] for tag in self._types],
            "lines": list(self.lines),
            "kinds": [[name, int(flagged)] for name, flagged in self.kinds.items()],
            "words": {name: say(text) for name, text in _SCRIPTED.items()},
        }
        yield _dumped(head)[:-1] + ',"rows":['
        types = self._types
        for number, each in enumerate(self.sentences):
            record = [
                each.sentence.id,
                self._genres[each.sentence.genre],
                each.sentence.text,
                [_spans(each.sentence, line, types) for line in each.lines],
                [_entity(entity, types) for entity in each.entities],
                [_completion(name, completion) for name, completion in each.completions],
                each.notes,
            ]
            yield (",\n" if number else "\n") + _dumped(record)
        yield "\n]}"


def _said(options: Sequence[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(value, say(text)) for value, text in options]


def _select(id_: str, name: str, options: Sequence[tuple[str, str]], first: str = "") -> str:
    listed = "".join(
        f'<option value="{value}">{html.escape(plain(text))}</option>' for value, text in options
    )
    return (
        f'<label>{name} <select id="{id_}" autocomplete="off">'
        f'<option value="">{first or say("all")}</option>{listed}</select></label>\n'
    )


def _search(*, completions: bool) -> str:
    """The last filters; what is for completions only where there are some."""
    searched = say("sentence, id or output") if completions else say("sentence or id")
    opened = f"　<kbd>o</kbd> {say('output of the model')}" if completions else ""
    return (
        f'<label>{say("search")} <input type="search" id="search" autocomplete="off" '
        f'spellcheck="false" placeholder="{searched}"></label>\n'
        f"{_EXPANDED.format(say('show outputs')) if completions else ''}"
        f'<button type="button" id="clear">{say("clear the filters")}</button>\n'
        '<output id="shown" for="genre type kind search"></output>\n'
        f'<p class="keys"><kbd>j</kbd> <kbd>k</kbd> {say("next, previous sentence")}{opened}　'
        f"<kbd>/</kbd> {say('search')}　<kbd>x</kbd> {say('clear the filters')}</p>\n"
    )


def _spans(
    sentence: Sentence, line: Sequence[tuple[Span, int]], types: Mapping[str, int]
) -> list[list[float]]:
    """[start, end, type, mark] in UTF-16 units, by which the script cuts, in text order; with the
    confidence in percent, where there is one.

    One that crosses another comes in two pieces, so that each lies inside all that it overlaps.
    """
    text = sentence.text
    units = list(accumulate((1 + (character > "\uffff") for character in text), initial=0))
    found: list[list[float]] = []
    ends: list[int] = []  # of the entities that are open, the outermost first
    left = [(*order(span), mark, _percent(span.confidence)) for span, mark in line]
    heapify(left)
    while left:
        start, minus_end, type_, mark, sure = heappop(left)
        end = -minus_end
        if not 0 <= start < end <= len(text):
            raise InputError(
                f"sentence {sentence.id!r}: {Span(start, end, type_)} does not lie in the "
                f"{len(text)} characters of the sentence; restore its entities first"
            )
        while ends and ends[-1] <= start:
            ends.pop()
        if ends and end > ends[-1]:
            heappush(left, (ends[-1], -end, type_, mark, sure))
            end = ends[-1]
        ends.append(end)
        found.append([units[start], units[end], types[type_], mark, *sure])
    return found


def _entity(entity: ShownEntity, types: Mapping[str, int]) -> list[float]:
    first, last = types[entity.types[0]], types[entity.types[-1]]
    seen = -1 if entity.seen is None else int(entity.seen)
    return [entity.kind, first, last, seen, *_percent(entity.confidence)]


def _percent(confidence: float | None) -> list[float]:
    return [] if confidence is None else [round(100 * confidence, 1)]


def _completion(name: str, completion: Completion) -> list[Any]:
    stop = say(_STOPS[completion.stop]) if completion.stop in _STOPS else completion.stop
    return [name, stop, completion.completion_tokens, completion.text]


def _dumped(value: Any) -> str:
    r"""JSON for a script element: `<`, `>`, `&` and what acts or cannot be seen as `\uXXXX`."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    for character in "<>&":
        text = text.replace(character, _escaped(character))
    if text.isprintable():
        return text
    return "".join(_escaped(each) if is_named(each) else each for each in text)


def _escaped(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
