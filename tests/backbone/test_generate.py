"""Generation asks for every batch once, also across interruptions."""

import random
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from chmed_ner.backbone import (
    CompletionStore,
    generate,
    read_completions,
    stored_completions,
)
from chmed_ner.backbone.scripted import Scripted
from chmed_ner.entities.types import Completion
from chmed_ner.errors import InputError
from chmed_ner.files import text_sha256
from chmed_ner.model.asking import Reply, Request
from chmed_ner.run.config import option


class Recorder(Scripted):
    """A scripted backbone that remembers what it was asked and may be switched off."""

    def __init__(self, batches_left: int = 1000) -> None:
        super().__init__(name="scripted", noise=0.5, seed=1, batch_size=4, seconds=0.0)
        self.batches_left = batches_left
        self.asked: list[list[str]] = []

    def answer(self, batch: Sequence[Request]) -> list[Reply]:
        """KeyboardInterrupt once its batches are used up, as from Ctrl-C."""
        if not self.batches_left:
            raise KeyboardInterrupt
        self.batches_left -= 1
        self.asked.append([request.id for request in batch])
        return super().answer(batch)


def some_requests(count: int = 18, split: str = "test") -> list[Request]:
    """Prompts of many lengths, targets of two lines."""
    return [
        Request(
            f"s{number:02d}",
            split,
            "FT",
            "句子：" + "痛" * (7 * number % 11 + 1),
            64,
            target=f"头痛-症状\n药{number}-药品",
        )
        for number in range(count)
    ]


def test_every_request_gets_its_completion(tmp_path: Path) -> None:
    requests, backbone = some_requests(), Recorder()
    store = CompletionStore(tmp_path / "c.jsonl")
    done = generate(backbone, requests, store)
    assert set(done) == {request.id for request in requests}
    assert [len(batch) for batch in backbone.asked] == [4, 4, 4, 4, 2]
    for request, reply in zip(
        requests, option("backbone", "scripted", noise=0.5, seed=1).answer(requests), strict=True
    ):
        completion = done[request.id]
        assert (completion.split, completion.genre) == ("test", "FT")
        assert completion.prompt_sha256 == text_sha256(request.prompt)
        assert (completion.text, completion.stop) == (reply.text, reply.stop)
        assert completion.prompt_tokens == reply.prompt_tokens
        assert completion.seconds >= 0
    assert stored_completions(requests, CompletionStore(tmp_path / "c.jsonl")) == done


def test_an_empty_list_asks_nothing(tmp_path: Path) -> None:
    store = CompletionStore(tmp_path / "c.jsonl")
    assert generate(Recorder(batches_left=0), [], store) == {}
    assert stored_completions([], store) == {}
    assert not (tmp_path / "c.jsonl").exists()


def test_two_splits_share_a_store(tmp_path: Path) -> None:
    store = CompletionStore(tmp_path / "c.jsonl")
    test, validation = some_requests(), some_requests(5, split="validation")
    generate(Recorder(), test, store)
    backbone = Recorder()
    generate(backbone, validation, store)
    assert sum(map(len, backbone.asked)) == 5
    assert len(store) == 23


def plain(done: dict[str, Completion]) -> dict[str, Completion]:
    """Completions without their seconds."""
    return {id_: replace(completion, seconds=0.0) for id_, completion in done.items()}


@settings(max_examples=25)
@given(finished=st.integers(0, 5), chance=st.randoms(use_true_random=False))
def test_resuming_asks_only_unfinished_batches(
    tmp_path_factory: pytest.TempPathFactory, finished: int, chance: random.Random
) -> None:
    """Also when the requests come in another order the second time."""
    folder = tmp_path_factory.mktemp("resume")
    requests = some_requests()
    whole = Recorder()
    expected = generate(whole, requests, CompletionStore(folder / "whole.jsonl"))

    first = Recorder(batches_left=finished)
    path = folder / "resumed.jsonl"
    if finished < 5:
        with pytest.raises(KeyboardInterrupt):
            generate(first, requests, CompletionStore(path))
    else:
        generate(first, requests, CompletionStore(path))
    second = Recorder()
    chance.shuffle(requests)
    done = generate(second, requests, CompletionStore(path))
    assert first.asked + second.asked == whole.asked
    assert plain(done) == plain(expected)
    assert len(read_completions(path)) == len(requests)


@pytest.mark.parametrize("kept_lines", [5, 6, 7])
def test_a_half_written_batch_is_asked_again_whole(tmp_path: Path, kept_lines: int) -> None:
    """Killed while the second batch was being written: some lines, and a piece of the next."""
    requests, path = some_requests(), tmp_path / "c.jsonl"
    whole = Recorder()
    expected = generate(whole, requests, CompletionStore(path))
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join(lines[:kept_lines]) + lines[kept_lines][:30])

    second = Recorder()
    done = generate(second, requests, CompletionStore(path))
    assert second.asked == whole.asked[1:]
    assert plain(done) == plain(expected)
    assert plain(stored_completions(requests, CompletionStore(path))) == plain(expected)


def test_a_changed_prompt_is_refused(tmp_path: Path) -> None:
    requests, path = some_requests(), tmp_path / "c.jsonl"
    generate(Recorder(), requests, CompletionStore(path))
    changed = [*requests[:-1], replace(requests[-1], prompt="another")]
    backbone = Recorder()
    for read in (
        lambda: generate(backbone, changed, CompletionStore(path)),
        lambda: stored_completions(changed, CompletionStore(path)),
    ):
        with pytest.raises(InputError, match=r"c\.jsonl: .*s17 answers another prompt.*new run"):
            read()
    assert backbone.asked == []


def test_a_missing_completion_is_named(tmp_path: Path) -> None:
    requests, path = some_requests(), tmp_path / "c.jsonl"
    generate(Recorder(), requests[:-1], CompletionStore(path))
    with pytest.raises(InputError, match=r"no completion for sentence s17; .*resume="):
        stored_completions(requests, CompletionStore(path))
