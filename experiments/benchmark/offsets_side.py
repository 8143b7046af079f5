"""A peer's aligner in its own interpreter: `python offsets_side.py JOB.json RESULT.json`.

It gets texts with their mentions in text order, as a perfect language model would list them, and
answers with spans. Everything but the choice of tokenizer and task is the peer's default. Nothing
of chmed_ner is imported.
"""

import json
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib import metadata, util
from pathlib import Path
from typing import Any

Listed = Sequence[tuple[str, str]]
"""Mentions and their types, in text order with repeats."""
Spans = list[tuple[int, int, str]]
Align = Callable[[str, Listed], Spans]


def langextract(tokenizer: str) -> Align:
    """What `lx.extract` does with the extractions of a chunk: all that get an interval are kept,
    exact, lesser and fuzzy matches alike. The tokenizer is `lx.extract(tokenizer=...)`."""
    from langextract.core.data import Extraction
    from langextract.core.tokenizer import UnicodeTokenizer
    from langextract.resolver import Resolver

    resolver = Resolver()
    chosen = UnicodeTokenizer() if tokenizer == "unicode" else None

    def align(text: str, listed: Listed) -> Spans:
        extractions = [Extraction(type_, mention) for mention, type_ in listed]
        aligned = resolver.align(extractions, text, 0, 0, tokenizer_inst=chosen)
        return [
            (each.char_interval.start_pos, each.char_interval.end_pos, each.extraction_class)
            for each in aligned
            if each.char_interval is not None
        ]

    return align


def steps(listed: Listed) -> str:
    """An answer to the prompts of `spacy.NER.v3` and `spacy.SpanCat.v3`: mentions in text order."""
    lines = (f"{mention} | True | {type_} | is a {type_}" for mention, type_ in listed)
    return "\n".join(f"{number}. {line}" for number, line in enumerate(lines, 1))


def by_type(listed: Listed) -> str:
    """An answer to the prompts of `spacy.NER.v2` and `spacy.SpanCat.v2`: distinct mentions."""
    types = dict.fromkeys(type_ for _, type_ in listed)
    lists = {t: dict.fromkeys(mention for mention, type_ in listed if type_ == t) for t in types}
    return "\n".join(f"{type_}: {', '.join(mentions)}" for type_, mentions in lists.items())


def spacy_llm(version: str, labels: Sequence[str], nested: bool) -> Align:
    """What the pipe `llm` makes of an answer: the task NER, or SpanCat where entities nest."""
    import spacy
    from spacy_llm.registry import registry

    task = registry.llm_tasks.get(f"spacy.{'SpanCat' if nested else 'NER'}.{version}")(
        labels=list(labels)
    )
    nlp = spacy.blank("zh")
    answer = steps if version == "v3" else by_type

    def align(text: str, listed: Listed) -> Spans:
        (doc,) = task.parse_responses([[nlp.make_doc(text)]], [[answer(listed)]])
        found: Iterable[Any] = doc.spans[task.spans_key] if nested else doc.ents
        return [(span.start_char, span.end_char, span.label_) for span in found]

    return align


def aligner(job: Mapping[str, Any], corpus: Mapping[str, Any]) -> Align:
    """The job's aligner for a corpus."""
    if job["package"] == "langextract":
        return langextract(job["option"])
    return spacy_llm(job["option"], corpus["labels"], corpus["nested"])


def main() -> None:
    """Do the job and write its result; without the peer, its version is empty."""
    job = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
    found: dict[str, Any] = {"version": ""}
    if util.find_spec(job["package"].replace("-", "_")) is not None:
        found["version"] = metadata.version(job["package"])
        found["spans"] = {}
        for name, corpus in job["corpora"].items():
            align = aligner(job, corpus)
            found["spans"][name] = [align(text, listed) for text, listed in corpus["texts"]]
    Path(sys.argv[2]).write_text(json.dumps(found, ensure_ascii=False), encoding="utf-8")


if __name__ == "__main__":
    main()
