"""Column files as people write them: schemes, separators, columns, tokens, what is refused."""

from pathlib import Path
from typing import Any

import pytest

from chmed_ner.data import Annotations, read_annotated
from chmed_ner.entities import Span
from chmed_ner.errors import InputError


def read(content: str | bytes, folder: Path, **options: Any) -> Annotations:
    path = folder / "corpus.txt"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_annotated(path, "columns", options)


def found(content: str | bytes, folder: Path, **options: Any) -> list[tuple[str, list[Any]]]:
    return [
        (text.text, [(text.text[s.start : s.end], s.type) for s in text.entities])
        for text in read(content, folder, **options).texts
    ]


HEAD = ("头痛", "SYMP")
STOMACH = ("胃痛", "SYMP")


@pytest.mark.parametrize(
    ("tags", "entities", "scheme"),
    [
        ("B-SYMP I-SYMP B-SYMP I-SYMP O", [HEAD, STOMACH], "BIO"),
        ("I-SYMP I-SYMP B-SYMP I-SYMP O", [HEAD, STOMACH], "IOB1"),
        ("B-SYMP E-SYMP B-SYMP E-SYMP O", [HEAD, STOMACH], "BIOES"),
        ("B-SYMP E-SYMP S-BODY S-SYMP O", [HEAD, ("胃", "BODY"), ("痛", "SYMP")], "BIOES"),
        ("B-SYMP M-SYMP E-SYMP S-SYMP O", [("头痛胃", "SYMP"), ("痛", "SYMP")], "BMES"),
        ("B-SYMP I-SYMP L-SYMP U-SYMP O", [("头痛胃", "SYMP"), ("痛", "SYMP")], "BILOU"),
        ("U-SYMP U-SYMP O B-A L-A", [("头", "SYMP"), ("痛", "SYMP"), ("痛天", "A")], "BILOU"),
        ("B_SYMP I_SYMP B_SYMP I_SYMP O", [HEAD, STOMACH], "BIO"),
        ("SYMP-B SYMP-I SYMP-B SYMP-I O", [HEAD, STOMACH], "BIO"),
        ("b-SYMP i-SYMP b-SYMP i-SYMP o", [HEAD, STOMACH], "BIO"),
        ("Ｂ-SYMP Ｉ-SYMP Ｂ-SYMP Ｉ-SYMP 0", [HEAD, STOMACH], "BIO"),
        ("B‑SYMP I‑SYMP B‑SYMP I‑SYMP Ｏ", [HEAD, STOMACH], "BIO"),
        ("B-疾病-诊断 I-疾病-诊断 O O O", [("头痛", "疾病-诊断")], "BIO"),
        ("B-PER.NAM I-PER.NAM O O O", [("头痛", "PER.NAM")], "BIO"),
    ],
)
@pytest.mark.parametrize("separator", [" ", "\t", "  "])
@pytest.mark.parametrize("end", ["\n", "\r\n", " \n", "\xa0\n"])
def test_schemes(
    tags: str, entities: list[Any], scheme: str, separator: str, end: str, tmp_path: Path
) -> None:
    content = end.join(
        f"{c}{separator}{t}" for c, t in zip("头痛胃痛天", tags.split(), strict=True)
    )
    assert found(content + end, tmp_path) == [("头痛胃痛天", entities)]
    notes = read("\ufeff" + content, tmp_path).notes
    assert f"scheme {scheme}, " in notes[-1]
    assert notes[0] == ("separator tab" if separator == "\t" else "separator space or tab")


@pytest.mark.parametrize("blank", ["", " ", "  ", "\t", "\u3000"])
def test_white_space_separates_sentences(blank: str, tmp_path: Path) -> None:
    content = f"头 B-SYMP\n痛 I-SYMP\n{blank}\n{blank}\n  O\n胃 B-BODY\n\u3000 O\n"
    assert found(content, tmp_path) == [("头痛", [HEAD]), (" 胃\u3000", [("胃", "BODY")])]
    assert [text.line for text in read(content, tmp_path).texts] == [1, 5]


def test_conll(tmp_path: Path) -> None:
    content = "-DOCSTART- -X- O O\n\n头 -X- _ B-SYMP\n痛 -X- _ I-SYMP\n"
    content += "-DOCSTART- -X- -X- O\n\n胃 NN _ O\n"
    assert found(content, tmp_path) == [("头痛", [HEAD]), ("胃", [])]


def test_the_column_of_the_tags_is_recognised_or_set(tmp_path: Path) -> None:
    content = "头 B-SYMP B-NP 0\n痛 I-SYMP I-NP 1\n"
    assert found(content, tmp_path) == [("头痛", [("头痛", "NP")])]
    assert found(content, tmp_path, column=2) == [("头痛", [HEAD])]
    with pytest.raises(InputError, match=r"line 1: has no column 5 \(dataset.options.column\)"):
        read(content, tmp_path, column=5)
    with pytest.raises(InputError, match="line 2: invalid tag '1'"):
        read(content, tmp_path, column=4)


def test_digits_of_a_segmentation(tmp_path: Path) -> None:
    tokens = ["科0", "技1", "10", "11", "a0", *(f"b{n}" for n in range(1, 12))]
    content = "".join(f"{token}\tO\n" for token in tokens) + "\n某0\tB-PER.NOM\n人1\tI-PER.NOM\n"
    assert found(content, tmp_path) == [
        ("科技11a" + "b" * 11, []),
        ("某人", [("某人", "PER.NOM")]),
    ]
    assert "digits of a segmentation taken from the tokens" in read(content, tmp_path).notes
    assert found("科0 O\n技 O\n", tmp_path) == [("科0技", [])]


def test_tokens_of_several_characters(tmp_path: Path) -> None:
    content = "患者 O\nCT B-EXAM\n检查 I-EXAM\n❤️ O\n👨\u200d👩\u200d👧 B-X\n"
    ((text, entities),) = found(content, tmp_path)
    assert text == "患者CT检查❤️👨\u200d👩\u200d👧"
    assert entities == [("CT检查", "EXAM"), ("👨\u200d👩\u200d👧", "X")]
    assert read(content, tmp_path).texts[0].tags is None
    assert "5 tokens of several characters" in read(content, tmp_path).notes


def test_tags_of_the_file_are_kept_where_the_scorer_finds_the_same(tmp_path: Path) -> None:
    (text,) = read("一 I-DISE\n二 i-DISE\n三 O-DISE\n四 B-DISE\n", tmp_path).texts
    assert text.tags == ("I-DISE", "i-DISE", "O-DISE", "B-DISE")
    assert text.entities == (Span(0, 2, "DISE"), Span(3, 4, "DISE"))
    assert read("一 I-DISE\n二 I-DISE\n", tmp_path).texts[0].tags is None
    assert read("一 b-DISE\n二 b-DISE\n", tmp_path).texts[0].tags is None


def test_odd_characters_are_tokens(tmp_path: Path) -> None:
    assert found('" O\n# B-A\n\t O\n\u2028 O\n\x0b O\n', tmp_path) == [
        ('"#\t\u2028\x0b', [("#", "A")])
    ]
    assert found("\ufeff O\n头 O\n", tmp_path) == [("\ufeff头", [])]


def test_comments_before_a_sentence(tmp_path: Path) -> None:
    content = "# id 5239d808\tdomain=train\n头 _ _ B-SYMP\n痛 _ _ I-SYMP\n\n# id 2\n# _ _ O\n"
    assert found(content, tmp_path) == [("头痛", [HEAD]), ("#", [])]


def test_files_without_tags(tmp_path: Path) -> None:
    assert found("头\r\n \r\n痛\r\n\r\n胃\r\n", tmp_path, gold=False) == [("头 痛", []), ("胃", [])]
    assert found("头\n痛\n \n胃\n", tmp_path, gold=False) == [("头痛", []), ("胃", [])]


@pytest.mark.parametrize(
    ("content", "line", "says"),
    [
        ("头 O\n痛\n", 2, "no tag in '痛'"),
        ("头 O\n痛 \n", 2, "no tag in '痛 '"),
        ("头 O\n痛 SYMP\n", 2, "invalid tag 'SYMP'"),
        ("头 O\n痛 Q-SYMP\n", 2, "invalid tag 'Q-SYMP'"),
        ("头 O\n痛 B-\n", 2, "invalid tag 'B-'"),
        ("头 B-SYMP\n痛 I-SYMP\n胃 B-SYM", 3, "only the beginning of another"),
        ("肺 O\n炎 O\n".encode("gb18030"), 1, "`iconv -f GB18030 -t UTF-8`"),
        ("頭 O\n痛 O\n".encode("big5"), 1, "`iconv -f BIG5 -t UTF-8`"),
        ("头 O\n痛 O\n".encode("utf-16"), 1, "UTF-16"),
    ],
)
def test_a_bad_line_is_named(content: str | bytes, line: int, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(content, tmp_path)
    assert f"corpus.txt, line {line}: " in str(caught.value)
    assert says in str(caught.value)


def test_what_is_set_holds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"line 2: invalid tag 'E-A' \(prefixes: BIO\)"):
        read("头 B-A\n痛 E-A\n", tmp_path, scheme="BIO")
    assert found("头 B-A\n痛 E-A\n", tmp_path, scheme="BIOES") == [("头痛", [("头痛", "A")])]
    assert found("a b\tB-A\n头 c\tI-A\n", tmp_path)[0][0] == "a b头 c"
    assert found("头 x\ty B-A\n", tmp_path, separator="space") == [("头", [("头", "A")])]
    for option, value in (("scheme", "BIOS"), ("column", 1), ("separator", ","), ("nothing", 1)):
        with pytest.raises(InputError, match=rf"dataset.options.*{option}"):
            read("头 O\n", tmp_path, **{option: value})
    with pytest.raises(InputError, match=r"dataset.options.end=inclusive: format columns does not"):
        read("头 O\n", tmp_path, end="inclusive")
    with pytest.raises(InputError, match="holds no annotated text"):
        read("\n \n", tmp_path)
    with pytest.raises(InputError, match="format auto: there is none; give one of columns"):
        read_annotated(tmp_path, "auto", {})


def test_numbers_of_tokens_are_not_read_as_the_text(tmp_path: Path) -> None:
    rows = [("头", "B-SYMP"), ("痛", "I-SYMP"), ("吗", "O")]
    numbered = "".join(f"{at}\t{c}\t_\t{tag}\n" for at, (c, tag) in enumerate(rows, start=1))
    with pytest.raises(InputError, match=r"line 1: the first column numbers the tokens.*leave"):
        read(numbered, tmp_path)
    digits = "".join(f"{at} {tag}\n" for at, (_, tag) in enumerate(rows, start=1))
    assert found(digits, tmp_path) == [("123", [("12", "SYMP")])]
