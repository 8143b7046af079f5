"""`hints@prompt.hints`: known mentions in the prompt, in training by the other sentences."""

import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import chmed_ner
from chmed_ner.cli import main
from chmed_ner.data.corpus import Corpus
from chmed_ner.entities.labels import label_scheme
from chmed_ner.entities.types import Mention, Sentence, Span
from chmed_ner.errors import InputError
from chmed_ner.files import text_sha256
from chmed_ner.model.asking import Request
from chmed_ner.prompt import TaskPrompt
from chmed_ner.prompt.lexicon_hints import HINTS_FILE, LexiconHints, add_hints
from chmed_ner.run.config import compose, configure
from chmed_ner.run.experiment import Experiment
from chmed_ner.run.extractors import Predictor
from chmed_ner.run.runner import read_corpus

ON = "hints@prompt.hints=lexicon"
LABELS = label_scheme(
    "two",
    {
        "SYMP": {"traditional": "症狀", "simplified": "症状"},
        "BODY": {"traditional": "人體", "simplified": "人体"},
    },
)
Run = Callable[..., Path]


@pytest.fixture(autouse=True)
def _loggers_as_before() -> Iterator[None]:
    handlers = list(logging.root.handlers)
    yield
    for handler in [each for each in logging.root.handlers if each not in handlers]:
        logging.root.removeHandler(handler)
        handler.close()


@pytest.fixture
def run(tmp_path: Path) -> Run:
    """`chmed-ner run` on the sample with the words given; its directory."""

    def call(*words: str, code: int = 0) -> Path:
        before = set(tmp_path.glob("out/runs/*/run.json"))
        common = [
            "backbone=scripted", "regime=zero_shot", "tracking=dry", "limit.train=40",
            "limit.validation=3", "limit.test=3", f"paths.output={tmp_path / 'out'}",
        ]  # fmt: skip
        assert main(["run", *common, *words]) == code
        new = set(tmp_path.glob("out/runs/*/run.json")) - before
        return next(iter(new)).parent if new else tmp_path

    return call


def opened(*words: str) -> tuple[Experiment, Corpus, TaskPrompt]:
    """An experiment on the sample, and its prompt with hints."""
    experiment = configure(compose([ON, *words]), {})
    corpus = read_corpus(experiment)
    prompt = experiment.prompt.task(corpus.labels, experiment.script.name)
    return experiment, corpus, add_hints(prompt, corpus.train)


def a_corpus(*annotated: tuple[str, str]) -> Corpus:
    """Training sentences, each with the one string in it that is an entity (SYMP), or none."""
    train = []
    for number, (text, mention) in enumerate(annotated):
        start = text.index(mention)
        spans = (Span(start, start + len(mention), "SYMP"),) if mention else ()
        train.append(Sentence(str(number), "train", "FT", text, None, spans, text))
    return Corpus("mine", LABELS, tuple(train), (), ())


def hinter_of(corpus: Corpus, threshold: float = 0.0) -> LexiconHints:
    words = [ON, f"prompt.hints.threshold={threshold}"]
    prompt = configure(compose(words), {}).prompt.task(LABELS, "simplified")
    hinter = add_hints(prompt, corpus.train).hinter
    assert isinstance(hinter, LexiconHints)
    return hinter


def test_a_training_sentence_is_hinted_by_the_others_alone() -> None:
    corpus = a_corpus(
        ("头痛。", "头痛"), ("他头痛", "头痛"), ("胸闷。", "胸闷"), ("胸闷。", "胸闷"), ("没事", "")
    )
    hinter = hinter_of(corpus)
    shared, own = (Mention("头痛", "SYMP"),), (Mention("胸闷", "SYMP"),)
    hints = [hinter.hints_without(sentence) for sentence in corpus.train]
    assert hints == [shared, shared, (), (), ()], "its own mention, and its duplicate's, is unknown"
    assert [hinter.hints(s.model_text) for s in corpus.train] == [shared, shared, own, own, ()]


def test_the_threshold_is_on_the_occurrences_in_other_sentences() -> None:
    corpus = a_corpus(("腹痛", "腹痛"), ("腹痛了", "腹痛"), ("不腹痛", ""), ("也不腹痛", ""))
    asked = {share: hinter_of(corpus, share).hints("腹痛") for share in (0.5, 0.51)}
    assert (len(asked[0.5]), len(asked[0.51])) == (1, 0)
    learnt = {
        share: hinter_of(corpus, share).hints_without(corpus.train[0]) for share in (0.33, 0.34)
    }
    assert (len(learnt[0.33]), len(learnt[0.34])) == (1, 0), "one of the three other occurrences"


def test_leaving_a_sentence_out_is_as_if_it_had_not_been_there() -> None:
    """Against a lexicon counted anew without the sentence's text, on real sentences."""
    experiment, corpus, prompt = opened("limit.train=60")
    assert prompt.hinter is not None
    found = 0
    for at in range(0, len(corpus.train), 4):
        sentence = corpus.train[at]
        others = tuple(s for s in corpus.train if s.model_text != sentence.model_text)
        rest = Corpus(corpus.name, corpus.labels, others, (), ())
        plain = experiment.prompt.task(corpus.labels, experiment.script.name)
        anew = add_hints(plain, rest.train).hinter
        assert anew is not None
        expected = anew.hints(sentence.model_text)
        assert prompt.hinter.hints_without(sentence) == expected
        found += len(expected)
    assert found > 5


def test_the_line_of_hints_follows_that_of_the_sentence() -> None:
    for option in ("extraction", "json", "inline", "bio"):
        _, corpus, prompt = opened(f"prompt={option}", "regime=zero_shot", "limit.train=60")
        plain = configure(compose([f"prompt={option}"]), {}).prompt.task(
            corpus.labels, "simplified"
        )
        for sentence in corpus.test[:20]:
            lines = prompt.fill(sentence.model_text).split("\n")
            at = lines.index(f"句子：{sentence.model_text}") + 1
            hints = lines.pop(at)
            assert "\n".join(lines) == plain.fill(sentence.model_text)
            assert hints == "词典：无" or all(
                mention in sentence.model_text and name in plain.labels.names("simplified")
                for mention, _, name in (
                    each.rpartition("-") for each in hints.removeprefix("词典：").split("、")
                )
            )
        assert any("词典：无" not in prompt.fill(s.model_text) for s in corpus.test)


def test_traditional_prompts_have_traditional_hints() -> None:
    _, corpus, prompt = opened("script=traditional", "limit.train=20")
    assert all("\n詞典：" in prompt.fill(sentence.model_text) for sentence in corpus.test[:5])


def test_what_is_tuned_on_does_not_give_itself_away() -> None:
    _, corpus, prompt = opened("prompt.hints.threshold=0", "limit.train=60")
    strings = [s.model_text[e.start : e.end] for s in corpus.train for e in s.entities]
    alone = 0
    for sentence in corpus.train:
        question, answer = prompt.pair(sentence)
        assert answer == prompt.target(sentence)
        line = next(each for each in question.split("\n") if each.startswith("词典："))
        for span in sentence.entities:
            mention = sentence.model_text[span.start : span.end]
            if strings.count(mention) == 1:
                alone += 1
                assert f"{mention}-" not in line.replace("词典：", "、").split("、")
                assert f"：{mention}-" not in line
                assert f"、{mention}-" not in line
                assert f"{mention}-" in prompt.fill(sentence.model_text)
    assert alone > 5


@pytest.mark.parametrize(
    "words", [("regime=zero_shot",), ("regime=few_shot", "regime.k=2", "regime.token_budget=null")]
)
def test_a_finished_run_asks_raw_text_the_same(run: Run, words: tuple[str, ...]) -> None:
    directory = run(ON, *words)
    predictions = (directory / "predictions.jsonl").read_text("utf-8").splitlines()
    texts = {row["id"]: row["sentence"] for row in map(json.loads, predictions)}
    completions = (directory / "completions.jsonl").read_text("utf-8").splitlines()
    asked = {row["id"]: row["prompt_sha256"] for row in map(json.loads, completions)}
    model = chmed_ner.load(directory)
    assert isinstance(model, Predictor)
    originals = [model.script.convert(text) for text in texts.values()]
    for id_, question in zip(texts, model.prompt.ask(originals), strict=True):
        request = Request(
            id_, "test", "FT", question.prompt, 1, demonstrations=question.demonstrations
        )
        assert text_sha256(request.text) == asked[id_]
    model.close()


def test_an_untuned_run_with_hints_has_learnt_from_the_training_files(run: Run) -> None:
    for words, learns in (((), False), ((ON,), True)):
        record = json.loads((run(*words) / "run.json").read_text("utf-8"))
        assert bool(record["training_files"]) == learns


def test_a_lexicon_that_has_changed_is_named(run: Run) -> None:
    directory = run(ON)
    path = directory / HINTS_FILE
    kept = json.loads(path.read_text("utf-8"))
    for spoilt in ({"头": [1, {"BODY": 2}]}, {"头": "x"}, [], {"头": [1, {"PAIN": 1}]}):
        path.write_text(json.dumps(spoilt), encoding="utf-8")
        with pytest.raises(InputError, match=r"hints/lexicon\.json"):
            chmed_ner.load(directory)
    path.unlink()
    with pytest.raises(InputError, match=r"hints/lexicon\.json: no such file"):
        chmed_ner.load(directory)
    assert all(0 < sum(types.values()) <= n for n, types in kept.values())


def test_an_adapter_is_scored_with_the_lexicon_it_was_tuned_with(
    run: Run, tiny_llama: Path
) -> None:
    common = [
        "backbone=causal_lm", f"backbone.path={tiny_llama}", "backbone.dtype=float32",
        "backbone.device=cpu", "limit.train=6", "decoding.tokens_per_character=0",
    ]  # fmt: skip
    tuned = run(*common, ON, "regime=lora", "regime.epochs=1")
    again = [*common, "regime=adapter", f"regime.path={tuned}"]
    scored = run(*again, ON, "limit.train=12")
    assert (scored / HINTS_FILE).read_bytes() == (tuned / HINTS_FILE).read_bytes()
    plain = run(*common, "regime=lora", "regime.epochs=1")
    run(*common, ON, "regime=adapter", f"regime.path={plain}", code=2)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["prompt.hints.threshold=1.5"], r"prompt\.hints\.threshold=1\.5"),
        (["prompt.hints.wording.simplified=x"], r"must hold \{hints\}"),
        (["script=traditional", "~prompt.hints.wording.traditional"], "script=traditional"),
    ],
)
def test_settings_that_make_no_sense_are_refused(words: list[str], says: str) -> None:
    with pytest.raises(InputError, match=says):
        opened(*words)
