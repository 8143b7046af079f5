"""Every `conf/prompt/*.yaml`, from corpus to metrics: none is listed here by name."""

import json
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

import chmed_ner
from chmed_ner.backbone.decoding import Greedy
from chmed_ner.cli import main
from chmed_ner.entities.labels import LabelScheme, Simplified
from chmed_ner.entities.restoration import POLICIES
from chmed_ner.entities.types import Sentence, Span
from chmed_ner.files import config_directory
from chmed_ner.model.asking import Reply, Request
from chmed_ner.prompt import TaskPrompt
from chmed_ner.prompt.formats.answer import PROBLEMS
from chmed_ner.run.config import compose, configure
from chmed_ner.run.extractors import Predictor

PROMPTS = sorted(
    path.stem for path in Path(config_directory()).glob("prompt/*.yaml") if path.stem != "none"
)


@pytest.fixture(autouse=True)
def _loggers_as_before() -> Iterator[None]:
    handlers = list(logging.root.handlers)
    yield
    for handler in [each for each in logging.root.handlers if each not in handlers]:
        logging.root.removeHandler(handler)
        handler.close()


def task(prompt: str, labels: LabelScheme, script: str = "simplified") -> TaskPrompt:
    return configure(compose([f"prompt={prompt}"]), {}).prompt.task(labels, script)


def test_the_paper_s_two_styles_and_more_are_there() -> None:
    assert {"extraction", "bio", "inline", "json"} <= set(PROMPTS)


@pytest.mark.parametrize("script", ["simplified", "traditional"])
@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_target_ends_before_it_is_stopped_and_within_its_cap(
    prompt: str, script: str, gold: tuple[Sentence, ...], labels: LabelScheme
) -> None:
    asked, decoding = (
        task(prompt, labels, script),
        Greedy(tokens_per_character=2.0, spare_tokens=32),
    )
    for sentence in gold[::7]:
        target = asked.target(sentence)
        assert not [stop for stop in asked.stop if stop in target]
        # a character takes a token at most, save those that a tokenizer writes as bytes
        assert len(target) < decoding.max_new_tokens(asked.room(len(sentence.text)))


@pytest.mark.parametrize("prompt", PROMPTS)
def test_the_words_fit_the_format(prompt: str, labels: LabelScheme) -> None:
    for script in ("simplified", "traditional"):
        asked = task(prompt, labels, script)
        filled = asked.fill("头痛")
        assert "、".join(labels.names(script)) in filled
        assert ("类别" if script == "simplified" else "類別") in filled
        sentence = Sentence("1", "t", "G", "头痛", None, (Span(0, 2, "SYMP"),), "头痛")
        answer = asked.parse(asked.target(sentence), "头痛")
        assert [mention.text for mention in answer.mentions] == ["头痛"]
        cut = asked.parse(asked.target(sentence), "头痛", "length")
        assert (cut.spans, cut.problems) == (answer.spans, {"truncated": 1})
        assert asked.parse("", "头痛", "refused").problems == {"refused": 1}


@pytest.mark.parametrize("prompt", PROMPTS)
def test_prompts_are_shown_and_exported(
    prompt: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["prompts", f"prompt={prompt}", "--show", "1"]) == 0
    shown = capsys.readouterr().out
    assert shown.count("--- target\n") == 3
    assert main(["prompts", f"prompt={prompt}", "--out", str(tmp_path)]) == 0
    first = json.loads((tmp_path / "test.jsonl").read_text(encoding="utf-8").split("\n", 1)[0])
    assert f"{first['instruction']}--- target\n{first['output']}\n" in shown


def perfect_run(prompt: str, output: Path) -> tuple[Path, dict[str, float]]:
    """A run's directory and metrics, of a model that answers with the target."""
    words = [
        "run", "backbone=scripted", "backbone.noise=0", "regime=zero_shot", "tracking=dry",
        f"prompt={prompt}", f"paths.output={output}", "restoration=first", "limit.test=20",
    ]  # fmt: skip
    assert main(words) == 0
    (run,) = (output / "runs").iterdir()
    return run, metrics_of(run)


def metrics_of(run: Path) -> dict[str, float]:
    metrics: dict[str, float] = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    return metrics


@pytest.mark.parametrize("prompt", PROMPTS)
def test_a_perfect_model_scores_what_its_format_can_say(
    prompt: str, tmp_path: Path, labels: LabelScheme
) -> None:
    _, metrics = perfect_run(prompt, tmp_path)
    assert {f"parse/{reason}_rate" for reason in PROBLEMS} <= metrics.keys()
    assert metrics["parse/problem_rate"] == 0
    assert metrics["infer/mention_f1"] == 100
    for policy in POLICIES:
        found = metrics[f"restore/{policy}/f1"]
        assert found == metrics[f"restore/{policy}/target_ceiling_f1"]
    if task(prompt, labels).parse("无", "胃").spans is None:
        assert metrics["test/f1"] == metrics["restore/first/f1"] < 100
    else:  # the format carries the positions: no policy touches them
        assert metrics["test/f1"] == 100 > metrics["restore/first/f1"]


def test_no_policy_moves_what_carries_positions_when_it_is_scored_again(tmp_path: Path) -> None:
    for prompt in ("bio", "json"):
        run, metrics = perfect_run(prompt, tmp_path / prompt)
        assert main(["rescore", str(run), "restoration=longest_first", "tracking=dry"]) == 0
        again = metrics_of(next((run / "rescore").iterdir()))
        assert again["restore/first/f1"] == metrics["restore/first/f1"]
        headline = 100 if prompt == "bio" else metrics["restore/longest_first/f1"]
        assert again["test/f1"] == headline != metrics["restore/first/f1"]


def test_predict_gives_the_positions_of_the_answer(labels: LabelScheme) -> None:
    """`胃` is an entity once: restoration would mark it twice."""

    class Answering:
        batch_size = 4

        def length(self, request: Request) -> int:
            return len(request.prompt)

        def answer(self, batch: Sequence[Request]) -> list[Reply]:
            return [Reply("胃痛，[胃|人体]胀", "end", 1, 1) for _ in batch]

        def most_seconds(self, batches: Sequence[Sequence[Request]]) -> float:
            return float(len(batches))

        def close(self) -> None:
            """Nothing is held."""

    predictor = Predictor(
        Answering(),
        task("inline", labels),
        Simplified(),
        Greedy(tokens_per_character=2.0, spare_tokens=32),
        "longest_first",
    )
    (prediction,) = predictor.predict(["胃痛，胃脹"])
    assert prediction.entities == (Span(3, 4, "BODY"),)


def test_the_readme_shows_what_is_written(labels: LabelScheme) -> None:
    readme = (Path(chmed_ner.__file__).parent / "prompt" / "README.md").read_text(encoding="utf-8")
    text, spans = "胃痛与高血压", (Span(0, 2, "SYMP"), Span(3, 6, "DISE"))
    for prompt in PROMPTS:
        target = task(prompt, labels).target(Sentence("1", "t", "G", text, None, spans, text))
        shown = target.replace("\n", "⏎").replace("|", "\\|")
        assert f"| `{prompt}` | `{shown}` |" in readme
    for reason in PROBLEMS:
        assert f"| `{reason}` |" in readme
