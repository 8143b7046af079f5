"""`chmed-ner data`: which corpora exist, fetching them, checking what is on disk."""

import argparse
from pathlib import Path

from chmed_ner.data import BASE_URL, PublishedCorpus, named_corpora
from chmed_ner.errors import InputError
from chmed_ner.files import data_directory


def configure(parser: argparse.ArgumentParser) -> None:
    """Add the actions `list`, `fetch` and `verify` and their options."""
    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)
    for action, text in (
        ("list", "the corpora, their files, what is on disk and under which licence"),
        ("fetch", "download corpora (all by default); what is there and intact is left alone"),
        ("verify", "compare the files on disk with their published checksums"),
    ):
        one = actions.add_parser(action, help=text, description=text)
        one.add_argument("names", nargs="*", metavar="NAME", help="a corpus; all by default")
        one.add_argument(
            "--root",
            type=Path,
            metavar="DIR",
            help="the data directory (default: the environment variable CHMED_NER_DATA, else a "
            "folder of the user's)",
        )
        if action == "fetch":
            one.add_argument(
                "--base-url",
                default=BASE_URL,
                metavar="URL",
                help="a mirror that has REPOSITORY/COMMIT/FILE below it (default: %(default)s)",
            )


def execute(arguments: argparse.Namespace) -> int:
    """Do the action named; 0, or 2 when `verify` found a file missing or wrong."""
    root: Path = arguments.root or data_directory()
    corpora = named_corpora(arguments.names)
    print(f"Data directory: {root}")
    if arguments.action == "verify":
        return _verify(corpora, root)
    if arguments.action == "fetch":
        _fetch(corpora, root, arguments.base_url)
    else:
        _list(corpora, root)
    return 0


def _list(corpora: tuple[PublishedCorpus, ...], root: Path) -> None:
    for corpus in corpora:
        repository, commit = corpus.files[0].repository, corpus.files[0].commit
        print(f"\n{corpus.name}: {corpus.title}")
        print(f"  from     https://github.com/{repository} at {commit[:12]}")
        print(f"  licence  {corpus.licence}")
        for file in corpus.files:
            size = f"{file.size:,} B" if file.size else "? B"
            _row(root, file.path, file.size, size, file.content)
            if file.unpacked:
                path = file.path.removesuffix(file.name) + file.unpacked
                _row(root, path, None, "", f"unpacked from {file.name}")
    print("\n`chmed-ner data fetch [NAME...]` downloads what is absent, `verify` checks the rest.")


def _row(root: Path, path: str, expected: int | None, size: str, content: str) -> None:
    try:
        found = (root / path).stat().st_size
        presence = "present" if expected in (None, found) else "wrong"
    except OSError:
        presence = "absent"
    print(f"  {presence:<8} {path:<40} {size:>12}  {content}")


def _fetch(corpora: tuple[PublishedCorpus, ...], root: Path, base_url: str) -> None:
    from chmed_ner.data import Server, fetch_file

    for corpus in corpora:
        for file in corpus.files:
            for outcome in fetch_file(file, root, Server(base_url)):
                kept = f" (the wrong file is kept as {outcome.path.name}.old)"
                note = kept if outcome.status == "replaced" else ""
                print(f"{outcome.status:<9} {outcome.path.relative_to(root)}{note}", flush=True)
    print("\nPlease cite what you use:")
    for corpus in corpora:
        print(f"- {corpus.name}: {corpus.citation}\n  Licence: {corpus.licence}")


def _verify(corpora: tuple[PublishedCorpus, ...], root: Path) -> int:
    from chmed_ner.data import check_file

    failed = total = 0
    for corpus in corpora:
        for file in corpus.files:
            for finding in check_file(file, root):
                failed += finding.status in ("missing", "wrong")
                total += 1
                detail = f": {finding.detail}" if finding.detail else ""
                print(f"{finding.status:<10} {finding.path.relative_to(root)}{detail}")
    if not failed:
        print(f"All {total} files are as published.")
        return 0
    print(
        f"{failed} of {total} files missing or wrong; `chmed-ner data fetch` with the same "
        "names and --root puts that right."
    )
    return InputError.exit_code
