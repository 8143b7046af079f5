"""The table of conf/backbone/README.md, which `python -m experiments.backbones.table` makes.

After the paper's Table 1. Its rows are the options of conf/backbone that name a model.
"""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from chmed_ner.errors import InputError
from chmed_ner.files import config_directory, markdown_table, replacing
from experiments.backbones.facts import UNKNOWN, Facts, read_facts

BEGIN = "<!-- begin: written by python -m experiments.backbones.table -->"
END = "<!-- end -->"
HEADER = (
    "option", "model", "kind", "parameters", "Chinese in pre-training", "licence", "context",
    "dtype", "bfloat16, GiB", "4-bit, GiB",
)  # fmt: skip


def backbone_table(facts: Iterable[Facts]) -> str:
    """Markdown lines, the smallest model first, unknown sizes last."""
    ordered = sorted(facts, key=lambda each: (each.parameters or sys.maxsize, each.option))
    return markdown_table(HEADER, [_row(each) for each in ordered], "lllrllrlrr")


def with_table(directory: Path) -> str:
    """The text of `directory`'s README.md with the table of its options between the markers.

    InputError for an option without its facts, or a README without the markers.
    """
    readme = directory / "README.md"
    try:
        text = readme.read_text(encoding="utf-8")
    except OSError as error:
        raise InputError(f"{readme}: cannot be read ({error.strerror})") from None
    before, found, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise InputError(f"{readme}: the table's place is lost; put back {BEGIN} and {END}")
    read = [read_facts(file) for file in sorted(directory.glob("*.yaml"))]
    table = backbone_table(each for each in read if each is not None)
    return f"{before}{BEGIN}\n{table}{END}{after}"


def _row(facts: Facts) -> tuple[str, ...]:
    return (
        f"`{facts.option}`",
        facts.model,
        facts.kind,
        _billions(facts.parameters),
        facts.chinese,
        facts.licence,
        UNKNOWN if facts.context is None else f"{facts.context:,}",
        facts.precision,
        _gib(facts.bfloat16_bytes()),
        _gib(facts.nf4_bytes()),
    )


def _billions(parameters: int | None) -> str:
    return UNKNOWN if parameters is None else f"{parameters / 1e9:.2f} B"


def _gib(count: float | None) -> str:
    return UNKNOWN if count is None else f"{count / 2**30:.2f}"


def main(words: Sequence[str] | None = None) -> int:
    """Write the table of the folder named, or of ours; exit code 2 where a fact is missing."""
    words = sys.argv[1:] if words is None else words
    directory = Path(words[0]) if words else config_directory() / "backbone"
    try:
        text = with_table(directory)
    except InputError as error:
        print(error, file=sys.stderr)
        return 2
    with replacing(directory / "README.md") as file:
        file.write(text)
    return 0


if __name__ == "__main__":
    sys.exit(main())
