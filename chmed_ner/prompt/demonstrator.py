"""Which demonstrations a sentence gets: ranked, never itself, within a budget of tokens."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from chmed_ner.entities import Demonstration
from chmed_ner.files import write_json_lines
from chmed_ner.prompt import TaskPrompt
from chmed_ner.prompt.candidates import Pool, Ranking, read_records, text_key

ORDERS = ("nearest_last", "nearest_first")
Note = Callable[[Mapping[str, int]], None]


@dataclass(frozen=True, slots=True)
class Shown:
    """The candidates shown to a sentence by id, nearest first, and how many were dropped."""

    ids: tuple[str, ...]
    dropped: int


@dataclass
class Demonstrator:
    """Chooses `k` demonstrations for each sentence, fewer where `token_budget` says so.

    `count` says how many tokens a text has. `ranking` is made when it is first needed: what the
    file `remembered` holds is not ranked again. With `keep`, choices are added to it.
    """

    pool: Pool
    prompt: TaskPrompt
    ranking: Callable[[], Ranking]
    k: int
    order: str
    token_budget: int | None
    count: Callable[[str], int]
    remembered: Path
    keep: bool
    note: Note | None

    def __post_init__(self) -> None:
        self._made: dict[int, tuple[Demonstration, int]] = {}

    def shown(self, model_texts: Sequence[str]) -> list[tuple[Demonstration, ...]]:
        """The demonstrations of each text, in the order in which the model reads them."""
        missing = [text for text in dict.fromkeys(model_texts) if text not in self._known]
        if missing:
            for text, places in zip(missing, self._ranking.first(missing, self.k + 1), strict=True):
                self._known[text] = self._chosen(text, places)
            if self.keep:
                records = (
                    {"text": text, "shown": list(each.ids), "dropped": each.dropped}
                    for text, each in self._known.items()
                )
                write_json_lines(self.remembered, records)
        if self.note is not None:
            dropped = sum(each.dropped for each in self._known.values())
            self.note({"dropped_demonstrations": dropped})
        return [self._in_order(self._known[text]) for text in model_texts]

    @cached_property
    def _ranking(self) -> Ranking:
        return self.ranking()

    @cached_property
    def _known(self) -> dict[str, Shown]:
        if not self.remembered.is_file():
            return {}
        return dict(read_records(self.remembered, self._remember, "a choice of demonstrations"))

    def _remember(self, record: Any) -> tuple[str, Shown]:
        """A text and what was chosen for it before; ValueError for a sentence that is unknown."""
        shown = Shown(tuple(record["shown"]), int(record["dropped"]))
        if unknown := [id_ for id_ in shown.ids if id_ not in self.pool.places]:
            raise ValueError(f"sentence {unknown[0]} is no candidate")
        return str(record["text"]), shown

    def _chosen(self, text: str, places: Sequence[int]) -> Shown:
        """The first `k` that are another sentence, as many as the budget holds."""
        own = text_key(text)
        others = [at for at in places if self.pool.keys[at] != own][: self.k]
        kept, tokens = [], 0
        for at in others:
            tokens += self._made_of(at)[1]
            if self.token_budget is not None and tokens > self.token_budget:
                break
            kept.append(at)
        ids = tuple(self.pool.sentences[at].id for at in kept)
        return Shown(ids, len(others) - len(kept))

    def _in_order(self, shown: Shown) -> tuple[Demonstration, ...]:
        made = [self._made_of(self.pool.places[id_])[0] for id_ in shown.ids]
        return tuple(reversed(made) if self.order == "nearest_last" else made)

    def _made_of(self, at: int) -> tuple[Demonstration, int]:
        """A candidate as it is shown, and its tokens (0 where no budget counts them)."""
        if at not in self._made:
            made = self.prompt.demonstration(self.pool.sentences[at])
            tokens = 0 if self.token_budget is None else self.count(made.text)
            self._made[at] = made, tokens
        return self._made[at]
