"""What CRFsuite has learnt, read from its model file: python-crfsuite scores single tags alone.

The format is that of `crf1d_model.c` and `cqdb.c` of CRFsuite 0.12, little-endian throughout.
"""

import struct
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from chmed_ner.errors import InputError
from chmed_ner.methods.chain import Chain, Scores

_HEADER = struct.Struct("<4sI4s9I")
_FEATURE = np.dtype([("kind", "<u4"), ("source", "<u4"), ("tag", "<u4"), ("weight", "<f8")])
_TRANSITION = 1  # the kind of a feature: 0 scores a tag by an attribute, 1 by the tag before it


@dataclass(frozen=True)
class CRFsuiteModel:
    """The chain of tags, and what attributes (features of a character) add to the score of tags.

    `numbers` counts the attributes; attribute a has the `tags` and `weights` from `starts[a]` up to
    `starts[a + 1]`.
    """

    chain: Chain
    numbers: dict[str, int]
    starts: NDArray[np.int64]
    tags: NDArray[np.int64]
    weights: Scores

    def emissions(self, rows: Iterable[Sequence[str]]) -> Scores:
        """The score of each tag (N, L) by the attributes of N characters, added up in their order
        as CRFsuite does, to the last bit."""
        number, counts, listed = self.numbers.get, [], array("q")
        for row in rows:
            listed.extend(map(number, row, repeat(-1)))
            counts.append(len(row))
        every = np.frombuffer(listed, np.int64)
        known = every >= 0
        owner, met = np.repeat(np.arange(len(counts)), counts)[known], every[known]
        width = len(self.chain.labels)
        sizes = self.starts[met + 1] - self.starts[met]
        first = np.cumsum(sizes) - sizes  # where the entries of each attribute begin
        entry = np.repeat(self.starts[met] - first, sizes) + np.arange(sizes.sum())
        cells = np.repeat(owner * width, sizes) + self.tags[entry]
        found: Any = np.bincount(cells, self.weights[entry], len(counts) * width)
        scores: Scores = found.reshape(len(counts), width)
        return scores


def read_model(path: Path) -> CRFsuiteModel:
    """The model of a CRFsuite file; InputError where the file is broken."""
    try:
        data = path.read_bytes()
        magic, size, _, _, _, _, _, features, tags, names, _, _ = _HEADER.unpack_from(data)
        if magic != b"lCRF" or size != len(data):
            raise ValueError("another file, or a part of one")
        labels, attributes = _strings(data, tags), _strings(data, names)
        (count,) = struct.unpack_from("<I", data, features + 8)
        found = np.frombuffer(data, _FEATURE, count, features + 12)
        between = found["kind"] == _TRANSITION
        steps, single = found[between], found[~between]
        pairs = np.zeros((len(labels), len(labels)))
        pairs[steps["source"], steps["tag"]] = steps["weight"]
        single = single[np.argsort(single["source"], kind="stable")]
        starts = np.searchsorted(single["source"], np.arange(len(attributes) + 1))
    except (OSError, ValueError, IndexError, struct.error) as error:
        raise InputError(f"{path}: not a CRFsuite model ({error})") from None
    none = np.zeros(len(labels))
    return CRFsuiteModel(
        Chain(labels, none, pairs, none),
        {name: at for at, name in enumerate(attributes)},
        starts,
        single["tag"].astype(np.int64),
        single["weight"].astype(np.float64),
    )


def _strings(data: bytes, start: int) -> list[str]:
    """The strings of the constant database at `start`, by their numbers."""
    count, table = struct.unpack_from("<II", data, start + 16)
    places = np.frombuffer(data, "<u4", count, start + table) + start
    sizes = [struct.unpack_from("<I", data, place + 4)[0] for place in places.tolist()]
    return [
        data[place + 8 : place + 7 + size].decode()  # the last byte is 0
        for place, size in zip(places.tolist(), sizes, strict=True)
    ]
