"""`chmed-ner audit`: the annotations of a corpus that are probably wrong, the surest first."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from chmed_ner.data import as_gold, write_annotations
from chmed_ner.entities import AnnotatedText, Sentence, Traditional, in_script
from chmed_ner.errors import InputError
from chmed_ner.files import write_json_lines

if TYPE_CHECKING:
    from chmed_ner.score import Suggestion

EXPORTS = {"doccano": "doccano.jsonl", "label_studio": "label_studio.json"}
FILES = ("audit.html", "suggestions.jsonl", *EXPORTS.values())


def configure(parser: argparse.ArgumentParser) -> None:
    """Declare the overrides, `--out`, `--folds`, `--least`."""
    parser.add_argument(
        "overrides",
        nargs="*",
        metavar="OVERRIDE",
        help="of the configuration, such as dataset=rocling2022, or dataset.test=my.txt with "
        "labels=auto; the method is a CRF (preset=audit) unless method= or preset= names another",
    )
    parser.add_argument(
        "--out", metavar="DIR", required=True, help=f"the folder to write {', '.join(FILES)} to"
    )
    parser.add_argument(
        "--folds",
        type=int,
        default=5,
        metavar="N",
        help="models to train; each reads the part that it was not trained on (default 5)",
    )
    parser.add_argument(
        "--least",
        type=float,
        default=0.2,
        metavar="SCORE",
        help="leave out suggestions with a lower score, 0 to 1 (default 0.2)",
    )


def execute(arguments: argparse.Namespace) -> int:
    """Write the files; print how many suggestions there are of each kind."""
    from chmed_ner.methods import audit_annotations
    from chmed_ner.report import say, speaking, write_audit_page
    from chmed_ner.run import compose, configure as experiment_of
    from chmed_ner.score import SUGGESTION_KINDS, suggestion_record

    if arguments.folds < 2:
        raise InputError(f"--folds {arguments.folds}: give 2 or more")
    if not 0 <= arguments.least <= 1:
        raise InputError(f"--least {arguments.least:g}: give a score from 0 to 1")
    words = list(arguments.overrides)
    if not any(word.startswith(("method=", "preset=")) for word in words):
        words.append("preset=audit")
    experiment = experiment_of(compose(words), {})
    dataset, folder = experiment.dataset, Path(arguments.out)
    read = dataset.annotated(experiment.data, seed=experiment.seed, limit=experiment.limit)
    sentences = in_script(experiment.parts.get("script", Traditional()), read)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(prefix=".folds", dir=folder) as models:
            found = audit_annotations(experiment, sentences, arguments.folds, Path(models))
        listed = [each for each in found if each.score >= arguments.least]
        write_json_lines(folder / "suggestions.jsonl", map(suggestion_record, listed))
        with speaking(experiment.language):
            write_audit_page(
                folder / "audit.html",
                title=say("{corpus}: suspicious annotations", corpus=dataset.name),
                suggestions=listed,
                labels=dataset.scheme,
                looked_at=(len(read), sum(len(each.entities) for each in read)),
            )
    except OSError as error:
        raise InputError(f"--out {folder}: cannot be written ({error.strerror})") from None
    texts = [AnnotatedText(s.text, s.entities, id=s.id) for s in suspicious_first(read, listed)]
    for style, name in EXPORTS.items():
        write_annotations(folder / name, style, as_gold(texts))
    kinds = [each.kind for each in listed]
    counts = ", ".join(f"{kinds.count(kind):,} {kind}" for kind in SUGGESTION_KINDS)
    print(f"{len(read):,} sentences, {len(listed):,} suggestions: {counts}\n{folder}/audit.html")
    return 0


def suspicious_first(
    sentences: Sequence[Sentence], listed: Sequence["Suggestion"]
) -> list[Sentence]:
    """The sentences with suggestions by their surest one, then the others in corpus order."""
    rank: dict[str, int] = {}
    for place, each in enumerate(listed):
        rank.setdefault(each.sentence.id, place)
    return sorted(sentences, key=lambda each: rank.get(each.id, len(listed)))
