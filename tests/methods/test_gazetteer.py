"""Word lists as evidence: in features, in the lexicon, in stacked votes, in a run's identity."""

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

from chmed_ner.cli import main
from chmed_ner.data import WordList
from chmed_ner.entities import Entry, Lexicon, Sentence, Span
from chmed_ner.errors import InputError
from chmed_ner.methods.ensemble.stacking import Known
from chmed_ner.methods.features import lexicon_of, match_features, out_of_fold_features
from chmed_ner.methods.listed import with_lists
from chmed_ner.run.config import compose, configure

NOTHING = Lexicon({})
strings = st.lists(st.text("甲乙丙", min_size=1, max_size=4), max_size=6)


def words(*listed: str, type_: str = "", taken_from: str | None = None) -> WordList:
    return WordList({each: Counter({type_: 1}) for each in listed}, taken_from)


def sentence(number: int, text: str, *spans: tuple[int, int, str]) -> Sentence:
    found = tuple(Span(*each) for each in spans)
    return Sentence(f"train/{number}", "train", "FT", text, None, found, text)


@given(st.text("甲乙丙丁", max_size=12), strings)
def test_the_places_of_characters_are_those_of_the_longest_matches(
    text: str, listed: list[str]
) -> None:
    lexicon = words(*listed).lexicon
    places = ["O"] * len(text)
    for match in lexicon.longest_matches(text, 0):
        length = match.end - match.start
        places[match.start : match.end] = "S" if length == 1 else f"B{'I' * (length - 2)}E"
    rows = match_features(NOTHING, text, {"mine": lexicon})
    for place, row in zip(places, rows, strict=True):
        said = {each for each in row if each.startswith("mine word=")}
        assert {each.split("=")[1][0] for each in said} == ({place} - {"O"})


def test_typed_and_untyped_lists_have_features_of_their_own() -> None:
    lists = {"a": words("头痛").lexicon, "b": words("头痛", type_="SYMP").lexicon}
    (_, row) = match_features(NOTHING, "头痛", lists)
    assert {"a word=E:", "b word=E:SYMP", "b word-1=word=B:SYMP:4"} <= set(row)
    plain = match_features(NOTHING, "头痛")
    assert [[each for each in row if each[:2] not in ("a ", "b ")] for row in
            match_features(NOTHING, "头痛", lists)] == plain  # fmt: skip


@pytest.mark.parametrize(("taken_from", "seen"), [("train/", False), (None, True)])
def test_a_training_sentence_sees_no_list_that_was_taken_from_it(
    taken_from: str | None, seen: bool
) -> None:
    sentences = [sentence(number, f"{c}头痛", (1, 3, "SYMP")) for number, c in enumerate("甲乙")]
    lists = {"mine": words("头痛", taken_from=taken_from)}
    rows = out_of_fold_features(sentences, ("SYMP",), 2, 1, match_features, lists)
    assert [any(each.startswith("mine ") for each in row[1]) for row in rows] == [seen] * 2


TRAIN = [
    sentence(number, text, *spans)
    for number, (text, *spans) in enumerate(
        [
            ("得了胃炎和肺炎", (2, 4, "DISE"), (5, 7, "DISE")),
            ("關節炎會好", (0, 3, "DISE")),
            ("服用降壓藥和止痛藥", (2, 5, "DRUG"), (6, 9, "DRUG")),
            ("感冒藥在醫院", (0, 3, "DRUG")),
        ]
    )
]
TYPES = ("DISE", "DRUG")


def test_untyped_strings_get_the_type_that_they_look_like() -> None:
    known = lexicon_of(TRAIN, TYPES)
    found = with_lists(known, [words("肝炎", "安眠藥", "醫院", "胃炎")], TRAIN)
    assert found.entries["肝炎"].type == "DISE"
    assert found.entries["安眠藥"].type == "DRUG"
    assert found.entries["胃炎"] == known.entries["胃炎"]
    assert "醫院" not in found.entries  # it occurs and is nothing
    assert all(0 < entry.probability <= 1 for entry in found.entries.values())


def test_a_typed_list_is_believed_as_far_as_training_confirms_it() -> None:
    listed = words("胃炎", "醫院", "流感", type_="DISE")
    found = with_lists(lexicon_of(TRAIN, TYPES), [listed], TRAIN)
    assert found.entries["流感"] == Entry("DISE", 0.5, 0.5)
    unmet = with_lists(lexicon_of(TRAIN, TYPES), [words("流感", type_="DISE")], TRAIN)
    assert unmet.entries["流感"] == Entry("DISE", 0.0, 0.0)


def test_votes_know_whether_a_list_has_a_mention() -> None:
    lists = {"a": words("头痛").lexicon, "b": words("头痛", type_="SYMP").lexicon}
    known = Known(frozenset({("頭痛", "DISE")}), lists)
    found = {"known": False, "list a": True, "list b": True}
    assert known.evidence("頭痛", "SYMP") == found
    assert known.evidence("頭痛", "DISE") == found | {"known": True, "list b": False}
    assert not any(known.evidence("頭", "SYMP").values())


@pytest.mark.parametrize(
    ("chosen", "said"),
    [
        (["backbone=scripted", "regime=zero_shot"], "method=generative uses no gazetteer"),
        (["method=file", "method.files={FT: a}"], "method=file uses no gazetteer"),
    ],
)
def test_a_method_without_use_for_lists_refuses_them(chosen: list[str], said: str) -> None:
    with pytest.raises(InputError, match=said):
        configure(compose([*chosen, "gazetteer=files"]), {})


def test_lists_are_part_of_a_run_and_kept_in_it(run, crf_words, tmp_path: Path, capsys) -> None:
    path = tmp_path / "words.txt"
    path.write_text("頭痛\n脂肪肝\n肝臟纖維化\n", encoding="utf-8")
    given = ("gazetteer=files", f"+gazetteer.lists.mine={{file: '{path}'}}")
    settings = (*crf_words, "method.iterations=[3]")
    first, same = run(*settings, *given), run(*settings, *given)
    path.write_text("頭痛\n", encoding="utf-8")
    other = run(*settings, *given)
    hashes = [each.record()["config_hash"] for each in (first, same, other)]
    assert (hashes[0] == hashes[1], hashes[0] == hashes[2]) == (True, False)
    assert "gazetteer.lists.mine" in first.record()["training_files"]
    kept = json.loads((first.directory / "model" / "crf.json").read_text(encoding="utf-8"))
    assert set(kept["lists"]["mine"]) == {"头痛", "脂肪肝", "肝脏纤维化"}
    path.unlink()
    capsys.readouterr()
    text = tmp_path / "notes.txt"
    rows = first.rows()[:3]
    text.write_text("".join(row["sentence"] + "\n" for row in rows), encoding="utf-8")
    assert main(["predict", "--run", str(first.directory), str(text)]) == 0
    found = [json.loads(line)["entities"] for line in capsys.readouterr().out.splitlines()]
    assert found == [row["entities"] for row in rows]
