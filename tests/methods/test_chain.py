"""The probability of an entity against every sequence of tags there is."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from chmed_ner.entities import Span, chunks
from chmed_ner.methods.chain import Chain, padded
from chmed_ner.methods.crf import legal

LABELS = ("I-X", "O", "B-X", "B-Y", "I-Y", "B-Z")  # training had no longer entity of type Z


def random_chain(draw: np.random.Generator) -> Chain:
    """A chain with random transitions, forbidden ones among them."""
    many = len(LABELS)
    return Chain(LABELS, *(2 * draw.normal(size=size) for size in ((many,), (many, many), (many,))))


def scores(chain: Chain, emissions: np.ndarray, *, all_tags: bool) -> dict[tuple[str, ...], float]:
    """What each sequence of tags weighs, added up in plain Python."""
    found = {}
    for path in itertools.product(range(len(LABELS)), repeat=len(emissions)):
        tags = tuple(LABELS[tag] for tag in path)
        if all_tags or legal(tags):
            total = chain.first[path[0]] + chain.last[path[-1]]
            total += sum(chain.pairs[pair] for pair in itertools.pairwise(path))
            found[tags] = math.exp(
                total + sum(row[tag] for row, tag in zip(emissions, path, strict=True))
            )
    return found


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_confidence_is_the_share_of_the_legal_sequences(seed: int, lengths: list[int]) -> None:
    draw = np.random.default_rng(seed)
    chain = random_chain(draw)
    rows = [3 * draw.normal(size=(length, len(LABELS))) for length in lengths]
    weights = [scores(chain, row, all_tags=False) for row in rows]
    spans = [sorted({s for tags in each for s in chunks(tags)}) for each in weights]
    for found, each in zip(
        chain.legal().confident([*spans], padded(rows), lengths), weights, strict=True
    ):
        assert found
        for span in found:
            holding = sum(weight for tags, weight in each.items() if span in chunks(tags))
            assert span.confidence == pytest.approx(holding / sum(each.values()), rel=1e-9)


@settings(max_examples=25)
@given(st.integers(0, 10**6), st.lists(st.integers(1, 4), min_size=1, max_size=3))
def test_best_path_and_messages_agree_with_enumeration(seed: int, lengths: list[int]) -> None:
    draw = np.random.default_rng(seed)
    chain = random_chain(draw)
    rows = [3 * draw.normal(size=(length, len(LABELS))) for length in lengths]
    best = chain.best(padded(rows), lengths)
    forward, backward, _ = chain.messages(padded(rows), lengths)
    for at, row in enumerate(rows):
        weights = scores(chain, row, all_tags=True)
        assert tuple(LABELS[tag] for tag in best[at]) == max(weights, key=weights.__getitem__)
        mass = sum(weights.values())
        for place, tag in itertools.product(range(len(row)), range(len(LABELS))):
            marginal = forward[place, tag, at] * backward[place, tag, at]
            share = sum(w for tags, w in weights.items() if tags[place] == LABELS[tag]) / mass
            assert marginal == pytest.approx(share)


def test_a_sentence_without_entities_needs_no_probability() -> None:
    chain = random_chain(np.random.default_rng(1)).legal()
    rows = [np.zeros((2, len(LABELS))), np.zeros((3, len(LABELS)))]
    found = chain.confident([(), (Span(0, 1, "Z"),)], padded(rows), [2, 3])
    assert found[0] == ()
    assert 0 < (found[1][0].confidence or 0) < 1
