"""The offsets table on the sample corpus: our restoration, and how a peer is asked and scored."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.data import corpus_statistics
from chmed_ner.run import compose, configure

SCRIPTS = Path(__file__).parents[2] / "experiments" / "benchmark"

PEER = {
    "langextract/__init__.py": "",
    "langextract/core/__init__.py": "",
    "langextract/core/data.py": """
class Extraction:
    def __init__(self, extraction_class, extraction_text):
        self.extraction_class, self.extraction_text = extraction_class, extraction_text
        self.char_interval = None

class CharInterval:
    def __init__(self, start_pos, end_pos):
        self.start_pos, self.end_pos = start_pos, end_pos
""",
    "langextract/core/tokenizer.py": "class UnicodeTokenizer: pass\n",
    "langextract/resolver.py": """
from langextract.core.data import CharInterval

class Resolver:
    def align(self, extractions, source_text, token_offset, char_offset, *, tokenizer_inst):
        cursor = 0
        for each in extractions:
            at = source_text.find(each.extraction_text, cursor) if tokenizer_inst else -1
            if at >= 0:
                cursor = at + len(each.extraction_text)
                each.char_interval = CharInterval(at, cursor)
            yield each
""",
    "langextract-0.1.dist-info/METADATA": "Name: langextract\nVersion: 0.1\n",
}
"""A peer of the real one's shape: it searches in order, and places nothing by its default."""


def offsets(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """The script with `arguments`."""
    return subprocess.run(
        [sys.executable, str(SCRIPTS / "offsets.py"), *arguments],
        capture_output=True, text=True, timeout=200, env={**os.environ, **environment},
    )  # fmt: skip


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, dict[str, Any], Path]:
    """What it prints on the sample, what it writes, and where."""
    folder = tmp_path_factory.mktemp("offsets")
    for name, text in PEER.items():
        path = folder / "peer" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    places = (str(folder / "peer"), os.environ.get("PYTHONPATH", ""))
    ran = offsets("sample", f"--output={folder}", PYTHONPATH=os.pathsep.join(filter(None, places)))
    assert ran.returncode == 0, ran.stderr
    return ran.stdout, json.loads((folder / "offsets.json").read_text(encoding="utf-8")), folder


def test_our_rows_are_the_ceilings_of_the_policies(
    done: tuple[str, dict[str, Any], Path],
) -> None:
    said, found, _ = done
    experiment = configure(compose(["dataset=sample", "method=lexicon", "tracking=dry"]), {})
    test = experiment.dataset.raw(experiment.data, training=False)["test"]
    stats = corpus_statistics({"test": test}, experiment.dataset.scheme)["test"]
    assert len(found["scores"]) > 1
    for corpus, scores in found["scores"].items():
        genre = stats[corpus.split()[-1]]
        for policy in ("in_order", "longest_first"):
            assert scores[f"chmed_ner, {policy}"]["f1"] == genre["ceilings"][policy]
        assert scores["chmed_ner, in_order"]["gold"] == genre["official_chunks"]
        row = next(line for line in said.splitlines() if line.startswith(f"| {corpus} |"))
        assert f"{scores['chmed_ner, in_order']['f1']:.2f} (" in row


def test_a_peer_gets_the_same_lists_and_is_scored_alike(
    done: tuple[str, dict[str, Any], Path],
) -> None:
    _, found, folder = done
    assert found["versions"]["langextract, UnicodeTokenizer"] == "0.1"
    for scores in found["scores"].values():
        assert scores["langextract, UnicodeTokenizer"] == scores["chmed_ner, in_order"]
        assert scores["langextract, default tokenizer"]["predicted"] == 0
    job = json.loads(next((folder / "work").glob("*unicode.job.json")).read_text(encoding="utf-8"))
    texts = [text for corpus in job["corpora"].values() for text in corpus["texts"]]
    places = [text.find(listed[0][0]) for text, listed in texts if listed]
    assert min(places) >= 0
    assert (folder / "offsets.png").read_bytes().startswith(b"\x89PNG")


def test_a_peer_that_is_not_installed_is_left_out(
    done: tuple[str, dict[str, Any], Path],
) -> None:
    said, found, _ = done
    assert "spacy-llm, NER.v3: left out; spacy-llm is not installed in" in said
    assert not any("spacy" in name for name in found["versions"])


def test_a_corpus_without_files_is_left_out_and_a_wrong_interpreter_refused(
    tmp_path: Path,
) -> None:
    empty = offsets("resume", f"--output={tmp_path / 'a'}", CHMED_NER_DATA=str(tmp_path))
    assert empty.returncode == 2, empty.stderr
    assert "resume: left out;" in empty.stdout
    wrong = offsets("sample", "--peers=/no/python", f"--output={tmp_path / 'b'}")
    assert wrong.returncode == 2
    assert "/no/python: no such program" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_answers_to_spacy_llm_are_those_its_prompts_ask_for() -> None:
    program = (
        f"import json, sys\nsys.path.insert(0, {str(SCRIPTS)!r})\n"
        "from offsets_side import by_type, steps\n"
        "listed = [('胃', 'BODY'), ('頭痛', 'SYMP'), ('胃', 'BODY'), ('肝', 'BODY')]\n"
        "print(json.dumps([steps(listed), by_type(listed)]))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    in_order, by_type = json.loads(ran.stdout)
    assert in_order.splitlines()[2] == "3. 胃 | True | BODY | is a BODY"
    assert by_type == "BODY: 胃, 肝\nSYMP: 頭痛"
