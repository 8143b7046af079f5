"""The tokenizers of ChatGLM2 and Baichuan against sentencepiece itself, and what is refused."""

import copy
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import sentencepiece
from hypothesis import given, settings, strategies as st

from chmed_ner.backbone import load_tokenizer
from chmed_ner.errors import InputError
from chmed_ner.model.asking import wrapping

TEXTS = st.text(
    st.one_of(
        st.sampled_from("患者头痛（；％Ａ℃…Ⅱ㎎ \n\t　\u200b▁<s>/unk[gMASK]sopeop0９"),
        st.characters(blacklist_categories=["Cs"]),
    ),
    max_size=40,
)


@pytest.fixture(scope="module", params=["chatglm2", "baichuan"])
def both(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, Any]:
    """Our tokenizer, and the sentencepiece model it runs on."""
    original = request.getfixturevalue(request.param)
    folder = original.write_tokenizer(tmp_path_factory.mktemp("tokenizer"))
    processor = sentencepiece.SentencePieceProcessor(model_proto=original.tokenizer_model)
    return load_tokenizer(folder), processor


@pytest.fixture(scope="module")
def glm(chatglm2: Any, tmp_path_factory: pytest.TempPathFactory) -> Any:
    return load_tokenizer(chatglm2.write_tokenizer(tmp_path_factory.mktemp("glm")))


@given(text=TEXTS)
@settings(max_examples=200, deadline=None)
def test_pieces_are_sentencepiece_s(both: tuple[Any, Any], text: str) -> None:
    tokenizer, processor = both
    special = {*tokenizer.all_special_tokens, "sop", "eop", "[MASK]", "[gMASK]", "[sMASK]"}
    if any(token in text for token in special):
        return
    ids = tokenizer.encode(text, add_special_tokens=False)
    assert ids == processor.encode(text)
    assert tokenizer.tokenize(text) == processor.encode_as_pieces(text)
    assert tokenizer.decode(ids) == processor.decode(ids)
    assert tokenizer.convert_ids_to_tokens(ids) == processor.encode_as_pieces(text)


@given(texts=st.lists(TEXTS, min_size=1, max_size=4))
@settings(max_examples=50, deadline=None)
def test_batches_are_padded_on_the_left(both: tuple[Any, Any], texts: list[str]) -> None:
    tokenizer, _ = both
    batch = tokenizer(texts, padding=True)
    alone = [tokenizer.encode(text) for text in texts]
    width = max(map(len, alone))
    assert batch["input_ids"] == [[0] * (width - len(ids)) + ids for ids in alone]
    assert batch["attention_mask"] == [[0] * (width - len(ids)) + [1] * len(ids) for ids in alone]
    assert set(batch) == {"input_ids", "attention_mask"}


def test_ids_beyond_the_vocabulary_decode_to_nothing(both: tuple[Any, Any]) -> None:
    """The head of ChatGLM2 is padded: a model can generate them."""
    tokenizer, _ = both
    ids = tokenizer.encode("头痛", add_special_tokens=False)
    beyond = len(tokenizer) + 3
    assert tokenizer.decode([*ids, beyond], skip_special_tokens=True) == "头痛"
    assert tokenizer.batch_decode([[beyond], [beyond, 10**6]]) == ["", ""]


def test_an_answer_ends_with_the_end_token(both: tuple[Any, Any]) -> None:
    tokenizer, processor = both
    assert tokenizer.eos_token_id == processor.eos_id() == 2
    wrapped = wrapping(tokenizer, "auto", {})
    assert wrapped.end_id() == 2
    assert wrapped.answer_ids("头痛-症状") == [*processor.encode("头痛-症状"), 2]
    assert tokenizer.decode([*processor.encode("头痛"), 2, 0], skip_special_tokens=True) == "头痛"


def test_a_saved_or_copied_tokenizer_is_the_same(both: tuple[Any, Any], tmp_path: Path) -> None:
    tokenizer, _ = both
    text = "患者头痛，体温38.5℃。</s>"
    tokenizer.save_pretrained(tmp_path)
    for other in (load_tokenizer(tmp_path), copy.deepcopy(tokenizer)):
        assert type(other) is type(tokenizer)
        assert other.encode(text) == tokenizer.encode(text)
        assert other.decode(other.encode(text)) == tokenizer.decode(tokenizer.encode(text))
        assert other.pad_token_id == 0
        assert other.chat_template == tokenizer.chat_template


def test_chatglm2_has_rounds_and_no_system_role(glm: Any) -> None:
    messages = [
        {"role": "user", "content": "甲\n"},
        {"role": "assistant", "content": " 乙"},
        {"role": "user", "content": "丙"},
    ]
    text = "[Round 1]\n\n问：甲\n\n\n答： 乙\n\n[Round 2]\n\n问：丙\n\n答："
    options: dict[str, Any] = {"add_generation_prompt": True}
    assert glm.apply_chat_template(messages, tokenize=False, **options) == text
    ids = glm.apply_chat_template(messages, return_dict=False, **options)
    assert ids == glm.encode(text)
    assert ids[:2] == glm.convert_tokens_to_ids(["[gMASK]", "sop"])
    batch = glm.apply_chat_template([messages[:1], messages], padding=True, **options)
    assert batch["input_ids"][1] == ids
    assert batch["attention_mask"][0][0] == 0
    with pytest.raises(Exception, match="user and assistant only"):
        glm.apply_chat_template([{"role": "system", "content": "甲"}])
    assert wrapping(glm, "never", {}).prompt_ids("甲") == glm.encode("甲")


def test_pairs_and_masks(both: tuple[Any, Any]) -> None:
    tokenizer, _ = both
    found = tokenizer("头", "痛", return_special_tokens_mask=True)
    plain = [tokenizer.encode(text, add_special_tokens=False) for text in ("头", "痛")]
    marked = zip(found["input_ids"], found["special_tokens_mask"], strict=True)
    assert [number for number, special in marked if not special] == [*plain[0], *plain[1]]
    mask = tokenizer.get_special_tokens_mask(found["input_ids"], already_has_special_tokens=True)
    assert mask == found["special_tokens_mask"]


@pytest.mark.parametrize(("begin", "end"), [(True, False), (False, True), (None, None)])
def test_baichuan_s_switches(
    baichuan: Any, tmp_path: Path, begin: bool | None, end: bool | None
) -> None:
    """Without a key, as in the original class: a begin token and no end token."""
    folder = baichuan.write_tokenizer(tmp_path / "a", add_bos_token=begin, add_eos_token=end)
    tokenizer = load_tokenizer(folder)
    plain = tokenizer.encode("头痛", add_special_tokens=False)
    before, after = [1] if begin in (True, None) else [], [2] if end else []
    assert tokenizer.encode("头痛") == [*before, *plain, *after]
    tokenizer.save_pretrained(tmp_path / "b")
    assert load_tokenizer(tmp_path / "b").encode("头痛") == tokenizer.encode("头痛")


# ---------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
    ("kind", "changes", "reason"),
    [
        ("chatglm2", {"name_or_path": "THUDM/chatglm3-6b"}, "ChatGLM3-6B"),
        (
            "chatglm2",
            {"added_tokens_decoder": {"64795": {"content": "<|user|>"}}},
            "ChatGLM3-6B",
        ),
        ("chatglm2", {"gmask_token": "[gMASK]"}, "ChatGLM v1"),
        ("chatglm2", {"tokenizer_class": "ChatGLM4Tokenizer"}, r"GLM-4 .*-hf"),
        (
            "chatglm2",
            {
                "tokenizer_class": None,
                "auto_map": {"AutoTokenizer": ["x--tokenization_chatglm.ChatGLM4Tokenizer", None]},
            },
            r"GLM-4 .*-hf",
        ),
        ("baichuan", {"tokenizer_class": "BaichuanTokenizer"}, "Baichuan2"),
    ],
)
def test_the_tokenizers_of_look_alikes_are_refused(
    kind: str,
    changes: dict[str, Any],
    reason: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
) -> None:
    folder = request.getfixturevalue(kind).write_tokenizer(tmp_path / "a", **changes)
    with pytest.raises(InputError, match=reason) as caught:
        load_tokenizer(folder)
    assert str(folder) in str(caught.value)


def test_a_class_named_by_the_auto_map_only(chatglm2: Any, tmp_path: Path) -> None:
    folder = chatglm2.write_tokenizer(tmp_path / "a", tokenizer_class=None)
    assert load_tokenizer(folder).convert_tokens_to_ids("sop") == 1003


def test_chatglm_v1_s_vocabulary_is_refused(chatglm2: Any, tmp_path: Path) -> None:
    folder = chatglm2.write_tokenizer(tmp_path / "a")
    shutil.move(folder / "tokenizer.model", folder / "ice_text.model")
    with pytest.raises(InputError, match="ChatGLM v1"):
        load_tokenizer(folder)


@pytest.mark.parametrize("kind", ["chatglm2", "baichuan"])
def test_a_vocabulary_that_is_absent_or_broken(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    folder = request.getfixturevalue(kind).write_tokenizer(tmp_path / "a")
    for content in (b"", b"nonsense", (folder / "tokenizer.model").read_bytes()[:5000]):
        (folder / "tokenizer.model").write_bytes(content)
        with pytest.raises(InputError, match=r"tokenizer\.model: not a sentencepiece model"):
            load_tokenizer(folder)
    (folder / "tokenizer.model").unlink()
    with pytest.raises(InputError, match=r"no tokenizer\.model there"):
        load_tokenizer(folder)


def test_another_tokenizer_of_ours_is_left_alone(tiny_llama: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_llama, tmp_path, dirs_exist_ok=True)
    model = io.BytesIO(b"nonsense").getvalue()
    (tmp_path / "tokenizer.model").write_bytes(model)
    assert load_tokenizer(tmp_path).encode("头痛") == load_tokenizer(tiny_llama).encode("头痛")
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["tokenizer_class"]
