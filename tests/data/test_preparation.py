"""The training split prepared: conflicting types repaired, copies with other mentions added."""

from collections import Counter
from collections.abc import Sequence

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from chmed_ner.cli import main
from chmed_ner.data.augmentation import replaced_copies
from chmed_ner.data.changes import log_changes
from chmed_ner.data.conflicts import conflicting_mentions, with_majority_types
from chmed_ner.data.corpus import Corpus
from chmed_ner.entities.bio import chunks, tags_of
from chmed_ner.entities.script import Simplified, Traditional, in_script
from chmed_ner.entities.types import Sentence, Span
from chmed_ner.errors import InputError
from chmed_ner.run.config import compose, configure
from chmed_ner.run.runner import read_corpus

TYPES = ("BODY", "DISE")
PATIENT = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


def corpus_of(*words: str) -> Corpus:
    return configure(compose(list(words)), {}).load()


@st.composite
def a_sentence(draw: st.DrawFn, number: int) -> Sentence:
    """Pieces of text, some of them entities, side by side."""
    text, spans = "", []
    for piece in draw(st.lists(st.text("胃肺心痛炎", min_size=1, max_size=5), max_size=4)):
        type_ = draw(st.sampled_from((None, *TYPES)))
        if type_:
            spans.append(Span(len(text), len(text) + len(piece), type_))
        text += piece
    text = text or "水"
    return Sentence(str(number), "train", "FT", text, tags_of(spans, len(text)), tuple(spans))


@st.composite
def some_sentences(draw: st.DrawFn) -> list[Sentence]:
    return [draw(a_sentence(number)) for number in range(draw(st.integers(0, 5)))]


def around(sentence: Sentence) -> list[str]:
    """The text before, between and behind the entities."""
    ends = [0, *(span.end for span in sentence.entities)]
    starts = [*(span.start for span in sentence.entities), len(sentence.text)]
    return [sentence.text[end:start] for end, start in zip(ends, starts, strict=True)]


def types_of(sentences: Sequence[Sentence]) -> dict[str, Counter[str]]:
    """How often each string is an entity of each type."""
    found: dict[str, Counter[str]] = {}
    for sentence in sentences:
        for span in sentence.entities:
            found.setdefault(sentence.mention(span), Counter())[span.type] += 1
    return found


@PATIENT
@given(sentences=some_sentences(), share=st.floats(0, 3), seed=st.integers(0, 3))
def test_a_copy_is_its_sentence_with_other_mentions(
    sentences: list[Sentence], share: float, seed: int
) -> None:
    own = [sentence.text for sentence in sentences]
    copies, replaced = replaced_copies(sentences, share, seed, own)
    by_id, types = {sentence.id: sentence for sentence in sentences}, types_of(sentences)
    changed = 0
    for copy in copies:
        source = by_id[copy.id.partition("~")[0]]
        assert around(copy) == around(source)
        assert copy.tags is not None
        assert chunks(copy.tags) == copy.entities
        stands: dict[tuple[str, str], str] = {}
        for before, after in zip(source.entities, copy.entities, strict=True):
            old, new = source.mention(before), copy.mention(after)
            assert after.type == before.type
            assert stands.setdefault((old, before.type), new) == new
            if new != old:
                changed += 1
                assert set(types[new]) == {after.type}
                assert abs(len(new) - len(old)) <= max(1, len(old) // 4)
    assert changed == replaced
    texts = [copy.text for copy in copies]
    assert len({*texts, *own}) == len(texts) + len(set(own))
    assert len({copy.id for copy in copies}) == len(copies)
    assert len(copies) <= round(share * sum(1 for s in sentences if s.entities))
    fewer, _ = replaced_copies(sentences, share / 2, seed, own)
    assert copies[: len(fewer)] == fewer


def test_no_copy_is_a_sentence_that_is_known() -> None:
    sentences = [
        Sentence("1", "train", "FT", "胃痛", ("B-BODY", "O"), (Span(0, 1, "BODY"),)),
        Sentence("2", "train", "FT", "肺好", ("B-BODY", "O"), (Span(0, 1, "BODY"),)),
    ]
    copies, _ = replaced_copies(sentences, 1, 0, ())
    assert {copy.text for copy in copies} == {"肺痛", "胃好"}
    copies, replaced = replaced_copies(sentences, 1, 0, ["肺痛"])
    assert ([copy.text for copy in copies], replaced) == (["胃好"], 1)


def test_copies_come_from_the_training_split_alone(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO")
    plain = corpus_of()
    caplog.clear()
    more = corpus_of("dataset.replace_entities=0.5")
    assert (more.validation, more.test) == (plain.validation, plain.test)
    assert (more.train, plain.copies) == (plain.train, ())
    copies = more.copies
    assert more.learnt == (*plain.train, *copies)
    with_entity = sum(1 for sentence in plain.train if sentence.entities)
    assert 0.4 * with_entity < len(copies) == more.counts["added_copies"] <= 0.5 * with_entity + 1
    assert more.counts["replaced_entities"] >= len(copies)
    assert types_of(copies).keys() <= types_of(plain.train).keys()
    assert not {s.text for s in copies} & {s.text for s in (*more.validation, *more.test)}
    assert {copy.split for copy in copies} == {"train"}
    log_changes(more.name, more.counts)
    assert f"{len(copies)} copies of training sentences" in caplog.text
    assert corpus_of("dataset.replace_entities=0.5").copies == copies
    assert corpus_of("dataset.replace_entities=0.5", "seed=14").copies != copies
    limited = corpus_of("dataset.replace_entities=1", "limit.train=30")
    assert limited.copies
    assert types_of(limited.copies).keys() <= types_of(limited.train).keys()
    assert plain.counts["added_copies"] == plain.counts["replaced_entities"] == 0


def mentions(*types: str, text: str = "胃痛") -> list[Sentence]:
    """A sentence for each type, its whole text one entity."""
    return [
        Sentence(f"{text}/{number}", "train", "FT", text, tags_of([span], len(text)), (span,))
        for number, type_ in enumerate(types)
        for span in [Span(0, len(text), type_)]
    ]


def test_a_rare_type_gives_way_to_the_majority() -> None:
    sentences = [
        *mentions(*["SYMP"] * 4, "DISE"),
        *mentions("BODY", "BODY", "CHEM", "CHEM", "DRUG", text="血糖"),
        *mentions("TIME", text="今天"),
    ]
    repaired, changed = with_majority_types(sentences, 0.25)
    assert changed == 1
    assert [s.entities[0].type for s in repaired[:5]] == ["SYMP"] * 5
    assert repaired[4].tags == ("B-SYMP", "I-SYMP")
    assert list(repaired[5:]) == sentences[5:], "two types are the most frequent"
    assert with_majority_types(sentences, 0.2) == (tuple(sentences), 0), "0.2 is not below 0.2"


@PATIENT
@given(sentences=some_sentences(), threshold=st.floats(0, 0.5))
def test_repairs_touch_types_alone(sentences: list[Sentence], threshold: float) -> None:
    repaired, changed = with_majority_types(sentences, threshold)
    before = [span for sentence in sentences for span in sentence.entities]
    after = [span for sentence in repaired for span in sentence.entities]
    assert [(s.start, s.end) for s in before] == [(s.start, s.end) for s in after]
    assert changed == sum(1 for old, new in zip(before, after, strict=True) if old != new)
    for sentence in repaired:
        assert sentence.tags is not None
        assert chunks(sentence.tags) == sentence.entities
    counts = types_of(sentences)
    for text, found in types_of(repaired).items():
        if found != counts[text]:
            assert found.most_common(1)[0][0] == counts[text].most_common(1)[0][0]
            assert min(counts[text].values()) / counts[text].total() < threshold


def test_conflicts_of_the_training_split_are_repaired_and_counted(
    caplog: pytest.LogCaptureFixture,
) -> None:
    plain = corpus_of()
    caplog.set_level("INFO")
    repaired = corpus_of("dataset.repair_conflicts=0.5")
    assert (repaired.validation, repaired.test) == (plain.validation, plain.test)
    left = {each.text: each.types for each in conflicting_mentions(repaired.train)}
    for each in conflicting_mentions(plain.train):
        most, second, *_ = sorted(each.types.values(), reverse=True)
        assert (each.text in left) == (most == second)
    changed = [
        (old, new)
        for old, new in zip(plain.train, repaired.train, strict=True)
        if old.entities != new.entities
    ]
    assert 0 < len(changed) <= repaired.counts["retyped_entities"]
    assert plain.counts["retyped_entities"] == 0
    log_changes(repaired.name, repaired.counts)
    assert f"{repaired.counts['retyped_entities']} training entities given" in caplog.text


@pytest.mark.parametrize(
    "word",
    ["repair_conflicts=0.6", "repair_conflicts=-0.1", "repair_conflicts=true",
     "replace_entities=-1", "replace_entities=11", "replace_entities=nan"],
)  # fmt: skip
def test_a_number_outside_its_range_is_refused(word: str) -> None:
    with pytest.raises(InputError, match=rf"dataset\.{word.partition('=')[0]}="):
        corpus_of(f"dataset.{word}")


@pytest.mark.parametrize("script", ["simplified", "traditional"])
def test_models_are_tuned_on_copies_in_the_script_they_read(script: str) -> None:
    words = [f"script={script}", "dataset.replace_entities=0.5", "limit.train=20"]
    corpus = read_corpus(configure(compose(words), {}))
    assert corpus.copies
    assert all(len(copy.model_text) == len(copy.text) for copy in corpus.copies)
    assert [copy.model_text for copy in corpus.copies] == [
        in_script(Simplified() if script == "simplified" else Traditional(), [copy])[0].model_text
        for copy in corpus.copies
    ]


def test_the_exported_training_prompts_have_the_copies(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["limit.train=20", "limit.validation=1", "limit.test=1"]
    for share, more in ((0, False), (0.5, True)):
        assert main(["prompts", "--show", "99", *words, f"dataset.replace_entities={share}"]) == 0
        assert ("~1\n" in capsys.readouterr().out) == more


@pytest.mark.parametrize(
    "words", [["method=lexicon"], ["method=crf"], ["method=tagger", "method.lexicon=true"]]
)
def test_methods_with_a_lexicon_refuse_copies(words: list[str]) -> None:
    for share in (0, 0.5):
        experiment = configure(compose([*words, f"dataset.replace_entities={share}"]), {})
        corpus = experiment.load()
        if share:
            with pytest.raises(InputError, match=r"dataset\.replace_entities: method="):
                experiment.method.check(experiment, corpus)
        elif "method=tagger" not in words:
            experiment.method.check(experiment, corpus)
