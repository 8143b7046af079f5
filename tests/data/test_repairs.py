"""Repairs for training: which tags change, into what, counted by kind."""

import pytest
from hypothesis import given, strategies as st

from chmed_ner.data.repairs import KINDS, repair_counts, repaired
from chmed_ner.entities.bio import chunks
from chmed_ner.entities.types import Sentence

TAGS = st.lists(
    st.builds(
        "{}-{}".format, st.sampled_from(["B", "I", "i", "O", "E", "S"]), st.sampled_from("XY")
    )
    | st.just("O"),
    max_size=12,
)


def sentence(tags: list[str]) -> Sentence:
    return Sentence("1", "train", "FT", "痛" * len(tags), tuple(tags), chunks(tags))


@pytest.mark.parametrize(
    ("tags", "after", "kinds"),
    [
        ("B-X I-X O B-Y", "B-X I-X O B-Y", {}),
        ("I-X I-X O I-Y", "B-X I-X O B-Y", {"stray_inside": 2}),
        ("O-X I-X", "O B-X", {"malformed_prefix": 1, "stray_inside": 1}),
        ("B-X I-X I-Y I-Y", "B-X I-X B-Y I-Y", {"type_change": 1}),
        ("B-X i-X I-X", "B-X I-X I-X", {"malformed_prefix": 1}),
        ("O i-X i-Y", "O B-X B-Y", {"malformed_prefix": 2}),
        ("B-X O-X O", "B-X O O", {"malformed_prefix": 1}),
        ("S-X I-X", "B-X B-X", {"malformed_prefix": 1, "stray_inside": 1}),
    ],
)
def test_each_kind(tags: str, after: str, kinds: dict[str, int]) -> None:
    given_ = sentence(tags.split())
    assert repaired(given_).tags == tuple(after.split())
    counts = repair_counts([given_])
    assert counts.pop("repaired_tags") == sum(kinds.values())
    assert counts == {f"repaired_{kind}": kinds.get(kind, 0) for kind in KINDS}


@given(TAGS)
def test_a_repaired_sentence_has_the_same_entities_and_nothing_left_to_repair(
    tags: list[str],
) -> None:
    before = sentence(tags)
    after = repaired(before)
    assert (after.text, after.entities, after.id) == (before.text, before.entities, before.id)
    assert after.tags is not None
    assert chunks(after.tags) == before.entities
    assert repaired(after) is after
    counts = repair_counts([before, before])
    changed = sum(a != b for a, b in zip(tags, after.tags, strict=True))
    assert counts["repaired_tags"] == 2 * changed
    assert sum(counts[f"repaired_{kind}"] for kind in KINDS) == counts["repaired_tags"]


def test_a_sentence_without_tags_has_nothing_to_repair() -> None:
    plain = Sentence("1", "train", "FT", "胃痛")
    assert repaired(plain) is plain
    assert repair_counts([plain])["repaired_tags"] == 0
