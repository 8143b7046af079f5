"""Where an answer says an entity, and the confidence that its tokens give."""

import math

import pytest
from hypothesis import given, settings, strategies as st

from chmed_ner.entities import Mention, Sentence, Span, label_scheme
from chmed_ner.prompt import Prompt
from chmed_ner.prompt.formats.answer import AnswerFormat
from chmed_ner.prompt.formats.bio_tags import BioTags
from chmed_ner.prompt.formats.extraction import Extraction
from chmed_ner.prompt.formats.grouped_json import GroupedJson
from chmed_ner.prompt.formats.inline import Inline

LABELS = label_scheme(
    "three",
    {tag: {"simplified": name} for tag, name in zip("DBS", ("疾病", "身体", "症状"), strict=True)},
    nested=True,
)
LIST = Extraction(order="unique", separator="-")


def read(answers: AnswerFormat, text: str, sentence: str) -> list[tuple[str, str]]:
    """Each mention with what the answer says it by."""
    answer = answers.parse(text, sentence, LABELS)
    return [
        (mention.text, "".join(text[start:end] for start, end in stretches))
        for mention, stretches in zip(answer.mentions, answer.read_at, strict=True)
    ]


@pytest.mark.parametrize(
    ("answers", "text", "expected"),
    [
        (LIST, "胃-身体\n胃痛-症状", [("胃", "胃-身体"), ("胃痛", "\n胃痛-症状")]),
        (LIST, "1. 胃痛（症状）", [("胃痛", " 胃痛（症状")]),
        (LIST, "症状：胃痛、头痛", [("胃痛", "症状：胃痛、"), ("头痛", "症状、头痛")]),
        (
            GroupedJson(),
            '{"症状": ["胃痛", "头痛"]}',
            [("胃痛", '症状"胃痛"'), ("头痛", '症状"头痛"')],
        ),
        (
            Inline(),
            "有[[胃|身体]痛|症状]和[头痛|症状]",
            [("胃痛", "[胃痛|症状]"), ("胃", "[胃|身体]"), ("头痛", "[头痛|症状]")],
        ),
        (Inline(), "有【症状｜胃痛】", [("胃痛", "【症状｜胃痛】")]),
        (Inline(), "[胃痛|症状]和[头痛|症状]", [("胃痛", "[胃痛|症状]"), ("头痛", "[头痛|症状]")]),
        (
            BioTags(style="runs"),
            "有 O\n胃痛 症状\n和 O\n头痛 症状",
            [("胃痛", "胃痛 症状\n"), ("头痛", "头痛 症状")],
        ),
        (
            BioTags(style="one_line"),
            "有/O 胃/B-症状 痛/I-症状 和/O 头/O 痛/O",
            [("胃痛", "胃/B-症状 痛/I-症状 和/O ")],
        ),
        (
            BioTags(style="lines"),
            "有 O\n胃 O\n痛 O\n和 O\n头 B-症状\n痛 I-症状",
            [("头痛", "头 B-症状\n痛 I-症状")],
        ),
    ],
)
def test_where_an_answer_names_a_mention(
    answers: AnswerFormat, text: str, expected: list[tuple[str, str]]
) -> None:
    assert read(answers, text, "有胃痛和头痛") == expected


@st.composite
def sentences(draw: st.DrawFn) -> Sentence:
    text = draw(st.text("甲乙丙丁戊己", min_size=2, max_size=9))
    cuts = sorted(draw(st.sets(st.integers(0, len(text)), min_size=2, max_size=4)))
    types = draw(st.lists(st.sampled_from("DBS"), min_size=len(cuts), max_size=len(cuts)))
    spans = tuple(Span(*each) for each in zip(cuts, cuts[1:], types, strict=False))
    return Sentence("1", "test", "FT", text, None, spans, text)


@pytest.mark.parametrize(
    "answers",
    [LIST, GroupedJson(), Inline(), *(BioTags(style=style) for style in ("lines", "runs"))],
    ids=["list", "json", "marks", "lines", "runs"],
)
@settings(max_examples=60)
@given(each=sentences())
def test_every_entity_of_a_written_answer_has_a_confidence(
    answers: AnswerFormat, each: Sentence
) -> None:
    wording = {"simplified": {"instruction": "", "sentence": "{sentence}"}}
    prompt = Prompt(
        name="p",
        wording=wording,
        answer=answers,
        stop=(),
        definitions=None,
        examples=None,
        hints=None,
    ).task(
        label_scheme("flat", {t.tag: {"simplified": t.simplified} for t in LABELS.labels}),
        "simplified",
    )
    text = prompt.target(each)
    half = math.log(0.5)
    answer = prompt.parse(text, each.text, "end", tuple((1, half) for _ in text))
    plain = prompt.parse(text, each.text)
    assert answer == plain
    assert all(mention.confidence is None for mention in plain.mentions)
    for mention in (*answer.mentions, *(answer.spans or ())):
        assert mention.confidence is not None
        least = len(mention.text) if isinstance(mention, Mention) else mention.end - mention.start
        assert 0 < mention.confidence <= 0.5 ** (least + 2)


def test_a_token_that_reaches_into_a_mention_counts_whole() -> None:
    text = "胃-身体\n胃痛-症状"
    prompt = Prompt(
        name="p",
        wording={"simplified": {"instruction": "", "sentence": "{sentence}"}},
        answer=LIST,
        stop=(),
        definitions=None,
        examples=None,
        hints=None,
    ).task(LABELS, "simplified")
    logprobs = ((2, -1.0), (3, -0.5), (3, -0.25), (2, 0.0))  # 胃- | 身体\n | 胃痛- | 症状
    found = prompt.parse(f"{text}", "有胃痛", "end", logprobs).mentions
    assert [mention.confidence for mention in found] == pytest.approx(
        [math.exp(-1.5), math.exp(-0.75)]
    )
    reasoned = prompt.parse(f"<think>想</think>{text}", "有胃痛", "end", ((16, -9.0), *logprobs))
    assert [mention.confidence for mention in reasoned.mentions] == pytest.approx(
        [math.exp(-1.5), math.exp(-0.75)]
    )
