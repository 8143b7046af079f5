"""`regime=few_shot`, from the corpus to the answers and back in `predict`."""

import json
import logging
from collections.abc import Iterator
from dataclasses import replace
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.backbone.completions import requests_for
from chmed_ner.cli import main
from chmed_ner.data.corpus import Corpus
from chmed_ner.entities.types import Demonstration, Sentence
from chmed_ner.errors import InputError
from chmed_ner.files import config_directory
from chmed_ner.methods.generative.method import prompt_for
from chmed_ner.model.asking import Request, wrapping
from chmed_ner.prompt.candidates import pool_of, read_pool, text_key, write_pool
from chmed_ner.run.config import compose, configure, option
from chmed_ner.run.experiment import Experiment
from chmed_ner.run.predict import load
from chmed_ner.run.runner import read_corpus

FORMATS = sorted(
    path.stem for path in Path(config_directory()).glob("prompt/*.yaml") if path.stem != "none"
)


@pytest.fixture(autouse=True)
def _loggers_as_before() -> Iterator[None]:
    handlers = list(logging.root.handlers)
    yield
    for handler in [each for each in logging.root.handlers if each not in handlers]:
        logging.root.removeHandler(handler)
        handler.close()


def an_experiment(*words: str) -> tuple[Experiment, Corpus]:
    fixed = ("backbone=scripted", "regime=few_shot", "tracking=dry", "limit.test=4")
    experiment = configure(compose([*fixed, *words]), {})
    return experiment, read_corpus(experiment)


def asked(directory: Path, *words: str) -> tuple[list[Request], Corpus, dict[str, int]]:
    experiment, corpus = an_experiment(*words)
    counts: dict[str, int] = {}
    prompt = prompt_for(experiment, corpus, directory, counts)
    return requests_for(corpus.test, prompt, experiment.decoding), corpus, counts


# ---------------------------------------------------------------- what is shown


def test_a_question_is_the_instruction_demonstrations_and_the_sentence(tmp_path: Path) -> None:
    requests, corpus, counts = asked(tmp_path, "regime.k=3")
    answers = {s.model_text: s for s in corpus.train}
    experiment, _ = an_experiment()
    prompt = experiment.prompt.task(corpus.labels, "simplified")
    for request, sentence in zip(requests, corpus.test, strict=True):
        assert len(request.demonstrations) == 3
        first, *others = request.demonstrations
        assert first.question.startswith(prompt.instruction)
        assert request.text.count(prompt.instruction) == 1
        assert request.text.endswith(prompt.fill(sentence.model_text)[len(prompt.instruction) :])
        for shown in (replace(first, question=first.question[len(prompt.instruction) :]), *others):
            text = shown.question.removeprefix("句子：").partition("\n")[0]
            assert shown.answer == prompt.target(answers[text])
            assert text != sentence.model_text
    assert counts["demonstration_candidates"] == len(corpus.train)


def test_the_nearest_stands_last_unless_first_is_asked_for(tmp_path: Path) -> None:
    last, *_ = asked(tmp_path / "a", "regime.order=nearest_last")
    first, *_ = asked(tmp_path / "b", "regime.order=nearest_first")

    def texts(request: Request) -> list[str]:
        return [each.question[each.question.rindex("句子：") :] for each in request.demonstrations]

    assert [texts(each) for each in last] == [texts(each)[::-1] for each in first]


def test_random_ones_are_the_same_for_all_or_drawn_for_each(tmp_path: Path) -> None:
    def shown(*words: str) -> set[tuple[Demonstration, ...]]:
        place = tmp_path / str(len(list(tmp_path.iterdir())))
        return {each.demonstrations for each in asked(place, "regime.selection=random", *words)[0]}

    same = shown()
    assert len(same) == 1
    assert shown() == same != shown("seed=14")
    assert len(shown("regime.per_sentence=true")) > 8


def test_the_farthest_are_dropped_first_and_counted(tmp_path: Path) -> None:
    every, _, none_dropped = asked(tmp_path / "all", "regime.token_budget=null")
    some, _, counts = asked(tmp_path / "some", "regime.token_budget=150")
    assert none_dropped["dropped_demonstrations"] == 0
    dropped = 0
    for full, cut in zip(every, some, strict=True):
        kept = len(cut.demonstrations)
        dropped += len(full.demonstrations) - kept
        assert [d.answer for d in cut.demonstrations] == [
            d.answer for d in full.demonstrations[4 - kept :]
        ]
        experiment, corpus = an_experiment()
        head = len(experiment.prompt.task(corpus.labels, "simplified").instruction)
        if kept:
            assert sum(len(d.text) for d in cut.demonstrations) - head <= 150
    assert counts["dropped_demonstrations"] == dropped > 0
    nothing, *_ = asked(tmp_path / "nothing", "regime.token_budget=0")
    assert all(not each.demonstrations for each in nothing)
    assert nothing[0].prompt.startswith("请列出")


# ---------------------------------------------------------------- no leaks


def a_sentence(id_: str, text: str, split: str = "train") -> Sentence:
    return Sentence(id_, split, "FT", text, None, (), text)


def test_no_test_text_and_no_duplicate_is_a_candidate() -> None:
    train = [
        a_sentence("a", "胃痛，NS1？"), a_sentence("b", "头痛。"), a_sentence("c", "头 痛！"),
        a_sentence("d", "发烧"), a_sentence("e", "！"), a_sentence("f", "？"),
    ]  # fmt: skip
    pool, counts = pool_of(train, [a_sentence("t", "胃痛ｎｓ１。", "test")])
    assert [each.id for each in pool.sentences] == ["b", "d", "e", "f"]
    assert list(counts.values()) == [4, 1, 1]
    assert text_key("胃痛，NS1？") == text_key("胃痛ｎｓ１")


def test_a_sentence_is_never_shown_to_itself(tmp_path: Path) -> None:
    for words in (("regime.selection=knn",), ("regime.selection=random", "regime.k=300")):
        experiment, corpus = an_experiment(*words, "regime.token_budget=null")
        prompt = prompt_for(experiment, corpus, tmp_path / words[0])
        texts = [sentence.model_text for sentence in corpus.train[:30]]
        for text, question in zip(texts, prompt.ask(texts), strict=True):
            shown = [each.question for each in question.demonstrations]
            assert len(shown) == experiment.regime.k
            assert not [each for each in shown if f"句子：{text}\n" in each]


def test_a_dataset_without_anything_to_show_is_refused(tmp_path: Path) -> None:
    experiment, corpus = an_experiment()
    with pytest.raises(InputError, match="none of the 0 training sentences"):
        prompt_for(experiment, replace(corpus, train=()), tmp_path)


def test_a_missing_training_file_is_an_error(tmp_path: Path) -> None:
    test = tmp_path / "test.txt"
    test.write_text("胃 B-BODY\n\n", encoding="utf-8")
    words = ["dataset=column_files", f"dataset.test={{FT: {test}}}", "dataset.train=absent.txt"]
    with pytest.raises(InputError, match=r"absent\.txt: no such file"):
        an_experiment(*words)
    assert an_experiment(*words, "regime=zero_shot")[1].train == ()


def test_the_pool_comes_back_from_its_file(tmp_path: Path) -> None:
    _, corpus = an_experiment()
    pool, _ = pool_of(corpus.train, corpus.test)
    write_pool(tmp_path / "pool.jsonl", pool)
    again = read_pool(tmp_path / "pool.jsonl")
    assert [(s.id, s.model_text, s.entities) for s in again.sentences] == [
        (s.id, s.model_text, s.entities) for s in pool.sentences
    ]
    (tmp_path / "pool.jsonl").write_text(
        '{"id": "a", "text": "胃", "entities": [[0, 2, "BODY"]]}\n'
    )
    with pytest.raises(InputError, match="line 1: not a candidate"):
        read_pool(tmp_path / "pool.jsonl")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("regime.k=0", "regime.k=0"),
        ("regime.selection=near", "give one of random, knn"),
        ("regime.order=any", "give one of nearest_last"),
        ("regime.token_budget=-1", "regime.token_budget=-1"),
        ("regime.ngrams=[2,1]", "regime.ngrams"),
        ("regime.per_sentence=true", "regime.selection=random"),
    ],
)
def test_a_wrong_knob_is_named(words: str, said: str) -> None:
    def checked() -> None:
        experiment, corpus = an_experiment(words)
        experiment.check(corpus)

    with pytest.raises(InputError, match=said.replace(".", r"\.")):
        checked()


# ---------------------------------------------------------------- models


def test_a_chat_model_reads_turns_and_a_base_model_text(tiny_chat: Path, tiny_llama: Path) -> None:
    from chmed_ner.model.checkpoint.loading import load_tokenizer

    shown = (Demonstration("甲？", "乙"), Demonstration("丙？", "丁"))
    chat = load_tokenizer(str(tiny_chat))
    ids = wrapping(chat, "auto", {}).prompt_ids("戊？", shown)
    turns = "".join(
        f"<turn>{role}\n{text}</turn>\n"
        for role, text in zip(
            ["user", "assistant"] * 3, ["甲？", "乙", "丙？", "丁", "戊？"], strict=False
        )
    )
    assert chat.decode(ids) == f"{turns}<turn>assistant\n"
    base = load_tokenizer(str(tiny_llama))
    text = "甲？乙\n\n丙？丁\n\n戊？"
    assert wrapping(base, "auto", {}).prompt_ids("戊？", shown) == base.encode(text)
    chat.chat_template = "{{ messages[-1].content }}|"  # knows no earlier turns
    assert chat.decode(wrapping(chat, "auto", {}).prompt_ids("戊？", shown)) == f"{text}|"


def test_an_endpoint_is_sent_turns_or_text() -> None:
    from chmed_ner.backbone.api.messages import Wording

    def body(**knobs: Any) -> dict[str, Any]:
        knobs |= {"base_url": "http://127.0.0.1:9/v1", "model": "m"}
        return Wording(option("backbone", "openai_compatible", **knobs), ()).body(asked)

    asked = Request("a", "test", "FT", "丙？", 9, demonstrations=(Demonstration("甲？", "乙"),))
    messages = body(system="s")["messages"]
    assert [each["role"] for each in messages] == ["system", "user", "assistant", "user"]
    assert [each["content"] for each in messages] == ["s", "甲？", "乙", "丙？"]
    assert body(endpoint="completions")["prompt"] == "甲？乙\n\n丙？"


def run(output: Path, *words: str) -> Path:
    """A finished run's directory."""
    ran = main(["run", "tracking=dry", f"paths.output={output}", *words])
    assert ran == 0
    return max((output / "runs").iterdir())


def record(directory: Path) -> dict[str, Any]:
    found = json.loads((directory / "run.json").read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


TINY = ("dataset.genres=[WA]", "limit.train=24", "limit.validation=2", "limit.test=2")


FAST = {("inline", "zero_shot"), ("json", "few_shot"), ("bio", "lora")}
"""One format a regime is tried in every run of the tests, the others in the slow ones."""
CELLS = [
    pytest.param(*cell, marks=() if cell in FAST else pytest.mark.slow)
    for cell in product(FORMATS, ("zero_shot", "few_shot", "lora"))
]


@pytest.mark.parametrize(("prompt", "regime"), CELLS)
def test_every_format_under_every_regime_on_a_model(
    prompt: str, regime: str, tiny_llama: Path, tmp_path: Path
) -> None:
    words = [
        f"prompt={prompt}", f"regime={regime}", "backbone=causal_lm",
        f"backbone.path={tiny_llama}", "backbone.dtype=float32", "decoding.spare_tokens=4",
        "decoding.tokens_per_character=0", *TINY,
        *(["regime.k=2"] if regime == "few_shot" else []),
        *(["regime.epochs=1", "regime.max_tokens=400"] if regime == "lora" else []),
    ]  # fmt: skip
    directory = run(tmp_path, *words)
    metrics = json.loads((directory / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["parse/truncated_rate"] > 0
    counts = record(directory)["counts"]
    logged = {
        "zero_shot": set(),
        "few_shot": {"demonstration_candidates", "dropped_demonstrations"},
        "lora": {"truncated_examples", "skipped_examples"},
    }[regime]
    assert logged <= counts.keys()


@pytest.mark.parametrize("prompt", FORMATS)
def test_every_format_few_shot_on_a_perfect_model(prompt: str, tmp_path: Path) -> None:
    directory = run(
        tmp_path, f"prompt={prompt}", "backbone=scripted", "backbone.noise=0", "regime=few_shot",
        *TINY,
    )  # fmt: skip
    metrics = json.loads((directory / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["infer/mention_f1"] == 100
    assert record(directory)["training_files"]


# ---------------------------------------------------------------- resume, rescore, predict


def test_predict_shows_what_the_run_showed_and_answers_alike(
    tiny_llama: Path, tmp_path: Path
) -> None:
    words = ("backbone=causal_lm", f"backbone.path={tiny_llama}", "backbone.dtype=float32")
    directory = run(tmp_path, *words, "regime=few_shot", "regime.k=2", "limit.test=3",
                    "dataset.genres=[WA]")  # fmt: skip
    lines = (directory / "predictions.jsonl").read_text(encoding="utf-8").splitlines()
    scored = [json.loads(line) for line in lines]
    before = {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}
    predictor = load(directory)
    try:
        again = predictor.predict([each["sentence"] for each in scored])
        unseen = predictor.predict(["我昨天頭痛，吃了止痛藥。"])
    finally:
        predictor.close()
    assert [dict(each.problems) for each in again] == [each["problems"] for each in scored]
    assert [[(e.start, e.end, e.type) for e in each.entities] for each in again] == [
        [(e["start"], e["end"], e["type"]) for e in each["entities"]] for each in scored
    ]
    assert len(unseen) == 1
    assert {path: path.read_bytes() for path in before} == before


def told(lines: bytes) -> dict[str, tuple[str, str]]:
    """Prompt and answer of each sentence; a half-done batch is asked again whole."""
    found = [json.loads(line) for line in lines.decode("utf-8").splitlines()]
    return {each["id"]: (each["prompt_sha256"], each["text"]) for each in found}


@pytest.mark.parametrize("selection", ["knn", "random"])
def test_resume_and_rescore_ask_the_same_questions(selection: str, tmp_path: Path) -> None:
    words = ("backbone=scripted", "regime=few_shot", f"regime.selection={selection}", *TINY)
    directory = run(tmp_path, *words)
    done = (directory / "completions.jsonl").read_bytes()
    (directory / "completions.jsonl").write_bytes(done[: done.index(b"\n") + 1])
    assert (
        main(["run", *words, "tracking=dry", f"paths.output={tmp_path}", f"resume={directory}"])
        == 0
    )
    assert told((directory / "completions.jsonl").read_bytes()) == told(done)
    assert main(["rescore", str(directory), "restoration=first", "tracking=dry"]) == 0
