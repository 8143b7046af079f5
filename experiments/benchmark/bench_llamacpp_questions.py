"""The questions that both sides of the comparison with llama.cpp are asked, and their answers."""

import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from bench_data import drawn
from bench_run import Sides

from chmed_ner.backbone import Gguf, requests_for
from chmed_ner.entities import Mention, Sentence
from chmed_ner.errors import InputError
from chmed_ner.methods import prompt_for
from chmed_ner.model import load_tokenizer, torch_device, torch_dtype, wrapping
from chmed_ner.prompt import TaskPrompt
from chmed_ner.run import Experiment, compose, configure, read_corpus

SCRIPT = Path(__file__).with_name("bench_llamacpp_side.py")

Setting = Mapping[str, Any]


@dataclass(frozen=True)
class Questions:
    """What both sides are asked: `asked` by sentence id, as the server takes it.

    `drawn` are the ids of the sentences that are timed, that warm up, and on which the server's
    setting is chosen.
    """

    words: Sequence[str]
    experiment: Experiment
    prompt: TaskPrompt
    file: Path
    drawn: Mapping[str, Sequence[str]]
    sentences: Mapping[str, Sentence]
    asked: Mapping[str, Mapping[str, Any]]

    def ours(self, sides: Sides, name: str) -> dict[str, Any]:
        """Our loop's seconds, answers and peak memory."""
        job = {
            "decoder": "ours", "words": self.words, "adapter": None,
            "sentences": [self.drawn["timed"]], "warm_up": self.drawn["warm-up"],
        }  # fmt: skip
        found = sides.run(name, job)
        (part,) = found["parts"]
        keys = {"text": "texts", "stop": "stops", "prompt_tokens": "prompt_tokens"}
        rows = zip(*(part[each] for each in keys.values()), strict=True)
        answers = [dict(zip(keys, row, strict=True)) for row in rows]
        return {**part, "answers": answers, "peak_mib": found["peak_mib"]}

    def theirs(
        self, sides: Sides, name: str, setting: Setting, kind: str = "timed"
    ) -> dict[str, Any]:
        """The server's seconds, answers and peak memory; longest questions first, as ours are."""
        ids = self.drawn[kind]
        order = sorted(ids, key=lambda each: -self.asked[each]["tokens"])
        job = {
            "file": str(self.file), "setting": setting,
            "context": max(each["tokens"] + each["most"] for each in self.asked.values()) + 1,
            "warm_up": [self.asked[each] for each in self.drawn["warm-up"]],
            "asked": [self.asked[each] for each in order],
        }  # fmt: skip
        found = sides.run(name, job, SCRIPT)
        by_id = dict(zip(order, found["answers"], strict=True))
        tokens = sum(each["completion_tokens"] for each in found["answers"])
        answers = [by_id[each] for each in ids]
        return {**found, "answers": answers, "completion_tokens": tokens}

    def setting(self) -> dict[str, Any]:
        """What our side is told."""
        import torch

        backbone = self.experiment.backbone.tunable()
        device = torch_device(backbone.device)
        return {
            "weights": str(torch_dtype(backbone.dtype, device)).removeprefix("torch."),
            "quantization": backbone.quantization,
            "slots": backbone.batch_size,
            "threads": torch.get_num_threads(),
            "device": device.type,
        }

    def agreement(self, answers: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
        """How far the two sides' answers are the same, and how right the mentions of each are."""
        ids = self.drawn["timed"]
        read = {name: list(map(self._mentions, ids, each)) for name, each in answers.items()}
        gold = [set(self.prompt.target_mentions(self.sentences[each])) for each in ids]

        def share(same: Callable[[Any, Any], bool], rows: Mapping[str, Sequence[Any]]) -> float:
            return sum(map(same, rows["ours"], rows["llamacpp"])) / len(ids)

        return {
            "same_entities": share(lambda a, b: a == b, read),
            "same_text": share(lambda a, b: a["text"] == b["text"], answers),
            "same_prompt_tokens": share(
                lambda a, b: a["prompt_tokens"] == b["prompt_tokens"], answers
            ),
            "mentions_f1": {name: f1(found, gold) for name, found in read.items()},
        }

    def _mentions(self, id_: str, answer: Mapping[str, Any]) -> set[Mention]:
        model_text = self.sentences[id_].model_text
        return set(self.prompt.parse(answer["text"], model_text, answer["stop"]).mentions)


def f1(found: Sequence[set[Mention]], gold: Sequence[set[Mention]]) -> float:
    """F1 in percent over each sentence's set of mentions, places left out."""
    right = sum(len(a & b) for a, b in zip(found, gold, strict=True))
    return 200 * right / max(1, sum(map(len, found)) + sum(map(len, gold)))


def questions(words: Sequence[str], seed: int, counts: Mapping[str, int]) -> Questions:
    """The questions of a run that `words` describe, about so many sentences of each kind.

    InputError when llama.cpp cannot take part.
    """
    experiment = configure(compose(words), {})
    backbone = experiment.backbone
    if not isinstance(backbone, Gguf) or backbone.path is None:
        raise InputError(
            f"--llamacpp: backbone={backbone.name} names no GGUF file; use qwen2_5_coder_1_5b, or "
            "backbone=gguf backbone.path=FILE.gguf"
        )
    corpus = read_corpus(experiment)
    if not corpus.test:
        raise InputError("--llamacpp: the dataset has no test sentence; choose another one")
    location, local = backbone.location(), Path(backbone.path).expanduser()
    wrapped = wrapping(load_tokenizer(location), backbone.chat, backbone.chat_options)
    test = sorted(each.id for each in corpus.test)
    chosen = {kind: drawn(test, count, seed, kind) for kind, count in counts.items()}
    needed = set(chain(*chosen.values()))
    sentences = {each.id: each for each in corpus.test if each.id in needed}
    with tempfile.TemporaryDirectory() as scratch:
        prompt = prompt_for(experiment, corpus, Path(scratch))
        requests = requests_for(list(sentences.values()), prompt, experiment.decoding)
    if requests[0].grammar:
        raise InputError("--llamacpp compares free answers; use decoding=greedy")
    asked = {}
    for request in requests:
        ids = wrapped.prompt_ids(request.prompt, request.demonstrations)
        asked[request.id] = {
            "prompt": wrapped.tokenizer.decode(ids),
            "tokens": len(ids),
            "most": request.max_new_tokens,
            "stop": () if wrapped.template else prompt.stop,
        }
    file = local if local.is_file() else backbone.fetched()
    return Questions(words, experiment, prompt, file, chosen, sentences, asked)
