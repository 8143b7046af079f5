"""`chmed-ner run --help`: what can be chosen, from the comments of the YAML files themselves."""

import re
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from chmed_ner.errors import InputError
from chmed_ner.files import config_directory, read_text, sweep_directory
from chmed_ner.knobs import OWN_CONFIG
from chmed_ner.run import EXTRAS, PLACES, nearest

WIDTH, INDENT = 80, 23
"""Columns of a line, and before what is said of a name."""
LAUNCHERS = {
    "basic": "one job after another, in this process",
    "joblib": "processes of this machine: hydra.launcher.n_jobs=2",
    "submitit_local": "what SLURM would do, tried on this machine",
    "submitit_slurm": "SLURM: hydra.launcher.cpus_per_task=8",
    "ray": "Ray's workers",
}
"""The options of hydra/launcher; all but the first come with an extra."""
COMMON = {
    "dataset": ("genres",),
    "backbone": ("path",),
    "regime": ("epochs", "learning_rate", "batch_size", "rank"),
}
"""Keys of the default options that are changed often."""
EXAMPLES = """\
  chmed-ner run method=lexicon                     no language model: seconds
  chmed-ner run dataset=rocling2022 regime=lora    tune, test, score, record
  chmed-ner run -m seed=1,2,3 prompt=json,inline   a sweep: six runs
  chmed-ner run sweep=regimes                      a named sweep
  chmed-ner run 'name="第一次"' method=crf         Chinese values: both quotes
"""
FOOT = """\
what an option is     chmed-ner run --help backbone
keys of an option     chmed-ner run --help regime=lora
what a run would do   chmed-ner run ... --cfg job   (Hydra's help: --hydra-help)
options of your own   --config-dir DIR, laid out as conf/
where the runs are    --runs-in DIR, in every command
"""


@dataclass(frozen=True)
class Block:
    """A key of an option: the comment lines above it, and its lines."""

    above: tuple[str, ...]
    lines: tuple[str, ...]


def execute(words: Sequence[str]) -> int:
    """Print the overview, or the options of the group or the keys of the options in `words`;
    returns 0.

    InputError: there is no such group or option; the nearest is named.
    """
    topics = [w for w in words if "." not in w.partition("=")[0] and not w.startswith("-")]
    if not topics:
        print(_overview())
    for topic in topics:
        group, equals, option = topic.partition("=")
        group = group.partition("@")[0]
        if group == "hydra/launcher":
            lines = _launchers()
        else:
            options = _options(_checked(group, "group", _groups()))
            lines = _keys(group, _checked(option, group, options)) if equals else _group(group)
        print("\n".join(lines))
    return 0


def _checked(name: str, kind: str, known: Sequence[str] | Mapping[str, Any]) -> str:
    if name not in known:
        near = nearest(name, list(known)) or list(known)
        raise InputError(f"--help: no {kind} {name!r}; there is {', '.join(near)}")
    return name


def _groups() -> list[str]:
    """The groups in the order of the configuration, then those inside another."""
    return [*_defaults(read_text(config_directory() / "config.yaml")), *PLACES]


def _options(group: str) -> dict[str, Path]:
    """The files of a group's options, the user's own too, by name."""
    roots = [config_directory(), sweep_directory(), OWN_CONFIG.get()]
    found = [path for root in roots if root for path in sorted((root / group).glob("*.yaml"))]
    return {path.stem: path for path in found}


def _defaults(text: str) -> dict[str, str | None]:
    """What the defaults list chooses: by group, or by the file whose keys are inherited."""
    import yaml  # type: ignore[import-untyped]

    chosen: dict[str, str | None] = {}
    for entry in (yaml.safe_load(text) or {}).get("defaults", []):
        pairs = entry.items() if isinstance(entry, dict) else [(entry, "")]
        chosen |= {key.removeprefix("override "): value for key, value in pairs}
    hidden = ("_self_", "root_schema", "hydra/job_logging")
    return {key: value for key, value in chosen.items() if key not in hidden}


def _overview() -> str:
    lines = ["usage: chmed-ner run [GROUP=OPTION | KEY=VALUE ...]   (-m: a sweep, KEY=A,B)", ""]
    lines += ["groups and their options (*: the default)"]
    for group in _groups():
        default = _default(group)
        names = [f"*{name}" if name == default else name for name in _options(group)]
        lines += _row(f"  {group}", " ".join(names), column=15)
    lines += _row("  hydra/launcher", " ".join(["*basic", *list(LAUNCHERS)[1:]]), column=17)
    lines += ["", "keys, with their defaults", *_common(), "", "examples", EXAMPLES]
    return "\n".join(lines) + "\n" + FOOT.rstrip()


def _default(group: str) -> str | None:
    return _defaults(read_text(config_directory() / "config.yaml")).get(group)


def _group(group: str) -> Iterator[str]:
    default = _default(group)
    yield f"{group}=..." + (f" (default: {default})" if default else "")
    for name, path in _options(group).items():
        yield from _row(f"  {name}", _sentence(_header(read_text(path))))


def _launchers() -> Iterator[str]:
    yield "hydra/launcher=... (default: basic): how the jobs of a sweep are started"
    for name, meaning in LAUNCHERS.items():
        extra = f" (extra {EXTRAS[name]})" if name in EXTRAS else ""
        yield from _row(f"  {name}", meaning + extra)


def _common() -> Iterator[str]:
    """The root keys, and those of COMMON, each with its default and what is said of it first."""
    text = read_text(config_directory() / "config.yaml")
    for name, block in _blocks(text).items():
        if name in ("defaults", "hydra"):
            continue
        left, comment = _parts(block.lines[0])
        left = re.sub(r'(\$\{oc.decode:)?\$\{oc.env:\w+,"?([^"}]+)"?}+', r"\2", left)
        if len(block.lines) == 1:
            yield from _row(f"  {left.replace(': ', '=')}", comment, column=25)
        for line in block.lines[1:]:
            inner, meaning = _parts(line.strip())
            shown = re.sub(r": (\$.*)?", "" if "$" in inner else "=", inner)
            yield from _row(f"  {name}.{shown}", meaning, column=25)
    for group, names in COMMON.items():
        option = _defaults(text)[group]
        inherited = _inherited(group, f"{option}")
        for name in names:
            left, comment = _parts(inherited[name].lines[0])
            first = comment.partition("; ")[0]
            yield from _row(f"  {group}.{left.replace(': ', '=')}", first, column=25)


def _keys(group: str, option: str) -> Iterator[str]:
    """What an option is, and its keys with their values and comments."""
    place = PLACES.get(group, group)
    header = _header(read_text(_options(group)[option]))
    yield from textwrap.wrap(f"{place}={option}: {header}", WIDTH)
    yield ""
    for block in _inherited(group, option).values():
        for line in block.above:
            yield from textwrap.wrap(line, WIDTH, subsequent_indent="# ")
        for line in block.lines:
            yield from _row(*_parts(line))
    if group not in ("preset", "sweep"):
        yield f"\nset one: {place.rpartition('@')[2]}.KEY=VALUE"


def _inherited(group: str, option: str) -> dict[str, Block]:
    """The keys of an option by name, those that it inherits too; its own comments come first."""
    text = read_text(_options(group)[option])
    blocks: dict[str, Block] = {}
    for entry, value in _defaults(text).items():
        name, _, _ = entry.lstrip("/").partition("@")
        if value == "" and "/" in name:
            blocks |= _inherited(*name.rsplit("/", 1))
        elif value == "":
            blocks |= _inherited(group, name)
        else:
            hint = "not used" if value is None else f"{PLACES.get(name, name)}=NAME"
            blocks[name] = Block((), (f"{name}: {value or 'null'} # {hint}",))
    own = _blocks(text)
    if group in own:  # a file that sets other groups too: its own keys lie one level deeper
        inner = "\n".join(line[2:] for line in own.pop(group).lines[1:])
        own |= _blocks(inner)
    for name in ("defaults", "_target_"):
        own.pop(name, None)
    for name, block in own.items():
        before = _parts(blocks[name].lines[0])[1] if name in blocks else ""
        if before and " # " not in block.lines[0]:
            block = Block(block.above, (f"{block.lines[0]} # {before}", *block.lines[1:]))
        blocks[name] = block
    return blocks


def _blocks(text: str) -> dict[str, Block]:
    """The top-level keys of a YAML text, with their lines and the comments above them."""
    blocks: dict[str, Block] = {}
    above: list[str] = []
    name = ""
    for line in text.splitlines():
        if found := re.match(r"([\w/@]+):", line):
            name = found[1]
            blocks[name], above = Block(tuple(above), (line,)), []
        elif line.startswith("#"):
            above = [*above, line] if blocks else []  # the first comment is the file's
        elif line.strip() and name:
            blocks[name] = Block(blocks[name].above, (*blocks[name].lines, line))
    return blocks


def _header(text: str) -> str:
    """The comment at the head of a file, without its commands and what Hydra reads."""
    words: list[str] = []
    command = False
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        said = line.lstrip("# ").rstrip()
        if not command and not said.startswith(("@package", "chmed-ner ")):
            words.append(said)
        command = said.endswith("\\")
    return " ".join(words)


def _sentence(text: str) -> str:
    """The first sentence, without its full stop."""
    asked = text.removeprefix("Question: ")
    first = re.split(r"(?<!et al)\. (?=[A-Z])|(?<=\?) ", f"{asked} ", maxsplit=1)[0].strip(" .")
    return first if asked == text else first[:1].upper() + first[1:]


def _parts(line: str) -> tuple[str, str]:
    """A YAML line without its comment, and the comment."""
    left, _, comment = line.partition(" # ")
    return left.rstrip(), comment.strip()


def _row(left: str, right: str, *, column: int = INDENT) -> Iterator[str]:
    """`left`, and `right` beside it from `column` on, in lines of WIDTH columns."""
    said = textwrap.wrap(right, WIDTH - column, break_on_hyphens=False)
    if len(left) < column and said:
        left = f"{left:<{column}}{said.pop(0)}"
    yield from (left, *(" " * column + line for line in said))
