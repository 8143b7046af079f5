"""Which candidates come first: drawn by chance, or those most like the sentence."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from chmed_ner.errors import InputError

CHUNK = 256
"""Queries whose similarities are computed at once: CHUNK rows of a float32 each candidate."""


class Drawn:
    """`n` of `size` candidates drawn with `seed`: the same for all texts, or anew for each."""

    def __init__(self, size: int, seed: int, *, per_sentence: bool) -> None:
        self.size = size
        self.seed = seed
        self.per_sentence = per_sentence

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

    The weights are sparse, in float32, and scikit-learn's (smoothed idf, rows of length 1). Raises
    InputError when no text is long enough for an n-gram.
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
            ranked += map(_top(n), (queries @ self._postings).toarray())
        return ranked


Ranking = Drawn | CharacterNgrams
"""An order of the candidates for each sentence: `first(texts, n)` gives the places of the first `n`
(all, if there are fewer), best first. What comes first for a text does not depend on the others."""


def _top(n: int) -> Callable[[Any], list[int]]:
    """The places of the `n` largest of a row, largest first, equal ones in order."""
    import numpy as np

    def top(scores: Any) -> list[int]:
        places = np.arange(len(scores))
        if n < len(scores):
            least = np.partition(scores, len(scores) - n)[len(scores) - n]
            places = np.flatnonzero(scores >= least)
        order = np.argsort(-scores[places], kind="stable")[:n]
        found: list[int] = places[order].tolist()
        return found

    return top
