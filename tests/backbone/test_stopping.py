"""What ends an answer: the end token, a stop string, the end of a turn, the cap."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from chmed_ner.model.asking import Reply, Request
from chmed_ner.model.decoding.greedy import GreedyGenerator
from chmed_ner.run.config import option


def a_generator(folder: Path, *, stop: tuple[str, ...] = (), **knobs: Any) -> GreedyGenerator:
    """The checkpoint in float32 on the CPU."""
    backbone = option(
        "backbone",
        "causal_lm",
        name="tiny",
        path=str(folder),
        dtype="float32",
        device="cpu",
        **knobs,
    )
    return backbone.generator(stop=stop, seed=0)


@pytest.fixture(scope="module")
def llama(tiny_llama: Path) -> GreedyGenerator:
    """No stop strings."""
    return a_generator(tiny_llama, batch_size=4)


def a_request(prompt: str, cap: int = 24, id_: str = "a") -> Request:
    """A request with a cap in tokens."""
    return Request(id_, "test", "FT", prompt, cap)


def by_hand(generator: GreedyGenerator, request: Request) -> list[int]:
    """The likeliest token again and again, no padding and no cache, up to the cap or the end."""
    model = generator.loaded.model
    ids = generator.prompt_ids(request)
    answer: list[int] = []
    while len(answer) < request.max_new_tokens:
        with torch.inference_mode():
            logits = model(input_ids=torch.tensor([ids + answer]), use_cache=False).logits
        answer.append(int(logits[0, -1].argmax()))
        if answer[-1] == model.generation_config.eos_token_id:
            break
    return answer


def ending_with(generator: GreedyGenerator, prompt: str, at: int) -> str:
    """A piece of the answer to `prompt` that first occurs after `at` characters."""
    text = generator.answer([a_request(prompt, cap=60)])[0].text
    return next(text[n : n + 2] for n in range(at, len(text)) if text.index(text[n : n + 2]) == n)


@pytest.fixture(scope="module")
def ending(tiny_llama: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes checkpoints in which an ordinary token is the end token, so that answers do end."""

    def make(token: int, padding: int | None) -> Path:
        folder = tmp_path_factory.mktemp("ending") / "model"
        shutil.copytree(tiny_llama, folder)
        for name in ("config.json", "generation_config.json"):
            settings_ = json.loads((folder / name).read_text(encoding="utf-8"))
            settings_["eos_token_id"] = token
            (folder / name).write_text(json.dumps(settings_), encoding="utf-8")
        if padding is None:  # then the end token is what rows are padded with
            path = folder / "tokenizer_config.json"
            settings_ = json.loads(path.read_text(encoding="utf-8"))
            del settings_["pad_token"]
            path.write_text(json.dumps(settings_), encoding="utf-8")
        return folder

    return make


def test_the_end_token_ends_an_answer_and_is_not_part_of_it(
    llama: GreedyGenerator, ending: Callable[..., Path]
) -> None:
    asked = a_request("句子：头痛", 20)
    answer = by_hand(llama, asked)
    at = max(answer.index(token) for token in answer)  # a token that is new as late as possible
    assert at > 3
    generator = a_generator(ending(answer[at], padding=0))
    reply = generator.answer([asked])[0]
    expected = llama.loaded.tokenizer.decode(answer[:at], skip_special_tokens=True)
    assert reply == Reply(expected, "end", len(llama.prompt_ids(asked)), at + 1)
    assert generator.answer([asked, a_request("痛" * 30, 20)])[0] == reply
    # the end token is the last that the cap allows; one less, and the answer is cut
    assert generator.answer([a_request(asked.prompt, at + 1)])[0].stop == "end"
    assert generator.answer([a_request(asked.prompt, at)])[0].stop == "length"


def test_a_row_at_its_cap_has_not_ended_where_padding_is_the_end_token(
    ending: Callable[..., Path],
) -> None:
    """The row is padded with end tokens while its neighbour goes on."""
    generator = a_generator(ending(1, padding=None))
    tokenizer = generator.loaded.tokenizer
    assert tokenizer.pad_token_id == tokenizer.eos_token_id
    requests = [a_request("句子：头痛", 5), a_request("句子：头痛", 20)]
    alone = [generator.answer([request])[0] for request in requests]
    assert [reply.stop for reply in alone] == ["length", "length"]
    assert generator.answer(requests) == alone


def test_stop_strings_end_an_answer_and_are_cut_off(
    llama: GreedyGenerator, tiny_llama: Path
) -> None:
    prompts = ["句子：头痛", "痛" * 12, "医疗实体：\n"]
    whole = [llama.answer([a_request(prompt, 60)])[0] for prompt in prompts]
    stop = ending_with(llama, prompts[0], at=10)
    generator = a_generator(tiny_llama, stop=("从不出现", stop))
    requests = [a_request(prompt, 60) for prompt in prompts]
    replies = generator.answer(requests)
    assert replies == [generator.answer([request])[0] for request in requests]
    assert whole[0].stop == "length"
    assert (replies[0].text, replies[0].stop) == (whole[0].text.partition(stop)[0], "end")
    assert replies[0].completion_tokens < 60
    for reply, unstopped in zip(replies, whole, strict=True):
        assert reply.text == unstopped.text.partition(stop)[0]
        assert reply.stop == ("end" if stop in unstopped.text else unstopped.stop)


def test_the_first_of_two_stop_strings_counts(llama: GreedyGenerator, tiny_llama: Path) -> None:
    prompt = "句子：头痛"
    early, late = ending_with(llama, prompt, at=4), ending_with(llama, prompt, at=12)
    text = llama.answer([a_request(prompt, 60)])[0].text
    reply = a_generator(tiny_llama, stop=(late, early)).answer([a_request(prompt, 60)])[0]
    assert reply.text == text.partition(early)[0]


def test_a_stop_string_longer_than_the_look_back_still_cuts_the_text(
    llama: GreedyGenerator, tiny_llama: Path
) -> None:
    prompt = "句子：头痛"
    text = llama.answer([a_request(prompt, 60)])[0].text
    long = text[3:40]
    assert text.index(long) == 3
    late = ending_with(llama, prompt, at=41)
    for stop in ((long,), (late, long), (long, late)):
        reply = a_generator(tiny_llama, stop=stop).answer([a_request(prompt, 60)])[0]
        assert (reply.text, reply.stop) == (text[:3], "end")


def test_the_chat_template_wraps_the_prompt_and_its_end_of_turn_ends_the_answer(
    tiny_chat: Path,
) -> None:
    generator = a_generator(tiny_chat)
    tokenizer = generator.loaded.tokenizer
    ids = generator.prompt_ids(a_request("头痛"))
    assert tokenizer.decode(ids) == "<turn>user\n头痛</turn>\n<turn>assistant\n"
    wrap = generator.loaded.wrapping
    assert wrap.end_id() == tokenizer.convert_tokens_to_ids("</turn>") != tokenizer.eos_token_id
    assert wrap.answer_ids("无") == [*tokenizer.encode("无"), wrap.end_id()]
    assert generator.length(a_request("头痛")) == len(ids)


def test_stop_strings_are_for_base_models(tiny_chat: Path) -> None:
    """In a chat template nothing but the end of the turn ends an answer."""
    asked = a_request("头痛", 30)
    (whole,) = a_generator(tiny_chat).answer([asked])
    stop = whole.text[3:5]
    assert whole.text[5:]
    assert a_generator(tiny_chat, stop=(stop,)).answer([asked]) == [whole]
    plain = a_generator(tiny_chat, chat="never").answer([asked])[0].text
    (reply,) = a_generator(tiny_chat, stop=(plain[3:5],), chat="never").answer([asked])
    assert (reply.text, reply.stop) == (plain[: plain.index(plain[3:5])], "end")


def test_an_answer_ends_at_the_end_of_turn(tiny_chat: Path, tmp_path: Path) -> None:
    """The template's own end token, which the generation configuration does not name."""
    generator, asked = a_generator(tiny_chat), a_request("头痛", 20)
    answer = by_hand(generator, asked)
    at = max(answer.index(token) for token in answer)
    end = generator.loaded.tokenizer.convert_ids_to_tokens(answer[at])
    folder = tmp_path / "chat"
    shutil.copytree(tiny_chat, folder)
    settings_ = json.loads((folder / "tokenizer.json").read_text(encoding="utf-8"))
    known = settings_["added_tokens"]
    known.append({**known[-1], "id": answer[at], "content": end})
    (folder / "tokenizer.json").write_text(json.dumps(settings_), encoding="utf-8")
    template = (folder / "chat_template.jinja").read_text(encoding="utf-8")
    ours = f"{{{{ '</turn>' if message.role == 'user' else ' ' + {json.dumps(end)} }}}}"
    (folder / "chat_template.jinja").write_text(template.replace("</turn>", ours), encoding="utf-8")

    changed = a_generator(folder)
    assert changed.prompt_ids(asked) == generator.prompt_ids(asked)
    assert changed.loaded.wrapping.end_id() == answer[at]
    reply = changed.answer([asked])[0]
    assert (reply.stop, reply.completion_tokens) == ("end", at + 1)
