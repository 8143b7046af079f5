"""`regime=few_shot`: the backbone as it is, shown sentences of the training split first."""

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from chmed_ner.backbone.regime import Backbone, Note, ZeroShot
from chmed_ner.entities import SEPARATOR
from chmed_ner.errors import InputError
from chmed_ner.knobs import Count, Range, at_least, one_of
from chmed_ner.prompt import (
    ORDERS,
    CharacterNgrams,
    Demonstrator,
    Drawn,
    Pool,
    Ranking,
    pool_of,
    read_pool,
    write_pool,
)

if TYPE_CHECKING:
    from chmed_ner.data import Corpus
    from chmed_ner.prompt import TaskPrompt

SELECTIONS = ("random", "knn")
FOLDER, CANDIDATES = "few_shot", "candidates.jsonl"
"""The folder of a run that holds what it may show and what it has shown; what it may show."""


def _are_lengths(ngrams: Any) -> bool:
    return (
        isinstance(ngrams, Sequence)
        and len(ngrams) == 2
        and all(type(each) is int for each in ngrams)
        and 1 <= ngrams[0] <= ngrams[1] <= 8
    )


NGRAMS = Range(
    "the shortest and the longest n-gram (1 to 8 characters), as in 'regime.ngrams=[1,2]'",
    _are_lengths,
)

log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class FewShot(ZeroShot):
    """`k` demonstrations a question, drawn by chance (`random`) or the most similar ones (`knn`) in
    character n-grams from `ngrams[0]` to `ngrams[1]`."""

    name = "few_shot"
    shows_training = True

    k: Count
    selection: Annotated[str, one_of(*SELECTIONS)]
    per_sentence: bool
    order: Annotated[str, one_of(*ORDERS)]
    token_budget: Annotated[int | None, at_least(0)]
    ngrams: Annotated[Sequence[int], NGRAMS]

    def __post_init__(self) -> None:
        """InputError for `per_sentence` without a random selection."""
        if self.per_sentence and self.selection != "random":
            raise InputError(
                "regime.per_sentence=true: draws anew for each sentence, which needs "
                f"regime.selection=random; selection={self.selection} chooses for each anyway"
            )

    @property
    def draws(self) -> bool:
        return self.selection == "random"

    def tuned_on(self, training_files: Mapping[str, str]) -> dict[str, str]:
        """The dataset's training files: the answers may come from them."""
        return dict(training_files)

    def stops(self, stop: Sequence[str]) -> Sequence[str]:
        """Also where another question would begin."""
        return tuple(dict.fromkeys([*stop, SEPARATOR]))

    def demonstrated(
        self,
        prompt: "TaskPrompt",
        backbone: Backbone,
        directory: Path,
        *,
        seed: int,
        corpus: "Corpus | None" = None,
        note: Note | None = None,
    ) -> "TaskPrompt":
        """`prompt` with demonstrations from the training split, or from what a run kept of it."""
        folder = directory / FOLDER
        pool = (
            read_pool(folder / CANDIDATES) if corpus is None else _kept_pool(folder, corpus, note)
        )
        demonstrator = Demonstrator(
            pool=pool,
            prompt=prompt,
            ranking=lambda: self._ranking(pool, seed),
            k=self.k,
            order=self.order,
            token_budget=self.token_budget,
            count=len if self.token_budget is None else backbone.counter(),
            remembered=folder / "shown.jsonl",
            keep=corpus is not None,
            note=note,
        )
        return replace(prompt, demonstrate=demonstrator.shown)

    def _ranking(self, pool: Pool, seed: int) -> Ranking:
        if self.draws:
            return Drawn(len(pool.sentences), seed, per_sentence=self.per_sentence)
        texts = [sentence.model_text for sentence in pool.sentences]
        shortest, longest = self.ngrams
        return CharacterNgrams(texts, (shortest, longest))


def _kept_pool(folder: Path, corpus: "Corpus", note: Note | None) -> Pool:
    """The sentences of the training split that may be shown, written to `folder`."""
    pool, counts = pool_of(corpus.train, corpus.test)
    if not pool.sentences:
        raise InputError(
            f"regime=few_shot: none of the {len(corpus.train)} training sentences of dataset "
            f"'{corpus.name}' may be shown (there are none, or all are test sentences)"
        )
    log.info(
        "few-shot: %d candidates; left out: %d test sentences, %d duplicates", *counts.values()
    )
    if note is not None:
        note(counts)
    if not (folder / CANDIDATES).is_file():
        write_pool(folder / CANDIDATES, pool)
    return pool
