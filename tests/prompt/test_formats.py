"""Every format beside extraction: what is written comes back, whatever comes is read or counted."""

import random
import time
from collections.abc import Callable, Iterator
from dataclasses import replace

import pytest
from hypothesis import example, given, settings, strategies as st

from chmed_ner.entities.bio import tags_of
from chmed_ner.entities.labels import LabelScheme, label_scheme
from chmed_ner.entities.types import Mention, Sentence, Span
from chmed_ner.errors import InputError
from chmed_ner.prompt.formats.answer import PROBLEMS, Answer, AnswerFormat
from chmed_ner.prompt.formats.bio_tags import STYLES, BioTags
from chmed_ner.prompt.formats.grouped_json import GroupedJson
from chmed_ner.prompt.formats.inline import Inline
from chmed_ner.prompt.formats.nothing import means_none
from chmed_ner.run.config import build

COPIES: dict[str, AnswerFormat] = {
    **{style: BioTags(style=style) for style in STYLES},
    "inline": Inline(),
}
FORMATS: dict[str, AnswerFormat] = {**COPIES, "json": GroupedJson()}
SCHEME = label_scheme(
    "toy",
    {
        "DISE": {"simplified": "疾病", "aliases": ["病"]},
        "BODY": {"simplified": "人体"},
        "PART": {"simplified": "body part"},
        "MISC": {"simplified": "其他"},
    },
)
each_format = pytest.mark.parametrize("answer", FORMATS.values(), ids=FORMATS)
each_copy = pytest.mark.parametrize("answer", COPIES.values(), ids=COPIES)


@each_format
def test_every_gold_answer_of_the_corpora_comes_back(
    answer: AnswerFormat, gold: tuple[Sentence, ...], labels: LabelScheme
) -> None:
    """In the simplified script all sentences, in the traditional every tenth."""
    original = [replace(sentence, model_text=sentence.text) for sentence in gold[::10]]
    for script, sentences in (("simplified", gold), ("traditional", original)):
        for sentence in sentences:
            listed = answer.gold(sentence)
            text = answer.write(listed, sentence.model_text, labels, script)
            assert answer.parse(text, sentence.model_text, labels) == listed
            assert listed.spans == (None if answer is FORMATS["json"] else sentence.entities)


CHARACTERS = st.sampled_from(
    list("高血压病胃O0BI-/ \t\n\u3000\u2028\x1f␣[]|［］｜【】\\\"'{}:：,，#无ＡAａÄß\ufeff\ud800")
)


@st.composite
def tagged(draw: st.DrawFn) -> Sentence:
    """A sentence of awkward characters with entities that neither start nor end with a space."""
    text = draw(st.text(CHARACTERS | st.characters(), min_size=1, max_size=15).filter(str.strip))
    spans, start = [], 0
    while start < len(text):
        end = draw(st.integers(start + 1, len(text)))
        words = text[start:end]
        if draw(st.booleans()) and words == words.strip() and not means_none(words):
            spans.append(Span(start, end, draw(st.sampled_from(SCHEME.tags))))
        start = end
    return Sentence("1", "test", "FT", text, None, tuple(spans), text)


@each_format
@settings(max_examples=250, deadline=None)
@given(sentence=tagged())
def test_whatever_is_written_comes_back(answer: AnswerFormat, sentence: Sentence) -> None:
    listed = answer.gold(sentence)
    text = answer.write(listed, sentence.model_text, SCHEME, "simplified")
    assert answer.parse(text, sentence.model_text, SCHEME) == listed


def assert_sound(answer: AnswerFormat, read: Answer, sentence: str) -> None:
    """What holds of every answer, however broken."""
    assert set(read.problems) <= set(PROBLEMS)
    assert all(count > 0 for count in read.problems.values())
    lost = read.problems.get("not_in_sentence", 0)
    if answer is FORMATS["json"]:
        assert read.spans is None
        assert lost == sum(mention.text not in sentence for mention in read.mentions)
        return
    assert read.spans is not None
    tags_of(read.spans, len(sentence))  # in order, inside, without overlaps
    placed = [Mention(sentence[span.start : span.end], span.type) for span in read.spans]
    assert list(read.mentions[: len(placed)]) == placed
    assert len(read.mentions) == len(placed) + lost


@each_format
@settings(max_examples=250, deadline=None)
@given(
    pieces=st.lists(CHARACTERS | st.sampled_from(["疾病", " B-疾病\n", "/O ", "|病]"]) | st.text()),
    sentence=st.text(CHARACTERS, max_size=12),
)
@example(pieces=["\ud800"], sentence="\ud800")
@example(pieces=["[" * 50], sentence="")
def test_arbitrary_text_is_read(answer: AnswerFormat, pieces: list[str], sentence: str) -> None:
    assert_sound(answer, answer.parse("".join(pieces), sentence, SCHEME), sentence)


NOISE = ["\0", "\x1b[0m", "\u200b", "\ud800", "-", "[", "]", "|", "\\", '"', "{", "/", "الم", "hi"]


def corruptions(text: str, chance: random.Random) -> Iterator[str]:
    """An answer as a model may spoil it."""
    cut = chance.randrange(len(text) + 1)
    lines = text.split("\n")
    chance.shuffle(lines)
    noise = chance.choice(NOISE)
    yield text[:cut]
    yield text[cut:] + text[:cut]
    yield "\n".join(lines * chance.randrange(1, 4))
    yield text[:cut] + noise + text[cut:]
    yield noise.join(text)
    yield "".join(chance.sample(text, len(text)))
    yield text.replace(" ", chance.choice(["", "  ", "\t", "\r\n", "-"]))
    yield "".join(character for character in text if chance.random() < 0.7)


def test_spoilt_answers_are_read(gold: tuple[Sentence, ...], labels: LabelScheme) -> None:
    chance, examples = random.Random(7), 0
    short = [sentence for sentence in gold if sentence.entities and len(sentence.text) < 50]
    for sentence in chance.sample(short, 500):
        for answer in FORMATS.values():
            listed = answer.gold(sentence)
            written = answer.write(listed, sentence.model_text, labels, "simplified")
            for text in corruptions(written, chance):
                read = answer.parse(text, sentence.model_text, labels)
                assert_sound(answer, read, sentence.model_text)
                examples += 1
    assert examples == 20_000


LONG: dict[str, Callable[[int], str]] = {
    "tagged characters for ever": lambda size: "胃 B-疾病\n" * (size // 13),
    "tagged characters on one line": lambda size: "胃/B-疾病 " * (size // 13),
    "one character": lambda size: "胃" * (size // 3),
    "other text": lambda size: "".join(chr(0x4E00 + n % 9_000) for n in range(size // 3)),
    "other lines": lambda size: "".join(f"{chr(0x4E00 + n)} O\n" for n in range(size // 6)),
    "marked words": lambda size: "[胃痛|症状]" * (size // 15),
    "open marks": lambda size: "[" * size,
    "bars": lambda size: "[" + "|" * size,
    "backslashes": lambda size: "\\" * size,
    "spaces": lambda size: "[胃" + " " * size + "|疾病]",
    "separators": lambda size: "胃" + "-" * size,
    "line ends": lambda size: "\n" * size,
    "arrays": lambda size: "[" * size + "]" * size,
    "objects": lambda size: '{"疾病":' * (size // 10),
    "one mention for ever": lambda size: '{"疾病": [' + '"胃", ' * (size // 7),
    "mentions": lambda size: '{"疾病": [' + ", ".join(f'"胃{n}"' for n in range(size // 12)),
    "fences": lambda size: "```" + " " * size + "`",
    "quotes": lambda size: '"' * size,
    "escapes": lambda size: '"' + '\\"' * (size // 2),
    "digits": lambda size: '{"疾病": ' + "1" * size + "}",
}  # fmt: skip
SENTENCE = "患者有高血压，服用阿司匹林后胃痛缓解，胃部无碍。" * 3


@pytest.mark.parametrize("kind", LONG)
def test_a_hundred_kilobytes_take_under_50_milliseconds(kind: str, labels: LabelScheme) -> None:
    text = LONG[kind](100_000)
    for name, answer in FORMATS.items():
        seconds = []
        for _ in range(3):
            began = time.process_time()
            assert_sound(answer, answer.parse(text, SENTENCE, labels), SENTENCE)
            seconds.append(time.process_time() - began)
        assert min(seconds) < 0.05, (name, seconds)


@each_copy
def test_a_long_sentence_takes_time_in_proportion(
    answer: AnswerFormat, labels: LabelScheme
) -> None:
    """4 and 16 thousand characters, copied with every 97th character left out."""
    seconds = []
    for times in (50, 200):
        sentence = SENTENCE * times
        spans = tuple(Span(at, at + 3, "DISE") for at in range(3, len(sentence) - 9, 24))
        listed = Answer((), spans=spans)
        text = answer.write(listed, sentence, labels, "simplified")
        copied = "\n".join(line for n, line in enumerate(text.split("\n"), 1) if n % 97)
        began = time.process_time()
        read = answer.parse(copied, sentence, labels)
        seconds.append(time.process_time() - began)
        assert_sound(answer, read, sentence)
        assert len(set(read.spans or ()) & set(spans)) > 0.9 * len(spans)
    assert seconds[1] < 8 * seconds[0], seconds


# ---------------------------------------------------------------- single cases

TEXT = "患者有高血压，胃痛，胃胀"


def read(text: str, sentence: str = TEXT, style: str = "lines") -> Answer:
    return COPIES[style].parse(text, sentence, SCHEME)


def lines(words: str, tags: str) -> str:
    """BIO lines from a string of characters and one of B, I and O."""
    named = {"B": "B-疾病", "I": "I-疾病", "O": "O", "P": "B-人体"}
    return "\n".join(f"{c} {named[t]}" for c, t in zip(words, tags, strict=True))


PERFECT = (Span(3, 6, "DISE"), Span(7, 9, "DISE"), Span(10, 12, "DISE"))


@pytest.mark.parametrize(
    ("words", "tags", "spans", "altered"),
    [
        ("患者有高血压，胃痛，胃胀", "OOOBIIOBIOBI", PERFECT, 0),
        ("患有高血压，胃痛，胃胀", "OOBIIOBIOBI", PERFECT, 1),  # dropped outside
        ("患者有高压，胃痛，胃胀", "OOOBIOBIOBI", PERFECT, 1),  # dropped inside
        ("患者有血压，胃痛，胃胀", "OOOIIOBIOBI", PERFECT, 1),  # the first dropped
        ("患者有高高血压，胃痛，胃胀", "OOOBIIIOBIOBI", PERFECT, 1),  # doubled inside
        ("患患者有高血压，胃痛，胃胀", "OOOOBIIOBIOBI", PERFECT, 1),  # doubled outside
        ("患者有高雪压，胃痛，胃胀", "OOOBIIOBIOBI", PERFECT, 1),  # altered inside
        ("患者又高血压，胃痛，胃胀", "OOOBIIOBIOBI", PERFECT, 1),  # altered outside
        ("患者有高血，胃痛，胃胀", "OOOBIOBIOBI", (Span(3, 5, "DISE"), *PERFECT[1:]), 1),
        ("患者有高血压，胃痛", "OOOBIIOBI", PERFECT[:2], 3),  # cut short
        ("胃痛，胃胀", "BIOBI", PERFECT[1:], 7),  # begun late
    ],
)
def test_a_bad_character_costs_its_own_place(
    words: str, tags: str, spans: tuple[Span, ...], altered: int
) -> None:
    answer = read(lines(words, tags))
    assert answer.spans == spans
    assert answer.problems == ({"altered_copy": altered} if altered else {})


@each_copy
def test_a_copy_said_three_times_counts_once(answer: AnswerFormat) -> None:
    listed = Answer((), spans=PERFECT)
    text = answer.write(listed, TEXT, SCHEME, "simplified")
    said = answer.parse("\n".join([text] * 3), TEXT, SCHEME)
    assert said.spans == PERFECT
    assert len(said.mentions) == 3
    assert set(said.problems) == {"altered_copy", "repeated_line"}
    assert said.problems["repeated_line"] == 6
    assert said.problems["altered_copy"] in (24, 26)  # a line end between copies is altered too


def test_adjacent_entities_stay_apart() -> None:
    answer = read(lines("高血压胃痛胃胀", "BIIBIPO"), "高血压胃痛胃胀")
    assert answer.spans == (Span(0, 3, "DISE"), Span(3, 5, "DISE"), Span(5, 6, "BODY"))


def test_text_of_another_sentence_is_not_placed() -> None:
    answer = read(lines("他昨天吃了三颗止痛药片", "OOOOOOOBIII"))
    assert answer.spans == ()
    assert answer.mentions == (Mention("止痛药片", "DISE"),)
    assert answer.problems["not_in_sentence"] == 1
    assert answer.problems["altered_copy"] >= 11


def test_width_case_and_blanks_are_the_same_character() -> None:
    sentence = "ＣＯＶＩＤ－１９ 与　Flu"
    for words in (sentence, "COVID-19 与 flu"):
        answer = read(lines(words, "BIIIIIIIOOOBII"), sentence)
        assert answer == Answer(
            (Mention("ＣＯＶＩＤ－１９", "DISE"), Mention("Flu", "DISE")),
            {},
            (Span(0, 8, "DISE"), Span(11, 14, "DISE")),
        )


@pytest.mark.parametrize(
    ("style", "text"),
    [
        ("lines", "胃-B-疾病\n痛-I-疾病"),
        ("lines", "胃\tB-DISE\r\n痛\tI-DISE\r\n"),
        ("lines", "胃：b_疾病\n痛：i_疾病"),
        ("lines", "| 胃 | B-疾病 |\n| 痛 | I-疾病 |"),
        ("lines", "胃 B疾病。\n\n痛 I疾病。"),
        ("lines", "胃 疾病\n痛 疾病"),
        ("lines", "胃痛 B-疾病"),
        ("lines", "1. 胃 B-疾病\n2. 痛 I-疾病"),
        ("lines", "胃 （B-疾病）\n痛 （I-疾病）"),
        ("one_line", "胃/B-疾病 痛/I-疾病"),
        ("one_line", "胃/B-疾病\n痛/I-疾病\n"),
        ("one_line", "胃|B-病　痛|I-病"),
        ("runs", "胃痛 疾病"),
        ("runs", "胃痛 B-疾病"),
        ("runs", "胃痛-疾病"),
        ("inline", "[胃痛|疾病]"),
        ("inline", "【胃痛｜DISE】"),
        ("inline", "[疾病|胃痛]"),
    ],
)
def test_answers_whose_meaning_is_plain(style: str, text: str) -> None:
    expected = Answer((Mention("胃痛", "DISE"),), {}, (Span(0, 2, "DISE"),))
    assert read(text, "胃痛", style) == expected


@pytest.mark.parametrize(
    ("style", "text", "problems"),
    [
        ("lines", "", {"empty": 1}),
        ("lines", " \n ", {"empty": 1}),
        ("lines", "无", {}),
        ("lines", "好的\n胃 O\n痛 O", {"unparsable_line": 1}),
        ("lines", "胃 B-器官\n痛 O", {"unknown_label": 1, "altered_copy": 1}),
        ("lines", "胃\n痛 O", {"unparsable_line": 1, "altered_copy": 1}),
        ("one_line", "胃/B-器官 痛/O", {"unknown_label": 1, "altered_copy": 1}),
        ("runs", "胃痛 器官", {"unknown_label": 1, "altered_copy": 2}),
        ("inline", "胃痛", {}),
        ("inline", "无。", {}),
        ("inline", "[胃痛|器官]", {"unknown_label": 1}),
        ("inline", "[胃痛|疾", {"unparsable_line": 1}),
        ("inline", "[胃痛", {"altered_copy": 1}),
        ("inline", "胃痛[|疾病]", {"unparsable_line": 1}),
        ("inline", "胃痛。", {"altered_copy": 1}),
        ("inline", "\n", {"empty": 1}),
    ],
)
def test_what_cannot_be_used_is_counted(style: str, text: str, problems: dict[str, int]) -> None:
    assert read(text, "胃痛", style) == Answer((), problems, ())


def test_marks_of_the_sentence_are_told_from_marks_of_the_answer() -> None:
    text = r"见[1|2]与\[高]"
    sentence = Sentence("1", "t", "G", text, None, (Span(3, 6, "DISE"),), text)
    answer, inline = COPIES["inline"].gold(sentence), COPIES["inline"]
    text = inline.write(answer, sentence.model_text, SCHEME, "simplified")
    assert text == r"见\[1[\|2\]|疾病]与\\\[高\]"
    assert inline.parse(text, sentence.model_text, SCHEME) == answer
    unescaped = inline.parse("见[1]与[高血压|疾病]", "见[1]与高血压", SCHEME)
    assert (unescaped.spans, unescaped.problems) == ((Span(5, 8, "DISE"),), {})


def test_an_unknown_style_is_refused() -> None:
    target = "chmed_ner.prompt.formats.BioTags"
    with pytest.raises(InputError, match=r"prompt\.answer\.style=line: give one of lines"):
        build({"_target_": target, "style": "line"}, "prompt.answer")


@pytest.mark.parametrize(
    ("text", "mentions", "problems"),
    [
        ('{"疾病": ["高血压"], "人体": ["胃"]}', "高血压 胃人", {}),
        ('```json\n{"疾病": ["高血压"],\n "人体": ["胃"]}\n```', "高血压 胃人", {}),
        ('{"疾病": "高血压", "人体": null, "其他": []}', "高血压", {}),
        ('{"高血压": "疾病", "胃": "人体"}', "高血压 胃人", {}),
        ('[{"实体": "高血压", "类别": "疾病"}, {"类别": "人体", "实体": "胃"}]', "高血压 胃人", {}),
        ("{}", "", {}),
        ("[]", "", {}),
        ("无", "", {}),
        ('{"疾病": ["高血压",], "人体": ["胃",],}', "高血压 胃人", {"repaired": 1}),
        ("{'疾病': ['高血压'], '人体': ['胃']}", "高血压 胃人", {"repaired": 1}),
        ("{“疾病”：[“高血压”]，“人体”：[“胃”]}", "高血压 胃人", {"repaired": 1}),
        ('结果：{"疾病": ["高血压"]}希望有帮助', "高血压", {"repaired": 1}),
        ('{"疾病": ["高血压"], "人体": ["胃"', "高血压 胃人", {"repaired": 1}),
        ('{"疾病": ["高血压", "胃', "高血压", {"repaired": 1, "unparsable_line": 1}),
        ('{"疾病": ["高血压", 3, {"a": 1}]}', "高血压", {"unparsable_line": 2}),
        ('{"疾病": ["高血压", "高血压"]}', "高血压", {"repeated_line": 1}),
        ('{"疾病": ["糖尿病"]}', "糖尿病", {"not_in_sentence": 1}),
        ('{"器官": ["胃"]}', "", {"unknown_label": 1}),
        ('{"疾病": [" "]}', "", {"unparsable_line": 1}),
        ('"疾病"', "", {"unparsable_line": 1}),
        ("抱歉", "", {"unparsable_line": 1}),
        ("\n", "", {"empty": 1}),
    ],
)
def test_json_is_read_or_repaired(text: str, mentions: str, problems: dict[str, int]) -> None:
    listed = [
        Mention(words.rstrip("人"), "BODY" if words.endswith("人") else "DISE")
        for words in mentions.split()
    ]
    assert FORMATS["json"].parse(text, TEXT, SCHEME) == Answer(tuple(listed), problems)


def test_json_groups_the_distinct_mentions() -> None:
    spans = (Span(7, 8, "BODY"), Span(3, 6, "DISE"), Span(10, 11, "BODY"), Span(8, 9, "BODY"))
    sentence = Sentence("1", "t", "G", TEXT, None, spans, TEXT)
    answer = FORMATS["json"].gold(sentence)
    text = FORMATS["json"].write(answer, TEXT, SCHEME, "simplified")
    assert text == '{"人体": ["胃", "痛"], "疾病": ["高血压"]}'
