"""Lines of an answer that list mentions and their categories, in the shapes that models write.

`高血压-疾病` with any dash, colon or arrow; `疾病：高血压、糖尿病`; `高血压（疾病）`; several on
one line; a heading with its mentions below; rows of a table. Of two readings the one whose words
the sentence holds is taken, the mention first where both do; what keeps two readings is counted.
"""

import re

from chmed_ner.prompt.formats.folding import bare, without_bullet
from chmed_ner.prompt.formats.lists import BRACKETS, MENTION_KEYS, TYPE_KEYS, Found, Page, key_of
from chmed_ner.prompt.formats.nothing import means_none, says_none
from chmed_ner.prompt.formats.parts import (
    DASHES,
    ENDS,
    FIELD,
    SEPARATORS,
    Part,
    exact_mention,
    read_part,
    readings,
)

_PARTS = re.compile(r"((?:\([^()]*\)|（[^（）]*）|(?<=\d),(?=\d)|[^；;，、,\t])+)([；;，、,\t]*)")
_ENCLOSED = re.compile(r"([\[(（【{])([^\[\](){}（）【】]*)[\])）】}]")
_EMPHASIS = re.compile(r"\*\*|__|`|^[#>]+")
_HEADS = re.compile(r"[:：】\]#]|\*\*")
_RULE = re.compile(r"[\s|｜:：\-–—=+]+")
_FENCE = re.compile(r"```\w*")


def lines_of(text: str) -> list[str]:
    """The lines of `text` that are not blank, without the marks of a code fence."""
    lines = [line for part in re.split(r"[\r\n]", text) if (line := part.strip())]
    return [line for line in lines if not _FENCE.fullmatch(line)] or lines


_State = tuple[str | None, str | None]


class LineReader:
    """Reads an answer's lines one after the other: a heading's category holds for those below."""

    def __init__(self, page: Page) -> None:
        self._page = page
        self._heading: str | None = None
        self._words: str | None = None  # of a record whose category comes on a line below
        self._known: dict[tuple[str, *_State], tuple[list[Found], *_State]] = {}

    def read(self, line: str) -> list[Found]:
        """What a line names; nothing for a heading, and for one that says that there is nothing."""
        key = line, self._heading, self._words  # a model that loops writes the same for ever
        if key not in self._known:
            self._known[key] = self._read(line), self._heading, self._words
        found, self._heading, self._words = self._known[key]
        return found

    def _read(self, line: str) -> list[Found]:
        page = self._page
        if (exact := exact_mention(line, page)) is not None:
            return [exact]
        if means_none(bare(line.rstrip(ENDS))):
            return ["none_word"] if self._heading else []
        shown = without_bullet(line)
        plain = shown if "**" in page.sentence.text else _EMPHASIS.sub("", shown).strip()
        plain = _ENCLOSED.sub(r"\2", plain) if _ENCLOSED.fullmatch(plain) else plain
        if (field := self._field(plain)) is not None:
            return field
        if _HEADS.search(line) and (tag := self._tag_of_heading(without_bullet(plain))):
            self._heading = tag
            return []
        if plain != line and (exact := exact_mention(plain, page)) is not None:
            return [exact]
        found = self._row(plain)
        if found is None:
            found = self._listed(plain, marked=shown != line)
        if found is not None:
            return found
        if says_none(plain):
            return []
        return [_reason(line, page)]

    def _field(self, line: str) -> list[Found] | None:
        """A line of a record: `实体：高血压`, and below it `类别：疾病`; None for another line."""
        match = FIELD.fullmatch(line)
        if not match:
            return None
        key, value = key_of(match[1]), match[2].strip(ENDS)
        if key in MENTION_KEYS and self._page.holds(value):
            self._words = value
            return []
        words, tag = self._words, self._page.noted_tag(bare(value))[0]
        if key not in TYPE_KEYS or words is None or tag is None:
            return None
        self._words = None
        return [self._page.mention(words, tag)]

    def _tag_of_heading(self, line: str) -> str | None:
        """The category that a line gives and nothing else."""
        tag, noted = self._page.noted_tag(line.strip(ENDS + ":：【】[]（）()"))
        return None if noted else tag

    def _row(self, line: str) -> list[Found] | None:
        """The mentions in a row of a table; None for a line that is none."""
        cells = [cell for part in re.split(r"[|｜\t]", line) if (cell := part.strip())]
        if len(cells) < 2:
            return None
        if _RULE.fullmatch(line) or any(_is_key(cell) for cell in cells):
            return []
        return self._cells(cells)

    def _cells(self, cells: list[str]) -> list[Found] | None:
        """The mentions that stand beside the one category among `cells`."""
        tagged = [at for at, cell in enumerate(cells) if self._page.tag(cell)]
        others = [at for at, cell in enumerate(cells) if at not in tagged]
        if len(tagged) > 1 and self._page.holds(cells[0]):
            tagged, others = tagged[1:], [0]
        if len(tagged) != 1 or not others:
            return None
        tag = self._page.tag(cells[tagged[0]])
        nearest = sorted(others, key=lambda at: (at > tagged[0], abs(at - tagged[0])))
        held = [at for at in nearest if self._held(cells[at])]
        if not held and any(cells[at].isdigit() for at in nearest):
            nearest = [at for at in nearest if not cells[at].isdigit()]
        assert tag is not None
        return self.mentions(cells[(held or nearest)[0]], tag) if held or nearest else None

    def _held(self, words: str) -> bool:
        return any(self._page.holds(part) for part in [words, *_split(words)])

    def mentions(self, words: str, tag: str) -> list[Found]:
        """The mentions of type `tag` in a list of them, such as `高血压、糖尿病`."""
        found: list[Found] = []
        for part in _split(words):
            if not part.strip(DASHES + ENDS + "/"):
                found.append("none_word")
                continue
            found += self._noted_mention(part, tag)
        return found

    def _noted_mention(self, part: str, tag: str) -> list[Found]:
        """A mention, without the note that may follow it."""
        page = self._page
        if not page.holds(part) and page.holds(part.strip(BRACKETS)):
            part = part.strip(BRACKETS)
        if not page.holds(part):
            note = re.match(rf"(.+?)\s*[（(\[【{re.escape(DASHES)}]", part)
            if note and page.holds(note[1]):
                return [page.mention(note[1], tag), "unparsable_line"]
        return [page.mention(part, tag)]

    def _listed(self, line: str, *, marked: bool) -> list[Found] | None:
        """The mentions in a line that is parted by commas and the like; None where it has none."""
        divided = self._divided(line)
        parts = [read_part(part, self._page) for part, _ in divided]
        if len(parts) == 2 and {bool(part.words) for part in parts} == {False, True}:
            words, named = sorted(parts, key=lambda part: not part.words)
            if named.tag and words.tag is None and self._page.holds(words.words):
                return [self._page.mention(words.words, named.tag)]
        found: list[Found] = []
        category: str | None = None
        waiting = 0
        listed: list[
            str
        ] = []  # words before a `、`: their category comes with the last of the list
        for before, part, (_, mark) in zip([None, *parts], parts, divided, strict=False):
            if part.tag and part.first:
                category = part.tag
                found += self.mentions(part.words, part.tag) if part.words else []
            elif part.tag and part.words:
                category = None
                for each in [*listed, part.words]:
                    found += self._noted_mention(each, part.tag)
                listed.clear()
                waiting += part.noted
            elif part.tag:
                if before and before.tag and before.words and not before.first and found:
                    found[-1] = "none_word" if found[-1] == "none_word" else "unknown_label"
                else:
                    waiting += 1
            elif category:
                found += self.mentions(part.words, category)
            elif mark == "、" and self._page.holds(part.words):
                listed.append(part.words)
            else:
                waiting += 1
        waiting += len(listed)
        if category and not found:
            self._heading = category
            return []
        if any(each != "unparsable_line" for each in found):
            return [*found, *["unparsable_line"] * waiting]
        return self._below(parts, marked) if self._heading else None

    def _below(self, parts: list[Part], marked: bool) -> list[Found] | None:
        """The mentions in a line below a heading; any words where the line is `marked` as one of
        a list, else those that the sentence holds."""
        assert self._heading is not None
        found: list[Found] = []
        for part in parts:
            read = self._noted_mention(part.words, self._heading) if part.words else []
            if marked or (len(read) > 1 or self._page.holds(part.words)):
                found += read
            if len(read) > 1:  # what follows a note is the note's
                break
        return found or None

    def _divided(self, line: str) -> list[tuple[str, str]]:
        """The parts of a line, each with the mark behind it."""
        parts = _marked_parts(line)
        words = line.split()
        linked = len(words) == 2 or all(SEPARATORS.search(word, 1) for word in words)
        if len(parts) > 1 or len(words) < 2 or not linked:
            return parts
        whole = read_part(line, self._page)
        held = whole.tag and self._page.holds(whole.words)
        return parts if held else [(word, " ") for word in words]


def _split(line: str) -> list[str]:
    """The parts of a line between commas, semicolons and tabs, brackets kept together."""
    return [part for part, _ in _marked_parts(line)]


def _marked_parts(line: str) -> list[tuple[str, str]]:
    return [(part.strip(), mark) for part, mark in _PARTS.findall(line) if part.strip()]


def _is_key(cell: str) -> bool:
    return key_of(cell) in MENTION_KEYS | TYPE_KEYS


def _reason(line: str, page: Page) -> Found:
    """A mention that the sentence does not hold, or why the line names none."""
    if pairs := readings(line, page):
        return page.mention(*pairs[0])
    inside = SEPARATORS.search(line, 1) and SEPARATORS.search(line.strip(DASHES + ENDS))
    return "unknown_label" if inside else "unparsable_line"
