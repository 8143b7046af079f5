"""`method=tagger` from its command line to its predictions, on tiny models of each kind."""

import random
import shutil
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import chmed_ner
from chmed_ner.data.predictions import write_columns
from chmed_ner.entities.bio import chunks, tags_of
from chmed_ner.entities.labels import Simplified
from chmed_ner.entities.types import Span
from chmed_ner.errors import InputError
from chmed_ner.run.config import compose, configure

SYMPTOMS = ["頭痛", "發燒", "咳嗽", "胸悶", "腹瀉", "關節僵硬"]
DRUGS = ["aspirin", "普拿疼", "胰島素", "vitamin C"]
FILLER = ["病人因", "持續三天，", "建議服用", "但仍有", "。", "與", "而就醫 ", "每天兩次"]


def sentences(count: int, seed: int) -> list[tuple[str, tuple[str, ...]]]:
    """Sentences of a toy language, with their tags."""
    chance = random.Random(seed)
    found = []
    for _ in range(count):
        text, spans = "", []
        for _ in range(chance.randint(2, 4)):
            text += chance.choice(FILLER)
            type_ = chance.choice(["SYMP", "DRUG"])
            word = chance.choice(SYMPTOMS if type_ == "SYMP" else DRUGS)
            spans.append(Span(len(text), len(text) + len(word), type_))
            text += word
        found.append((text, tags_of(spans, len(text))))
    return found


@pytest.fixture(scope="session")
def toy(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """The words that name a toy corpus."""
    folder = tmp_path_factory.mktemp("toy")
    for name, count, seed in (("train", 130, 1), ("validation", 20, 2), ("test", 25, 3)):
        write_columns(folder / f"{name}.txt", sentences(count, seed))
    (folder / "symptoms.txt").write_text("\n".join(SYMPTOMS), encoding="utf-8")
    return (
        "dataset=column_files", "dataset.train={FT: train.txt}", "dataset.test={FT: test.txt}",
        "dataset.validation={FT: validation.txt}", f"paths.data={folder}",
    )  # fmt: skip


ENCODER = (
    "method=tagger", "backbone=encoder", "backbone.dtype=float32", "method.rank=null",
    "method.learning_rate=2e-3", "method.head_learning_rate=5e-3", "method.epochs=4",
    "method.batch_size=8", "method.recurrent=0",
)  # fmt: skip
DECODER = (
    "method=tagger", "backbone=causal_lm", "backbone.dtype=float32", "method.rank=8",
    "method.learning_rate=5e-3", "method.head_learning_rate=5e-3", "method.epochs=4",
    "method.batch_size=8", "method.recurrent=24",
)  # fmt: skip


@pytest.fixture(scope="session")
def tagger_run(
    toy: Sequence[str], bert: Callable[..., Path], finished: Callable[..., Any]
) -> tuple[Any, tuple[str, ...]]:
    """A finished run of a tiny BERT with features of lexicon and word list, and its words."""
    listed = ("gazetteer=files", "+gazetteer.lists.known={file: symptoms.txt}")
    words = (*ENCODER, *toy, f"backbone.path={bert()}", "method.lexicon=true", *listed)
    return finished(*words), words


def test_an_encoder_learns_a_toy_language(tagger_run: Any) -> None:
    ran, _ = tagger_run
    assert ran.metrics()["test/f1"] > 90
    content = ran.read("model/tagger.json")
    assert content["validation_f1"] > 90
    assert set(content["lexicon"]["lists"]["known"]) == {*map(Simplified().convert, SYMPTOMS)}
    assert any(each.startswith("known word=B:") for each in content["lexicon"]["features"])
    assert ran.read("run.json")["counts"]["trained_parameters"] == content["trained_parameters"]
    assert {row["split"] for row in ran.rows("validation")} == {"validation"}
    assert {path.name for path in (ran.directory / "model").iterdir()} == {
        "tagger.json", "tagger.safetensors",
    }  # fmt: skip
    assert not (ran.directory / "checkpoint.safetensors").exists()


@pytest.mark.parametrize(
    "how",
    [
        (),
        ("method.crf=false", "method.lexicon=true", "method.tokens_at_once=200"),
    ],
    ids=["causal", "softmax"],
)
def test_a_decoder_learns_a_toy_language(
    how: tuple[str, ...], toy: Sequence[str], tiny_gemma3: Path, finished: Callable[..., Any]
) -> None:
    ran = finished(*DECODER, *toy, f"backbone.path={tiny_gemma3}", *how)
    assert ran.metrics()["test/f1"] > 90


def test_entities_inside_others_are_learnt(
    tiny_gemma3: Path, run: Callable[..., Any], tmp_path: Path
) -> None:
    chance = random.Random(4)
    for name, count in (("train", 130), ("validation", 20), ("test", 25)):
        lines = []
        for _ in range(count):
            before, part = chance.choice(FILLER).strip(), chance.choice(["左膝", "胸部", "肩"])
            drug, complaint = chance.choice(DRUGS[1:3]), chance.choice(["疼痛", "腫", "發炎"])
            start = len(before)
            inner, outer = start + len(part) - 1, start + len(part) + len(complaint) - 1
            line = f"{before}{part}{complaint}用{drug}|||{start} {inner} bod|||"
            line += f"{start} {outer} sym|||{outer + 2} {outer + 1 + len(drug)} dru|||"
            if complaint == "腫":  # of its own type: left out, and said
                line += f"{start} {start} bod|||" if len(part) > 1 else ""
            lines.append(line)
        (tmp_path / f"{name}.txt").write_text("\n".join(lines), encoding="utf-8")
    ran = run(
        *DECODER, "method.epochs=14", f"backbone.path={tiny_gemma3}", "dataset=column_files",
        "dataset.format=pipes",
        "+dataset.options={end: inclusive}", "labels@dataset.labels=cmeee",
        "dataset.train=train.txt", "dataset.validation=validation.txt", "dataset.test=test.txt",
        f"paths.data={tmp_path}",
    )  # fmt: skip
    metrics = ran.metrics()
    assert metrics["nested/inside/recall"] > 60
    assert metrics["nested/outermost/f1"] > 90
    model: Any = chmed_ner.load(ran.directory)
    texts = [row["sentence"] for row in ran.rows()]
    found = model.model.find(texts)
    judged = model.model.judge(texts, [spans[::-1] for spans in found])
    model.close()
    assert [spans[::-1] for spans in judged] == found
    assert "learns no entities inside others of their type" in ran.said


def test_every_weight_of_a_decoder_in_half_precision(
    toy: Sequence[str], tiny_llama: Path, finished: Callable[..., Any]
) -> None:
    words = (
        "method.rank=null", "backbone.dtype=bfloat16", "method.learning_rate=2e-3",
        "method.epochs=8",
    )  # fmt: skip
    ran = finished(*DECODER, *toy, f"backbone.path={tiny_llama}", *words)
    assert ran.metrics()["test/f1"] > 90


def test_the_same_seed_gives_the_same_model(tagger_run: Any, finished: Callable[..., Any]) -> None:
    ran, words = tagger_run
    again = finished(*words)
    for name in ("predictions.jsonl", "model/tagger.json", "model/tagger.safetensors"):
        assert (again.directory / name).read_bytes() == (ran.directory / name).read_bytes()
    other = finished(*words, "seed=14")
    name = "model/tagger.safetensors"
    assert (other.directory / name).read_bytes() != (ran.directory / name).read_bytes()


def test_predict_gives_the_run_s_own_predictions(tagger_run: Any) -> None:
    rows = tagger_run[0].rows()
    model = chmed_ner.load(tagger_run[0].directory)
    texts = [row["sentence"] for row in rows]
    found = model.predict([*texts, "", " ", "\ud800", "頭痛" * 400])
    model.close()
    assert [
        [{"start": s.start, "end": s.end, "type": s.type} for s in each.entities]
        for each in found[: len(rows)]
    ] == [[{k: e[k] for k in ("start", "end", "type")} for e in row["entities"]] for row in rows]
    assert found[len(rows)].entities == ()
    assert found[-1].entities[-1].end == 800  # twice as long as the model has positions


def test_it_is_as_sure_of_a_given_entity_as_of_the_same_found(tagger_run: Any) -> None:
    model: Any = chmed_ner.load(tagger_run[0].directory)
    texts = [row["sentence"] for row in tagger_run[0].rows()]
    found = model.model.find(texts)
    judged = model.model.judge(texts, found)
    assert judged == found
    confidences = [[span.confidence for span in spans] for spans in judged]
    assert any(confidences)
    for sure, spans in zip(confidences, found, strict=True):
        assert sure == pytest.approx([span.confidence for span in spans], abs=1e-5)
    text, (first, *_) = next(each for each in zip(texts, found, strict=True) if each[1])
    other = "DRUG" if first.type == "SYMP" else "SYMP"
    asked = [replace(first, type=type_) for type_ in (other, first.type, "NEW")]
    nothing, (wrong, right, new) = model.model.judge(["", text], [(), asked])
    model.close()
    assert nothing == ()
    assert right.confidence == pytest.approx(first.confidence, abs=1e-5)
    assert 0 < wrong.confidence < 1 - right.confidence + 1e-5
    assert new.confidence == 0


def test_tags_are_legal_whatever_the_text(tagger_run: Any) -> None:
    model: Any = chmed_ner.load(tagger_run[0].directory)
    chance = random.Random(5)
    letters = "頭痛發燒咳嗽普拿疼 aspirin\u200b𠮷½"
    texts = ["".join(chance.choices(letters, k=chance.randint(1, 60))) for _ in range(60)]
    for text, spans in zip(texts, model.model.find(texts), strict=True):
        assert chunks(tags_of(spans, len(text))) == spans
    model.close()


def test_a_finished_model_is_not_trained_again(
    tagger_run: Any, finished: Callable[..., Any], tmp_path: Path
) -> None:
    ran, words = tagger_run
    copy = tmp_path / "copy"
    shutil.copytree(ran.directory, copy)
    before = (copy / "model" / "tagger.safetensors").stat().st_mtime_ns
    (copy / "predictions.jsonl").unlink()
    finished(*words, f"resume={copy}")
    assert (copy / "model" / "tagger.safetensors").stat().st_mtime_ns == before
    name = "predictions.jsonl"
    assert (copy / name).read_bytes() == (ran.directory / name).read_bytes()


def test_a_training_that_was_interrupted_goes_on_as_if_it_had_not_been(
    tagger_run: Any, finished: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from chmed_ner.methods.tagger.network import TaggerNetwork

    ran, words = tagger_run
    words = (*words, "method.checkpoint_minutes=0")
    loss, calls = TaggerNetwork.loss, 0

    def stops(network: TaggerNetwork, batch: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > 25:  # in the second epoch
            raise KeyboardInterrupt
        return loss(network, batch)

    with monkeypatch.context() as patch:
        patch.setattr(TaggerNetwork, "loss", stops)
        stopped = finished(*words, code=130)
    assert (stopped.directory / "checkpoint.safetensors").is_file()
    finished(*words, f"resume={stopped.directory}")
    for name in ("predictions.jsonl", "model/tagger.safetensors"):
        assert (stopped.directory / name).read_bytes() == (ran.directory / name).read_bytes()
    assert not (stopped.directory / "checkpoint.safetensors").exists()


@pytest.mark.parametrize("damage", ["other", "absent", "no json"])
def test_other_weights_are_refused(tagger_run: Any, tmp_path: Path, damage: str) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(tagger_run[0].directory, copy)
    weights = copy / "model" / "tagger.safetensors"
    if damage == "absent":
        weights.unlink()
    elif damage == "other":
        weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    else:
        (copy / "model" / "tagger.json").write_text("[]")
    with pytest.raises(InputError, match="run the method again"):
        chmed_ner.load(copy)


def test_a_sentence_longer_than_the_model_is_read_in_windows(
    toy: Sequence[str], bert: Callable[..., Path], finished: Callable[..., Any]
) -> None:
    words = (*ENCODER, *toy, f"backbone.path={bert(positions=30)}", "method.epochs=3")
    assert finished(*words).metrics()["test/f1"] > 80


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("backbone=scripted",), "backbone"),
        (("backbone.dtype=float16",), "use bfloat16 or float32"),
        (("backbone.device=split",), "a tagger needs one device"),
        (("method.targets=[nothing]",), "method.targets="),
        (("method.window=12",), "method.window=12: "),
        (("gazetteer=files",), "set method.lexicon=true"),
    ],
)
def test_refused_with_the_cure(
    words: tuple[str, ...], said: str, run: Any, toy: Sequence[str], tiny_llama: Path
) -> None:
    path = () if "backbone=scripted" in words else (f"backbone.path={tiny_llama}",)
    ended = run("method=tagger", "backbone=causal_lm", *toy, *path, *words)
    assert ended.code == 2
    assert said in ended.said
    assert "Traceback" not in ended.said


@pytest.mark.parametrize(
    "word",
    [
        "method.rank=0", "method.alpha=0", "method.dropout=1", "method.lora_dropout=-0.1",
        "method.recurrent=-1", "method.window=0", "method.learning_rate=0",
        "method.head_learning_rate=-1", "method.epochs=0", "method.batch_size=0",
        "method.schedule=none", "method.warmup_share=1", "method.weight_decay=-1",
        "method.clip_norm=0", "method.tokens_at_once=0", "method.checkpoint_minutes=-1",
    ],
)  # fmt: skip
def test_a_setting_that_makes_no_sense_is_refused_by_name(word: str) -> None:
    with pytest.raises(InputError, match=word.split("=")[0].replace(".", r"\.")):
        configure(compose(["method=tagger", word]), {})


def test_quantised_weights_take_adapters_only(toy: Sequence[str], tiny_llama: Path) -> None:
    words = ("backbone=causal_lm", f"backbone.path={tiny_llama}", "backbone.quantization=int8")
    experiment = configure(compose(["method=tagger", *toy, *words, "method.rank=null"]), {})
    with pytest.raises(InputError, match=r"method\.rank=null tunes every weight.*give a rank"):
        experiment.method.check(experiment, experiment.load())


def test_an_encoder_generates_nothing(bert: Callable[..., Path], run: Any) -> None:
    ended = run("backbone=encoder", f"backbone.path={bert()}", "regime=zero_shot")
    assert ended.code == 2
    assert "an encoder writes no text; use method=tagger" in ended.said


def test_a_checkpoint_that_is_no_encoder_s(tmp_path: Path, run: Any, toy: Sequence[str]) -> None:
    (tmp_path / "config.json").write_text('{"model_type": "bert"}')
    ended = run("method=tagger", "backbone=encoder", f"backbone.path={tmp_path}", *toy)
    assert ended.code == 2
    assert f"backbone.path={tmp_path}: cannot be loaded" in ended.said
