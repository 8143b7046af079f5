"""README.md and its two Chinese editions: the same commands and numbers, and all of them true."""

import ast
import inspect
import re
import shlex
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import chmed_ner
from chmed_ner.cli import COMMANDS, main
from chmed_ner.cli.options import own_options
from chmed_ner.entities import Entity
from chmed_ner.score import score_sentences
from experiments.mainland import mainland

ROOT = Path(__file__).parents[1]
ENGLISH, HANT, HANS = (
    (ROOT / name).read_text(encoding="utf-8")
    for name in ("README.md", "README.zh-Hant.md", "README.zh-Hans.md")
)
NUMBER = re.compile(r"(?<![\w.-])\d(?:[\d,]*\d)?(?:\.\d+)?(?!\w)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
COMMENT = re.compile(r"(?:^|(?<=\s))# .*$", re.MULTILINE)


def sections(text: str) -> list[tuple[int, str]]:
    """The depth of each heading, and what follows it, which has its commands without comments."""
    parts, fenced = [(0, "")], False
    for line in text.splitlines():
        fenced ^= line.startswith("```")
        if line.startswith("#") and not fenced:
            parts.append((line.index(" "), ""))
        else:
            depth, before = parts[-1]
            parts[-1] = depth, f"{before}{line}\n"
    return parts


def code(section: str) -> list[str]:
    """Its blocks without comments, then its spans of code."""
    blocks = [COMMENT.sub("", block) for _, block in FENCE.findall(section)]
    lines = [" ".join(line.split()) for block in blocks for line in block.splitlines()]
    return [*lines, *sorted(re.findall(r"`([^`\n]+)`", FENCE.sub("", section)))]


def numbers(section: str) -> Counter[str]:
    """Those of the prose, the tables and the comments, without links."""
    comments = " ".join(each for _, b in FENCE.findall(section) for each in COMMENT.findall(b))
    prose = re.sub(r"\]\([^)]*\)|`[^`\n]+`", " ", FENCE.sub("", section))
    spaced = re.sub(r"[^\x00-\x7f]", " ", f"{prose} {comments}")
    return Counter(NUMBER.findall(spaced))


def rows(section: str) -> list[int]:
    """The cells of each line of its tables."""
    return [line.replace(r"\|", "").count("|") for line in section.splitlines() if line[:1] == "|"]


@pytest.mark.parametrize("edition", [HANT, HANS], ids=["zh-Hant", "zh-Hans"])
def test_an_edition_says_what_the_english_one_says(edition: str) -> None:
    assert len(sections(ENGLISH)) > 15
    for ours, theirs in zip(sections(ENGLISH), sections(edition), strict=True):
        assert ours[0] == theirs[0]
        for part in (code, numbers, rows):
            assert part(ours[1]) == part(theirs[1])


def test_the_edition_of_mainland_china_is_made_from_the_traditional_one() -> None:
    """If this fails: python -m experiments.mainland."""
    assert mainland(HANT) == HANS


def test_differences_are_seen() -> None:
    """What the comparison above looks at."""
    block = "```bash\nrun a=1   # 5 minutes\n```\n"
    text = f"## A\n\n{block}\n| a | 2,531 |\n\n`b=2`, [2](x.md#7), 65.0%\n"
    section = sections(text)[1][1]
    assert code(section) == ["run a=1", "b=2"]
    assert numbers(section) == {"5": 1, "2,531": 1, "2": 1, "65.0": 1}
    assert rows(section) == [3]


def commands() -> list[list[str]]:
    """The words of each call of `chmed-ner` in a block, and in a span that gives a subcommand."""
    blocks = "".join(block for kind, block in FENCE.findall(ENGLISH) if kind == "bash")
    lines = COMMENT.sub("", blocks.replace("\\\n", " ")).splitlines()
    lines += re.findall(r"`((?:\S*/)?chmed-ner [a-z]+ [^`]+)`", FENCE.sub("", ENGLISH))
    words = [shlex.split(line.partition(" > ")[0]) for line in lines if "chmed-ner" in line]
    return [each[1:] for each in words if each[0].endswith("chmed-ner")]


def runs() -> Iterator[list[str]]:
    """The words of each `chmed-ner run` that makes runs, without what a reader fills in."""
    for name, *words in commands():
        if name == "run" and not {"--help", "--cfg"} & set(words):
            yield [word for word in words if word not in ("-m", "resume=RUN")]


def test_commands_are_found() -> None:
    assert len(commands()) > 30
    assert len(list(runs())) >= 15
    assert {name for name, *_ in commands()} >= set(COMMANDS) - {"convert", "ui"}


def test_commands_parse() -> None:
    for name, *words in commands():
        if name in ("run", "data"):
            continue
        parser = ArgumentParser(parents=[own_options("")])
        import_module(f"chmed_ner.cli.{name}").configure(parser)
        parser.parse_intermixed_args(words)


def test_options_and_keys_that_are_named_are_there() -> None:
    """Every `group=option` is a file of conf/, every `key=` a line of one, also beside commands."""
    spans = re.findall(r"`'?([\w/@.]+=[^`\s]*)`", ENGLISH)
    words = [word for run in runs() for word in run if re.match(r"[\w/@.]+=", word)] + spans
    found = 0
    texts = {path: path.read_text(encoding="utf-8") for path in (ROOT / "conf").rglob("*.yaml")}
    for word in words:
        key, _, value = word.strip("'").partition("=")
        folder = ROOT / "conf" / key.rpartition("@")[0] if "@" in key else ROOT / "conf" / key
        if key == "sweep":
            folder = ROOT / "experiments" / "sweep"
        if folder.is_dir():
            for option in filter(None, re.split(r"[\[\],]", value)):
                if option not in ("ward", "mine"):  # those of the reader's own
                    assert (folder / f"{option}.yaml").is_file(), word
                    found += 1
        else:
            last = key.rpartition(".")[2]
            assert any(re.search(rf"^\s*{last}:", text, re.MULTILINE) for text in texts.values()), (
                word
            )
            found += 1
    assert found > 60


def test_targets_of_make_are_there() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    named = set(re.findall(r"(?:^|`)make ([a-z-]+)", ENGLISH, re.MULTILINE))
    assert len(named) > 6
    assert named <= set(re.findall(r"^([a-z-]+):", makefile, re.MULTILINE))


def test_python_is_as_it_says() -> None:
    for call in (chmed_ner.load, chmed_ner.extractor, score_sentences):
        (row,) = re.findall(rf"^\| `(?:[\w.]+\.)?{call.__name__}\((.*)\)`", ENGLISH, re.MULTILINE)
        wanted = row.replace(r"\|", "|")
        given = ast.parse(
            f"{call.__name__}({wanted})" if ":" not in row else f"def f({wanted}): ..."
        )
        names = {each.arg for each in ast.walk(given) if isinstance(each, (ast.arg, ast.keyword))}
        assert names
        assert names <= set(inspect.signature(call).parameters)
    fields = ENGLISH.partition("`Entity` is frozen")[2].partition("Bad input")[0]
    assert re.findall(r"`(\w+): [\w| ]+`", fields) == list(inspect.signature(Entity).parameters)


def test_the_table_of_one_gpu_is_the_computed_one() -> None:
    """Made by python -m experiments.backbones.one_gpu."""
    computed = (ROOT / "conf" / "backbone" / "README.md").read_text(encoding="utf-8")
    table = re.findall(r"^\| `(qwen3_\w+)` \| computed \| (.*) \|$", ENGLISH, re.MULTILINE)
    assert len(table) == 4
    for option, cells in table:
        assert f"\n| `{option}` | {cells} |\n" in computed


@pytest.mark.slow
@pytest.mark.parametrize("words", list(runs()), ids=" ".join)
def test_a_run_composes(
    words: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """As `--cfg job`; of a sweep the first option of each key."""
    own = [f"--config-dir={tmp_path}"] if "--config-dir" in words else []
    for group, text in (("dataset", "defaults: [column_files, _self_]\n"), ("labels", "")):
        (tmp_path / group).mkdir()
        (tmp_path / group / "ward.yaml").write_text(text, encoding="utf-8")
    kept = [re.sub(r"=([^\[{]+?),.*", r"=\1", word) for word in words if word != "mine"]
    kept = [word for word in kept if word != "--config-dir"]
    assert main(["run", *kept, *own, "--cfg", "job"]) == 0, capsys.readouterr().err
