"""`preset=prompt_assessment`: variants asked, figures and table."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path

import pytest

from chmed_ner.cli import main
from chmed_ner.entities.labels import LabelScheme
from chmed_ner.entities.types import Completion, Sentence, Span
from chmed_ner.errors import InputError
from chmed_ner.files import config_directory
from chmed_ner.methods.assessment.measures import Reading, measures, relevant_characters, single
from chmed_ner.prompt import TaskPrompt
from chmed_ner.run.config import compose, configure

FORMATS = sorted(
    path.stem for path in Path(config_directory()).glob("prompt/*.yaml") if path.stem != "none"
)
TEXT = "胃痛与高血压"
SENTENCES = [Sentence(id_, "test", "FT", TEXT, None, (Span(0, 2, "SYMP"),), TEXT) for id_ in "ab"]


@pytest.fixture(autouse=True)
def _loggers_as_before() -> Iterator[None]:
    handlers = list(logging.root.handlers)
    yield
    for handler in [each for each in logging.root.handlers if each not in handlers]:
        logging.root.removeHandler(handler)
        handler.close()


def task(prompt: str = "extraction") -> TaskPrompt:
    experiment = configure(compose([f"prompt={prompt}"]), {})
    labels: LabelScheme = experiment.dataset.scheme
    return experiment.prompt.task(labels, "simplified")


def reading(kind: str, spans: tuple[Span, ...], *texts: str, prompt: str = "extraction") -> Reading:
    asked = task(prompt)
    done = {
        s.id: Completion(s.id, "test", "FT", "", text, "end", 10, 4, 0.1)
        for s, text in zip(SENTENCES, texts, strict=True)
    }
    answers = {id_: asked.parse(each.text, TEXT) for id_, each in done.items()}
    return Reading(kind, kind, asked, done, answers, {"a": spans, "b": ()})


def test_the_figures_by_hand() -> None:
    right, wrong = (Span(0, 2, "SYMP"),), (Span(0, 2, "DISE"),)
    own = reading("prompt", right, "胃痛-症状", "无")
    other = reading("paraphrases", right, "胃痛-症状\n头痛-症状", "我不知道")
    third = reading("label_orders", wrong, "胃痛-疾病", "胃-什么")
    found = measures(SENTENCES, [own, other, third])
    assert found["assess/stability"] == pytest.approx(100 / 3)  # of three pairs one agrees
    assert found["assess/stability_paraphrases"] == 100
    assert found["assess/stability_label_orders"] == 0
    assert found["assess/stability_exact"] == pytest.approx(100 * (1 + 0.5 + 0.5) / 3)
    assert found["assess/completeness"] == pytest.approx(100 * (1 + 0.5 + 0.5) / 3)
    assert found["assess/foreign_mentions"] == pytest.approx((0 + 50 + 0) / 3)
    assert single(SENTENCES, other)["irrelevance"] == pytest.approx(100 * 4 / 14)
    assert found["assess/tokens"] == 14
    assert "assess/labelled_characters" not in found
    assert found["assess/accuracy"] == pytest.approx((200 / 3 + 200 / 3) / 3)
    assert found["assess/accuracy_spread"] == pytest.approx(200 / 3)


@pytest.mark.parametrize("prompt", FORMATS)
def test_a_perfect_answer_has_nothing_irrelevant_and_rubbish_nothing_else(prompt: str) -> None:
    asked = task(prompt)
    target = "".join(asked.target(SENTENCES[0]).split())
    for text, relevant in ((target, len(target)), ("今天天气很好啊", 0)):
        answer = asked.parse(asked.target(SENTENCES[0]) if relevant else text, TEXT)
        assert relevant_characters(text, answer, SENTENCES[0], asked) == relevant
    talk = asked.parse(asked.target(SENTENCES[0]) + "\n\n以上就是全部了。", TEXT)
    said = target + "以上就是全部了。"
    assert len(target) <= relevant_characters(said, talk, SENTENCES[0], asked) < len(said)


def test_a_copy_without_tags_labels_nothing() -> None:
    found = single(SENTENCES, reading("prompt", (), TEXT, TEXT, prompt="bio"))
    assert found["labelled_characters"] == 0
    assert found["irrelevance"] == 100
    half = "\n".join(f"{c} O" for c in TEXT[:3])
    found = single(SENTENCES, reading("prompt", (), half, half, prompt="bio"))
    assert found["labelled_characters"] == 50


def assessed(output: Path, *words: str) -> Path:
    """A finished assessment's directory."""
    fixed = ("preset=prompt_assessment", "backbone=scripted", "tracking=dry", "limit.test=2")
    assert main(["run", *fixed, "dataset.genres=[WA]", f"paths.output={output}", *words]) == 0
    (run,) = (output / "runs").iterdir()
    return run


@pytest.mark.parametrize("prompt", FORMATS)
def test_every_prompt_has_paraphrases_that_are_asked(prompt: str, tmp_path: Path) -> None:
    run = assessed(tmp_path, f"prompt={prompt}", "backbone.noise=0")
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["assess/stability"] == metrics["assess/completeness"] == 100
    assert metrics["assess/irrelevance"] == metrics["assess/foreign_mentions"] == 0
    asked = [
        [json.loads(line)["prompt_sha256"] for line in path.read_text("utf-8").splitlines()]
        for path in [run / "completions.jsonl", *run.glob("assessment/*/completions.jsonl")]
    ]
    assert len(asked) == 6
    assert len({digest for each in asked for digest in each}) == 12
    table = (run / "assessment" / "table.md").read_text(encoding="utf-8")
    assert "| completeness | 100.00 | 4.33 |" in table
    assert "| irrelevance | 0.00 | 1.33 |" in table
    assert main(["rescore", str(run), "tracking=dry"]) == 0


def test_other_seeds_need_demonstrations_by_chance(tmp_path: Path) -> None:
    words = ["preset=prompt_assessment", "backbone=scripted", "method.seeds=1"]
    experiment = configure(compose(words), {})
    with pytest.raises(InputError, match=r"method\.seeds=1"):
        experiment.check(experiment.load())
    run = assessed(tmp_path, "regime=few_shot", "regime.selection=random", "method.seeds=2")
    metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert "assess/stability_seeds_exact" in metrics
    first, second = (
        (run / "assessment" / name / "few_shot" / "shown.jsonl").read_text(encoding="utf-8")
        for name in ("seed14", "seed15")
    )
    assert first != second


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["~method.paraphrases.bio", "prompt=bio"], "no paraphrases for prompt=bio"),
        (["method.label_orders=0", "method.paraphrases.extraction=[]"], "nothing to compare"),
        (["limit.test=0"], "limit.test=0"),
        (["method.paraphrases.extraction=['列出{categories}和{x}']"], "unknown field {x}"),
    ],
)
def test_what_cannot_be_assessed_is_refused(words: list[str], said: str) -> None:
    experiment = configure(compose(["preset=prompt_assessment", "backbone=scripted", *words]), {})
    corpus = experiment.load()
    with pytest.raises(InputError, match=said):
        experiment.check(corpus)
