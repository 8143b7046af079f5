"""Official-format files: every spelling that is accepted, every fault that is refused."""

import argparse
import json
import re
from pathlib import Path

import pytest

from chmed_ner.cli import main, score as command
from chmed_ner.cli.score import score_files
from chmed_ner.entities.types import Scores
from chmed_ner.errors import InputError
from chmed_ner.score.official import score_table, scores_json

GOLD = "胃 B-BODY\n痛 B-SYMP\n。 O\n\n無 O\n事 O\n\n"
PREDICTED = "胃 B-BODY\n痛 I-BODY\n。 O\n\n無 O\n事 O\n\n"


@pytest.fixture
def files(tmp_path: Path):
    """Writes a gold and a predicted file and returns their paths."""

    def write(gold: str | bytes, predicted: str | bytes) -> tuple[Path, Path]:
        paths = tmp_path / "gold.txt", tmp_path / "predicted.txt"
        for path, content in zip(paths, (gold, predicted), strict=True):
            path.write_bytes(content.encode() if isinstance(content, str) else content)
        return paths

    return write


def scored(paths: tuple[Path, Path]):
    return score_files([("all", *paths)])["all"]


def test_counts_of_a_small_pair(files) -> None:
    scores = scored(files(GOLD, PREDICTED))
    assert scores.overall == Scores(gold=2, predicted=1, correct=0)
    assert (scores.tokens, scores.correct_tags) == (7, 6)


@pytest.mark.parametrize(
    "spelling",
    [
        PREDICTED.replace("\n", "\r\n"),
        PREDICTED.replace(" ", "\t"),
        PREDICTED.replace("\n\n", "\n \n"),
        PREDICTED.rstrip("\n"),
        PREDICTED + "\n\n",
        PREDICTED.replace("。 O", "。  O "),
    ],
    ids=["crlf", "tab", "one space between", "no last line end", "blank lines", "wide"],
)
def test_spellings_that_mean_the_same(files, spelling: str) -> None:
    assert scored(files(GOLD, spelling)) == scored(files(GOLD, PREDICTED))


def test_tokens_count_the_separators_of_the_gold_file(files) -> None:
    assert scored(files(GOLD.rstrip("\n"), PREDICTED)).tokens == 6
    assert scored(files(GOLD, PREDICTED.rstrip("\n"))).tokens == 7


def test_every_character_is_data(files) -> None:
    odd = ['"', "#", "'", ",", " ", "\t", "\u3000", "\u2028", "\x85", "\ufeff", "𠮷", "\\"]
    gold = "".join(f"{character} B-DRUG\n" for character in odd)
    assert scored(files(gold, gold)).overall == Scores(len(odd), len(odd), len(odd))
    assert scored(files("\ufeff O\n好 O\n", "\ufeff O\n好 O\n")).tokens == 2
    assert scored(files("\ufeff好 O\n", "好 O\n")).tokens == 1


@pytest.mark.parametrize(
    ("side", "tag"), [("gold", "U-BODY"), ("gold", "L-BODY"), ("predicted", "U-BODY"), ("", "")]
)
def test_bilou_is_scored_with_a_warning(
    files, side: str, tag: str, caplog: pytest.LogCaptureFixture
) -> None:
    given = {"gold": GOLD, "predicted": PREDICTED}
    if side:
        given[side] = given[side].replace("B-BODY", tag)
    scored(files(**given))
    said = [each.getMessage() for each in caplog.records]
    assert len(said) == bool(side)
    for message in said:
        assert f"{side}.txt: {tag} is BILOU" in message
        assert "chmed-ner convert" in message


def test_odd_tags_are_scored_not_repaired(files) -> None:
    gold = "通 B-CHEM\n道 i-CHEM\n蛋 O-SYMP\n白 I-SYMP\n"
    predicted = "通 B-CHEM\n道 I-CHEM\n蛋 O\n白 B-SYMP\n"
    scores = scored(files(gold, predicted))
    assert scores.overall == Scores(2, 2, 2)
    assert (scores.entity_tokens, scores.correct_entity_tokens) == (4, 1)


BROKEN = [
    ("無 O\n事 O\n\n", "predicted.txt, line 1: '無', but .*gold.txt, line 1 has '胃'"),
    (
        "胃 B-BODY\n痛 I-BODY\n。 O\n\n",
        "predicted.txt, line 3: the last of 1 sentences ends, but .*line 5",
    ),
    (PREDICTED + "完 O\n", "predicted.txt, line 8: begins sentence 3, but .*line 6"),
    (PREDICTED.replace("。", "！"), "predicted.txt, line 3: '！', but .*gold.txt, line 3 has '。'"),
    (
        PREDICTED.replace("。 O\n", "。 O\n。 O\n"),
        "predicted.txt, line 4: goes on with '。', but sentence 1 ends at .*gold.txt, line 3",
    ),
    (
        PREDICTED.replace("。 O\n", ""),
        "predicted.txt, line 2: sentence 1 ends, but .*gold.txt, line 3 goes on with '。'",
    ),
    ("無 O\n事 O\n\n胃 B-BODY\n痛 I-BODY\n。 O\n\n", "predicted.txt, line 1: '無'"),
    ("", "predicted.txt: holds no sentence"),
    ("\n \n\n", "predicted.txt: holds no sentence"),
    (PREDICTED.encode("utf-16"), "predicted.txt, line 1: .*iconv -f UTF-16 -t UTF-8"),
    (b"\x00\x01\x02\n", "predicted.txt, line 1: .*NUL"),
    (PREDICTED.encode()[:8] + b"\xff\xfe\n", "predicted.txt, line 1: "),
    ("胃 B-BODY\n" + "x" * (1 << 20) + "\n", "predicted.txt, line 2: longer than 1 MiB"),
    (PREDICTED.replace("。 O", "。"), "predicted.txt, line 3: no tag in '。'"),
    (PREDICTED.replace("。 O", "。 "), "predicted.txt, line 3: no tag in '。 '"),
    (PREDICTED.replace("。 O", "。 O O"), "predicted.txt, line 3: more than one tag"),
    (PREDICTED.replace("。 O", "。。 O"), "predicted.txt, line 3: more than one character"),
    (PREDICTED.replace("。 O", "。 BODY"), "predicted.txt, line 3: tag 'BODY' is neither"),
    ("胃 B-BODY\n痛 I-BODY\n。 O\n\n無 O\n事 B-BO", "predicted.txt, line 6: .*only the beginning"),
]


@pytest.mark.parametrize(("predicted", "message"), BROKEN)
def test_a_bad_prediction_is_refused(files, predicted: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message):
        scored(files(GOLD, predicted))


@pytest.mark.parametrize(("gold", "message"), [(b, m) for b, m in BROKEN if "but" not in m][2:])
def test_a_bad_gold_file_is_refused(files, gold: str | bytes, message: str) -> None:
    with pytest.raises(InputError, match=message.replace("predicted.txt", "gold.txt")):
        scored(files(gold, GOLD))


def test_missing_files_and_repeated_genres(files, tmp_path: Path) -> None:
    gold, predicted = files(GOLD, PREDICTED)
    with pytest.raises(InputError, match=r"absent\.txt: no such file"):
        score_files([("all", gold, tmp_path / "absent.txt")])
    with pytest.raises(InputError, match="cannot be read"):
        score_files([("all", tmp_path, predicted)])
    with pytest.raises(InputError, match="'FT' is named twice"):
        score_files([("FT", gold, predicted), ("FT", gold, predicted)])


def run(*arguments: str | Path) -> int:
    parser = argparse.ArgumentParser()
    command.configure(parser)
    return command.execute(parser.parse_args([str(argument) for argument in arguments]))


def test_command_prints_the_table_of_one_pair(files, capsys: pytest.CaptureFixture[str]) -> None:
    paths = files(GOLD, PREDICTED)
    assert run(*paths) == 0
    assert capsys.readouterr().out == score_table(score_files([("all", *paths)]))


def test_command_averages_genres_and_writes_json(
    files, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    gold, predicted = files(GOLD, PREDICTED)
    target = tmp_path / "scores.json"
    genres = ["--genre", "FT", gold, predicted, "--genre", "WA", gold, gold]
    assert run("--json", target, *genres) == 0
    scores = score_files([("FT", gold, predicted), ("WA", gold, gold)])
    assert capsys.readouterr().out == score_table(scores)
    written = json.loads(target.read_text(encoding="utf-8"))
    assert written == scores_json(scores)
    assert written["macro"]["f1"] == 50.0
    assert run("--json", "-", *genres) == 0
    assert json.loads(capsys.readouterr().out) == written


def test_options_may_stand_before_the_files(files, tmp_path: Path) -> None:
    paths = files(GOLD, PREDICTED)
    assert run("--json", tmp_path / "a.json", *paths) == 0
    assert run(*paths, "--json", tmp_path / "b.json") == 0
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_command_refuses_other_forms(files) -> None:
    gold, predicted = files(GOLD, PREDICTED)
    for arguments in ([], [gold], [gold, predicted, gold]):
        with pytest.raises(InputError, match="GOLD PRED"):
            run(*arguments)
    with pytest.raises(InputError, match="not both"):
        run(gold, predicted, "--genre", "FT", gold, predicted)


def test_command_leaves_nothing_half_written(files, tmp_path: Path) -> None:
    gold, predicted = files(GOLD, "")
    before = sorted(tmp_path.iterdir())
    with pytest.raises(InputError) as caught:
        run(gold, predicted, "--json", tmp_path / "scores.json")
    assert caught.value.exit_code == 2
    assert sorted(tmp_path.iterdir()) == before


def test_json_target_must_be_writable_and_no_input(files, tmp_path: Path) -> None:
    gold, predicted = files(GOLD, PREDICTED)
    with pytest.raises(InputError, match="one of the files that are read"):
        run(gold, predicted, "--json", gold)
    with pytest.raises(InputError, match="is a folder"):
        run(gold, predicted, "--json", tmp_path)
    with pytest.raises(InputError, match="cannot be written"):
        run(gold, predicted, "--json", gold / "below" / "scores.json")
    assert gold.read_text(encoding="utf-8") == GOLD


LONG = "1234567890" * 104_858
PNG = b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR"
THREE = "胃 B-BODY\n痛 I-BODY\n\n無 O\n事 O\n\n癌 B-DISE\n症 I-DISE\n\n"
DEPARTURES = {
    "a missing sentence": (THREE.replace("無 O\n事 O\n\n", ""), 4, 4),
    "a missing last sentence": (THREE[: THREE.index("癌")], 5, 7),
    "one sentence too many": (THREE + "完 O\n\n", 10, 8),
    "a separator lost": (THREE.replace("痛 I-BODY\n\n", "痛 I-BODY\n"), 3, 2),
    "one character too many": (THREE.replace("事 O\n", "事 O\n事 O\n"), 6, 5),
    "one character too few": (THREE.replace("事 O\n", ""), 4, 5),
    "swapped sentences": (
        "無 O\n事 O\n\n胃 B-BODY\n痛 I-BODY\n\n癌 B-DISE\n症 I-DISE\n\n", 1, 1,
    ),
    "another character": (THREE.replace("症", "证"), 8, 8),
}  # fmt: skip
"""A file, its line and the whole file's line where the two depart from each other."""

FAULTS = {
    "a binary file": (PNG, 1, "not UTF-8 at byte 1 (89 50 4e 47)"),
    "UTF-16": (THREE.encode("utf-16-le"), 1, "NUL byte"),
    "another encoding": (THREE.encode("big5"), 1, "it looks like BIG5"),
    "old line ends": (THREE.replace("\n", "\r"), 1, "more than one tag"),
    "a line over 1 MiB": (THREE + LONG, 10, "longer than 1 MiB"),
    "a tag over 1 MiB": (THREE.replace("無 O", f"無 O{LONG}"), 4, "longer than 1 MiB"),
    "no tag": (THREE.replace("無 O", "無"), 4, "no tag in '無'"),
    "a tag without hyphen": (THREE.replace("癌 B-DISE", "癌 DISE"), 7, "tag 'DISE' is neither"),
}
"""A file, and the line and words of its refusal."""


@pytest.fixture
def refused(files, tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    """The message of the program on a second genre, after a whole first one; nothing is printed,
    and an older JSON file stays as it was, alone."""

    def message(gold: str | bytes, predicted: str | bytes) -> str:
        good, target = tmp_path / "good.txt", tmp_path / "scores.json"
        good.write_text(THREE, encoding="utf-8")
        target.write_text("{}", encoding="utf-8")
        second = files(gold, predicted)
        before = {path: path.read_bytes() for path in tmp_path.iterdir()}
        words = ["--genre", "FT", good, good, "--genre", "WA", *second, "--json", target]
        assert main(["score", *map(str, words)]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("error: ")
        assert err.count("\n") == 1
        assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
        return err

    return message


@pytest.mark.parametrize("departure", DEPARTURES)
def test_the_program_names_both_lines_where_the_files_depart(refused, departure: str) -> None:
    content, line, whole_line = DEPARTURES[departure]
    named = r"predicted\.txt, line {}: .*gold\.txt, line {}\b"
    assert re.search(named.format(line, whole_line), refused(THREE, content))
    assert re.search(named.format(whole_line, line), refused(content, THREE))


@pytest.mark.parametrize("side", ["predicted", "gold"])
@pytest.mark.parametrize("fault", FAULTS)
def test_the_program_names_the_line_it_cannot_read(refused, fault: str, side: str) -> None:
    content, line, problem = FAULTS[fault]
    message = refused(content, THREE) if side == "gold" else refused(THREE, content)
    assert f"{side}.txt, line {line}: " in message
    assert problem in message


@pytest.mark.parametrize("side", ["predicted", "gold"])
@pytest.mark.parametrize("content", ["", "\n", " \r\n\r\n"])
def test_the_program_refuses_an_empty_file(
    files, capsys: pytest.CaptureFixture[str], side: str, content: str
) -> None:
    paths = files(*((content, THREE) if side == "gold" else (THREE, content)))
    assert main(["score", *map(str, paths)]) == 2
    assert f"{side}.txt: holds no sentence" in capsys.readouterr().err


def test_the_program_refuses_a_mixture_of_genres_and_a_pair(
    files, capsys: pytest.CaptureFixture[str]
) -> None:
    gold, predicted = map(str, files(GOLD, PREDICTED))
    for words in (
        [gold, predicted, "--genre", "FT", gold, predicted],
        ["--genre", "FT", gold, predicted, gold],
        ["--genre", "FT", gold, predicted, "--genre", "FT", gold, predicted],
    ):
        assert main(["score", *words]) == 2
        assert re.search("not both|named twice", capsys.readouterr().err)
