"""The training sentences that may be shown, none of them a test text, and which come first."""

import json
import random
import unicodedata
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

from chmed_ner.entities import Sentence, Span
from chmed_ner.errors import InputError
from chmed_ner.files import write_json_lines

Record = TypeVar("Record")


def text_key(text: str) -> str:
    """What two texts share that are one sentence: letters and digits, width and case made equal.

    A text without any letter or digit is its own key.
    """
    kept = [c for c in unicodedata.normalize("NFKC", text).casefold() if c.isalnum()]
    return "".join(kept) or text


@dataclass(frozen=True)
class Pool:
    """Candidates, no two of which are one sentence; their texts are what the model reads."""

    sentences: tuple[Sentence, ...]

    @cached_property
    def keys(self) -> tuple[str, ...]:
        """The key of each candidate's text."""
        return tuple(text_key(sentence.model_text) for sentence in self.sentences)

    @cached_property
    def places(self) -> dict[str, int]:
        """The place of each candidate, by its id."""
        return {sentence.id: at for at, sentence in enumerate(self.sentences)}


def pool_of(train: Sequence[Sentence], test: Sequence[Sentence]) -> tuple[Pool, dict[str, int]]:
    """The pool of a training split, and the counts of its candidates and of what was left out.

    Left out are test sentences (`demonstration_leaks`: those that differ from one in width, case,
    marks or script) and sentences that were met before (`demonstration_duplicates`).
    """
    tested = {text_key(sentence.model_text) for sentence in test}
    kept: dict[str, Sentence] = {}
    leaks = 0
    for sentence in train:
        key = text_key(sentence.model_text)
        if key in tested:
            leaks += 1
        else:
            kept.setdefault(key, sentence)
    counts = {
        "demonstration_candidates": len(kept),
        "demonstration_leaks": leaks,
        "demonstration_duplicates": len(train) - leaks - len(kept),
    }
    return Pool(tuple(kept.values())), counts


def write_pool(path: Path, pool: Pool) -> None:
    """Write the candidates, one JSON object a line: id, text (as the model reads it), entities."""
    write_json_lines(
        path,
        (
            {
                "id": sentence.id,
                "text": sentence.model_text,
                "entities": [[span.start, span.end, span.type] for span in sentence.entities],
            }
            for sentence in pool.sentences
        ),
    )


def read_pool(path: Path) -> Pool:
    """What `write_pool` wrote; InputError naming file and line for anything else."""
    return Pool(tuple(read_records(path, _candidate, "a candidate")))


def read_records(path: Path, read: Callable[[Any], Record], what: str) -> list[Record]:
    """What `read` makes of each line's JSON; InputError naming file and line that is not `what`."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")[:-1]
    except OSError as error:
        raise InputError(
            f"{path}: cannot be read ({error.strerror}); it holds what a few-shot run shows its "
            "model: restore it, or start a new run"
        ) from None
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            records.append(read(json.loads(line)))
        except (ValueError, TypeError, KeyError, IndexError, RecursionError) as error:
            raise InputError(
                f"{path}, line {number}: not {what} ({error}); restore the file, or start a new run"
            ) from None
    return records


def _candidate(record: Any) -> Sentence:
    text = record["text"]
    entities = tuple(Span(start, end, type_) for start, end, type_ in record["entities"])
    if not isinstance(text, str) or any(not 0 <= e.start < e.end <= len(text) for e in entities):
        raise ValueError("an entity lies outside the text")
    return Sentence(record["id"], "train", "", text, None, entities, text)


CHUNK = 256
"""Queries whose similarities are computed at once: CHUNK rows of a float32 each candidate."""


@dataclass(frozen=True)
class Drawn:
    """`n` of `size` candidates drawn with `seed`: the same for all texts, or anew for each."""

    size: int
    seed: int
    per_sentence: bool

    def first(self, texts: Sequence[str], n: int) -> list[list[int]]:
        """In the order drawn; a smaller `n` draws the beginning of a larger one's."""
        if not self.per_sentence:
            return [self._draw(f"demonstrations {self.seed}", n)] * len(texts)
        return [self._draw(f"demonstrations {self.seed} {text}", n) for text in texts]

    def _draw(self, seed: str, n: int) -> list[int]:
        chance = random.Random(seed.encode("utf-8", "surrogatepass"))
        left: dict[int, int] = {}
        drawn = []
        for at in range(min(n, self.size)):  # Fisher-Yates, as far as it is needed
            chosen = chance.randrange(at, self.size)
            drawn.append(left.get(chosen, chosen))
            left[chosen] = left.get(at, at)
        return drawn


class CharacterNgrams:
    """Cosine similarity of TF-IDF weights of character n-grams, from `ngrams[0]` to `ngrams[1]`.

    The weights are scikit-learn's (smoothed idf, rows of length 1), in float32. InputError when no
    text is long enough for an n-gram.
    """

    def __init__(self, texts: Sequence[str], ngrams: tuple[int, int]) -> None:
        import numpy as np
        from sklearn.feature_extraction.text import TfidfVectorizer

        self._weights = TfidfVectorizer(
            analyzer="char", ngram_range=ngrams, dtype=np.float32, sublinear_tf=True
        )
        try:
            rows = self._weights.fit_transform(texts)
        except ValueError:
            raise InputError(
                f"regime.ngrams={list(ngrams)}: no training sentence holds so many characters; "
                "give shorter ones"
            ) from None
        self._postings = rows.T.tocsr()  # n-gram -> its candidates: a query reads only its own

    def first(self, texts: Sequence[str], n: int) -> list[list[int]]:
        """The most similar candidates, equal ones in the pool's order."""
        ranked: list[list[int]] = []
        for start in range(0, len(texts), CHUNK):
            queries = self._weights.transform(texts[start : start + CHUNK])
            ranked += [_top(row, n) for row in (queries @ self._postings).toarray()]
        return ranked


Ranking = Drawn | CharacterNgrams
"""`first(texts, n)` gives the places of the first `n` candidates for each text, best first (all, if
there are fewer); the other texts do not matter."""


def _top(scores: Any, n: int) -> list[int]:
    """The places of the `n` largest scores, largest first, equal ones in order."""
    import numpy as np

    places = np.arange(len(scores))
    if n < len(scores):
        least = np.partition(scores, len(scores) - n)[len(scores) - n]
        places = np.flatnonzero(scores >= least)
    order = np.argsort(-scores[places], kind="stable")[:n]
    found: list[int] = places[order].tolist()
    return found
