"""`regime=few_shot`: the backbone as it is, shown sentences of the training split first."""

import io
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from chmed_ner.backbone.protocol import Backbone
from chmed_ner.backbone.regime import Note, ZeroShot, noted
from chmed_ner.backbone.task import Task
from chmed_ner.entities.types import SEPARATOR
from chmed_ner.errors import InputError
from chmed_ner.files import write_bytes
from chmed_ner.model.asking import Generator
from chmed_ner.prompt.demonstrations.demonstrator import ORDERS, Demonstrator
from chmed_ner.prompt.demonstrations.pool import Pool, pool_of, read_pool, write_pool
from chmed_ner.prompt.demonstrations.ranking import CharacterNgrams, Drawn, Embedded, Ranking

if TYPE_CHECKING:
    from chmed_ner.data.corpus import Corpus
    from chmed_ner.prompt import TaskPrompt

SELECTIONS = ("random", "knn")
FOLDER = "few_shot"
"""The folder of a run that holds what it may show, what it has shown, and embeddings."""

log = logging.getLogger(__name__)


class FewShot(ZeroShot):
    """`k` demonstrations a question, drawn by chance (`random`) or the most similar ones (`knn`).

    Similar in character n-grams from `ngrams[0]` to `ngrams[1]`, or by the embeddings of an
    `encoder` (a local folder or hub id). Nothing is trained, but the training files are read.
    """

    name = "few_shot"
    shows_training = True

    def __init__(
        self,
        k: int = 4,
        selection: str = "knn",
        per_sentence: bool = False,
        order: str = "nearest_last",
        token_budget: int | None = 2048,
        ngrams: Any = (1, 2),
        encoder: str | None = None,
    ) -> None:
        if k < 1:
            raise InputError(f"regime.k={k}: give 1 or more, or use regime=zero_shot for none")
        for key, value, choices in (
            ("selection", selection, SELECTIONS),
            ("order", order, ORDERS),
        ):
            if value not in choices:
                raise InputError(f"regime.{key}={value}: choose one of {', '.join(choices)}")
        if token_budget is not None and token_budget < 0:
            raise InputError(f"regime.token_budget={token_budget}: give 0 or more, or null")
        if per_sentence and selection != "random":
            raise InputError(
                "regime.per_sentence=true: draws anew for each sentence, which needs "
                f"regime.selection=random; selection={selection} chooses for each anyway"
            )
        if encoder is not None and selection != "knn":
            raise InputError(
                f"regime.encoder={encoder}: it finds similar sentences, which needs "
                f"regime.selection=knn; leave it out with selection={selection}"
            )
        self.k = k
        self.selection = selection
        self.per_sentence = per_sentence
        self.order = order
        self.token_budget = token_budget
        self.ngrams = _checked_ngrams(ngrams)
        self.encoder = encoder

    @property
    def draws(self) -> bool:
        """Do the demonstrations depend on the seed?"""
        return self.selection == "random"

    def check(self, backbone: Backbone, test_files: Mapping[str, str]) -> None:  # noqa: ARG002
        """InputError when there is no checkpoint at `encoder`."""
        if self.encoder is not None:
            self._sentence_encoder().check()

    def tuned_on(self, training_files: Mapping[str, str]) -> dict[str, str]:
        """The dataset's training files: the answers may come from them."""
        return dict(training_files)

    def inputs(self) -> dict[str, str]:
        """The checksum of the encoder, if there is one."""
        return {} if self.encoder is None else {"encoder": self._sentence_encoder().checksum()}

    def prepare(self, backbone: Backbone, task: Task) -> Generator:
        """The backbone, loaded; an answer is over where another question would begin."""
        return noted(backbone.generator(stop=_with_separator(task.stop), seed=task.seed), task)

    def reopen(
        self,
        backbone: Backbone,
        directory: Path,  # noqa: ARG002
        stop: Sequence[str],
    ) -> Generator:
        """The generator of a finished run in `directory`."""
        return backbone.generator(stop=_with_separator(stop), seed=0)

    def demonstrated(
        self,
        prompt: "TaskPrompt",
        backbone: Backbone,
        corpus: "Corpus",
        directory: Path,
        *,
        seed: int,
        note: Note,
    ) -> "TaskPrompt":
        """`prompt` with demonstrations from the training split, which is kept in `directory`."""
        pool, counts = pool_of(corpus.train, corpus.test)
        if not pool.sentences:
            raise InputError(
                f"regime=few_shot: none of the {len(corpus.train)} training sentences of dataset "
                f"'{corpus.name}' may be shown (there are none, or all are test sentences)"
            )
        log.info(
            "few-shot: %d candidates; left out: %d test sentences, %d duplicates",
            *counts.values(),
        )
        note(counts)
        path = directory / FOLDER / "candidates.jsonl"
        if not path.is_file():
            write_pool(path, pool)
        return self._with(prompt, pool, backbone.counter, directory, seed, note)

    def reopened(
        self, prompt: "TaskPrompt", backbone: Backbone, directory: Path, *, seed: int
    ) -> "TaskPrompt":
        """`prompt` with demonstrations from what the run in `directory` kept."""
        pool = read_pool(directory / FOLDER / "candidates.jsonl")
        return self._with(prompt, pool, backbone.counter, directory, seed, None)

    def _with(
        self,
        prompt: "TaskPrompt",
        pool: Pool,
        counter: Callable[[], Callable[[str], int]],
        directory: Path,
        seed: int,
        note: Note | None,
    ) -> "TaskPrompt":
        demonstrator = Demonstrator(
            pool=pool,
            prompt=prompt,
            ranking=lambda: self._ranking(pool, directory / FOLDER, seed),
            k=self.k,
            order=self.order,
            token_budget=self.token_budget,
            count=len if self.token_budget is None else counter(),
            remembered=directory / FOLDER / "shown.jsonl",
            keep=note is not None,
            note=note,
        )
        return replace(prompt, demonstrate=demonstrator.shown)

    def _ranking(self, pool: Pool, folder: Path, seed: int) -> Ranking:
        if self.draws:
            return Drawn(len(pool.sentences), seed, per_sentence=self.per_sentence)
        texts = [sentence.model_text for sentence in pool.sentences]
        if self.encoder is None:
            return CharacterNgrams(texts, self.ngrams)
        encoder = self._sentence_encoder()
        return Embedded(_embeddings(folder / "embeddings.npy", texts, encoder.embed), encoder.embed)

    def _sentence_encoder(self) -> Any:
        from chmed_ner.backbone.sentence_encoder import SentenceEncoder

        assert self.encoder is not None
        return SentenceEncoder(self.encoder, "regime.encoder")


def _embeddings(path: Path, texts: Sequence[str], embed: Callable[[Sequence[str]], Any]) -> Any:
    """The candidates' embeddings (N, D), from `path` where they were kept there."""
    import numpy as np

    if path.is_file():
        try:
            rows = np.load(path, allow_pickle=False)
        except (OSError, ValueError) as error:
            raise InputError(f"{path}: cannot be read ({error}); remove it") from None
        if len(rows) == len(texts):
            return rows
    log.info("few-shot: embedding %d candidates", len(texts))
    rows = embed(texts)
    content = io.BytesIO()
    np.save(content, rows, allow_pickle=False)
    write_bytes(path, content.getvalue())
    return rows


def _with_separator(stop: Sequence[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys([*stop, SEPARATOR]))


def _checked_ngrams(ngrams: Any) -> tuple[int, int]:
    if (
        isinstance(ngrams, Sequence)
        and len(ngrams) == 2
        and all(type(each) is int for each in ngrams)
        and 1 <= ngrams[0] <= ngrams[1] <= 8
    ):
        return int(ngrams[0]), int(ngrams[1])
    raise InputError(
        f"regime.ngrams={ngrams}: give the shortest and the longest n-gram (1 to 8 characters), as "
        "in 'regime.ngrams=[1,2]'"
    )
