"""`dataset.split_seed`: which sentences the splits have, apart from the run's seed."""

import pytest

from chmed_ner.data.corpus import Corpus
from chmed_ner.errors import InputError
from chmed_ner.files import PACKAGE
from chmed_ner.run.config import compose, configure
from chmed_ner.track.record import config_hash

SAMPLE = PACKAGE / "data" / "sample"
CARVED = (
    "dataset=column_files", f"dataset.train={SAMPLE / 'train_WA.txt'}",
    f"dataset.test={{WA: '{SAMPLE / 'test_WA.txt'}'}}", "dataset.validation_share=0.2",
    "dataset.empty_share=0.5", "limit.train=30", "limit.validation=10", "limit.test=10",
)  # fmt: skip


def corpus_of(*words: str) -> Corpus:
    return configure(compose([*CARVED, *words]), {}).load()


def splits(corpus: Corpus) -> tuple[list[str], ...]:
    parts = (corpus.train, corpus.validation, corpus.test)
    return tuple([sentence.id for sentence in part] for part in parts)


def test_null_means_the_run_s_own_seed() -> None:
    assert splits(corpus_of("seed=4")) == splits(corpus_of("seed=9", "dataset.split_seed=4"))
    of_4, of_9 = splits(corpus_of("seed=4")), splits(corpus_of("seed=9"))
    assert all(one != other for one, other in zip(of_4, of_9, strict=True))


def test_seeds_share_their_sentences_and_are_other_runs() -> None:
    first, second = (
        configure(compose([*CARVED, f"seed={seed}", "dataset.split_seed=4"]), {}) for seed in (1, 2)
    )
    assert splits(first.load()) == splits(second.load())
    assert config_hash(first.config, {}, "") != config_hash(second.config, {}, "")


def test_comparisons_read_the_test_split_that_was_scored() -> None:
    experiment = configure(compose([*CARVED, "seed=9", "dataset.split_seed=4"]), {})
    alone = experiment.dataset.load_test(experiment.data, seed=9, limit=experiment.limit)  # type: ignore[attr-defined]
    assert alone.test == experiment.load().test


@pytest.mark.parametrize("seed", ["1.5", "true", "some"])
def test_a_seed_is_a_whole_number(seed: str) -> None:
    with pytest.raises(InputError, match=r"dataset\.split_seed=.*whole number or null"):
        corpus_of(f"dataset.split_seed={seed}")
