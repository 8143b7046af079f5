"""Options that commands share: `--runs-in`, `--config-dir`, `--allow-target` (all of them),
`--trust-endpoint`, `--language`, `--json FILE`."""

import argparse
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from chmed_ner.errors import InputError
from chmed_ner.files import OUTPUT, write_json
from chmed_ner.knobs import OWN_CONFIG, TRUSTED
from chmed_ner.report import LANGUAGES


def own_options(prog: str) -> argparse.ArgumentParser:
    """A parser of the options that every command has."""
    parser = argparse.ArgumentParser(prog=prog, add_help=False, allow_abbrev=False)
    parser.add_argument(
        "--runs-in",
        metavar="DIR",
        help="where the runs are: the output directory (paths.output) to write to, and to look for "
        "latest, best and MLflow run ids in",
    )
    parser.add_argument(
        "--config-dir",
        metavar="DIR",
        help="a folder with options of your own, laid out as conf/: DIR/dataset/mine.yaml is "
        "dataset=mine",
    )
    parser.add_argument(
        "--allow-target",
        metavar="PACKAGE.",
        action="append",
        default=[],
        help="a _target_ may name classes whose names begin so, as in my_package. : code of your "
        "own that you trust (for a run that is not yours, whoever made it chooses the settings)",
    )
    return parser


def use_own(arguments: argparse.Namespace) -> None:
    """Use what `own_options` read, from now on in this context; InputError: it cannot be."""
    if arguments.config_dir is not None:
        folder = Path(arguments.config_dir).expanduser().absolute()
        if not folder.is_dir():
            raise InputError(f"--config-dir {arguments.config_dir}: no such folder")
        OWN_CONFIG.set(folder)
    if arguments.runs_in is not None:
        OUTPUT.set(Path(arguments.runs_in).expanduser().absolute())
    for prefix in arguments.allow_target:
        if not prefix.endswith(".") or prefix == ".":
            raise InputError(
                f"--allow-target {prefix}: give a package with a dot at its end, as in my_package."
            )
    TRUSTED.set(tuple(arguments.allow_target))


def add_trust(parser: argparse.ArgumentParser) -> None:
    """Declare `--trust-endpoint`."""
    parser.add_argument(
        "--trust-endpoint",
        action="store_true",
        help="use the endpoint, its key's variable and the MLflow address that the run's record "
        "names: give it for your own runs only",
    )


def add_language(parser: argparse.ArgumentParser) -> None:
    """Declare `--language`."""
    parser.add_argument(
        "--language",
        choices=LANGUAGES,
        help="of pages and tables (default: CHMED_NER_LANGUAGE, else en)",
    )


def spoken_language(arguments: argparse.Namespace) -> str:
    """What `--language` says, else the reader's own."""
    from chmed_ner.run import reader_language

    return arguments.language or reader_language()


def add_json(parser: argparse.ArgumentParser) -> None:
    """Declare `--json`."""
    parser.add_argument(
        "--json",
        metavar="FILE",
        help="also write the unrounded figures to FILE; - prints them instead of the table",
    )


def check_target(option: str | None, read: Iterable[Path], *, key: str = "--json") -> None:
    """InputError where `option` (named `key`) is a folder or a file that the command reads."""
    if option in (None, "-"):
        return
    target = Path(option)
    if target.is_dir():
        raise InputError(f"{key} {target}: is a folder; name a file")
    if target.exists() and any(path.exists() and target.samefile(path) for path in read):
        raise InputError(f"{key} {target}: is one of the files that are read; name another")


@contextmanager
def writing(option: str, place: object) -> Iterator[None]:
    """InputError, which names the option and the place, where the block cannot write there."""
    try:
        yield
    except OSError as error:
        problem = f"cannot be written ({error.strerror}); name another place"
        raise InputError(f"{option} {place}: {problem}") from None


def write_and_print(option: str | None, content: object, table: str) -> None:
    """Write the JSON, atomically, and print the table; `-` prints the JSON in its place."""
    if option == "-":
        print(json.dumps(content, ensure_ascii=False, indent=2))
        return
    if option is not None:
        with writing("--json", option):
            write_json(Path(option), content)
    print(table, end="")
