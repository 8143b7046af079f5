"""What chat models answer: reasoning left out, plain meanings read, words for none no mentions."""

import json
from collections.abc import Mapping
from dataclasses import replace

import opencc
import pytest

from chmed_ner.entities import LabelScheme, Mention, Sentence, restore
from chmed_ner.prompt import Answer, TaskPrompt
from chmed_ner.run.config import option

TEXT = "老王有高血压和糖尿病，常头痛，每天量血压，打胰岛素。"
GOLD = {("高血压", "DISE"), ("糖尿病", "DISE"), ("头痛", "SYMP")}
LINES = "高血压-疾病\n糖尿病-疾病\n头痛-症状"
DRAFT = "先列候选：\n头痛-疾病\n血压-人体"
HARMONY = "<|channel|>analysis<|message|>头痛-疾病?<|end|><|start|>assistant"


@pytest.fixture(scope="module", params=["extraction", "json"])
def prompt(request: pytest.FixtureRequest, labels: LabelScheme) -> TaskPrompt:
    return option("prompt", request.param).task(labels, "simplified")


def found(answer: Answer, text: str = TEXT) -> set[tuple[str, str]]:
    spans = restore("longest_first", text, answer.mentions)
    return {(text[span.start : span.end], span.type) for span in spans}


@pytest.mark.parametrize(
    "answer",
    [
        f"<think>\n{DRAFT}\n</think>\n\n{LINES}",
        f"{DRAFT}\n\n再想想。\n</think>\n{LINES}",
        f"<think>{DRAFT}</think>\n<think>{DRAFT}</think>\n{LINES}",
        f"<think>{DRAFT}</think>\n{DRAFT}\n<think>不对</think>{LINES}",
        f"<think>{DRAFT}<think>{DRAFT}</think>{DRAFT}</think>{LINES}",
        f"{LINES}\n</think>",
        f"<THINK>{DRAFT}</THINK>{LINES}",
        f"[THINK]{DRAFT}[/THINK]{LINES}",
        f"{DRAFT}[/THINK]{LINES}",
        f"<thinking>{DRAFT}</thinking><answer>\n{LINES}\n</answer>",
        f"<thought>{DRAFT}</thought>\n{LINES}<|im_end|>",
        f"<seed:think>{DRAFT}</seed:think>{LINES}",
        f"◁think▷{DRAFT}◁/think▷{LINES}",
        f"<|START_THINKING|>{DRAFT}<|END_THINKING|><|START_RESPONSE|>{LINES}<|END_RESPONSE|>",
        f"<unused94>thought\n{DRAFT}<unused95>{LINES}",
        f"<|begin_of_thought|>{DRAFT}<|end_of_thought|><|begin_of_solution|>{LINES}"
        "<|end_of_solution|>",
        f"{HARMONY}<|channel|>final<|message|>{LINES}<|return|>",
        f"{HARMONY}<|channel|>commentary<|message|>{DRAFT}<|end|><|start|>assistant<|channel|>final"
        f" <|constrain|>json<|message|>{LINES}",
        f"<|channel|>final<|message|>{LINES}",
        f"analysis先列候选：头痛-疾病 assistantfinal{LINES}",
        f"analysisCandidates: 头痛-疾病. Decide.assistantfinal\n{LINES}",
        f"{DRAFT}\n\n**最终答案：**\n{LINES}",
        f"{DRAFT}\n最终结果如下：\n{LINES}",
        f"{DRAFT}\nFinal answer:\n{LINES}",
        f"{DRAFT}\n答案：\n{LINES}",
        f"{LINES}</s>",
        f"{LINES}<|im_end|>\n<|im_start|>user\n句子：头痛-疾病",
    ],
)
def test_reasoning_and_drafts_are_no_answer(answer: str, prompt: TaskPrompt) -> None:
    read = prompt.parse(answer, TEXT)
    assert found(read) == GOLD
    assert read.problems.keys() <= {"draft", "unparsable_line"}


@pytest.mark.parametrize(
    "answer", [f"<think>{DRAFT}", f"[THINK]{DRAFT}", f"{HARMONY}", f"◁think▷{DRAFT}\n{LINES}"]
)
def test_reasoning_that_does_not_end_is_no_answer(answer: str, prompt: TaskPrompt) -> None:
    read = prompt.parse(answer, TEXT, "length")
    assert read == Answer((), {"empty": 1, "truncated": 1, "unread": 1})


def test_a_draft_that_is_left_out_is_counted(prompt: TaskPrompt) -> None:
    read = prompt.parse(f"头痛-疾病<think>不对</think>{LINES}", TEXT)
    assert (found(read), read.problems) == (GOLD, {"draft": 1})


def test_marks_that_the_sentence_holds_are_text(prompt: TaskPrompt) -> None:
    text = "他说</think>是头痛"
    assert found(prompt.parse("头痛-症状\n</think>-药品", text), text) == {
        ("头痛", "SYMP"),
        ("</think>", "DRUG"),
    }


FORMS = {
    "blank lines": "\n\n高血压-疾病\n\n糖尿病-疾病\n\n\n头痛-症状\n\n",
    "words around": f"好的，以下是句子中的医疗实体：\n\n{LINES}\n\n如有其他问题，请告诉我。",
    "polite english": f"Sure! Here are the entities:\n\n{LINES}\n\nLet me know!",
    "echo": f"句子：{TEXT}\n医疗实体：\n{LINES}",
    "category first": "疾病：高血压\n疾病：糖尿病\n症状：头痛",
    "category first, listed": "疾病：高血压、糖尿病\n症状：头痛",
    "category first, commas": "疾病: 高血压, 糖尿病\n症状: 头痛",
    "category first, semicolons": "疾病：高血压；糖尿病\n症状：头痛",
    "category first, bold": "**疾病**：高血压、糖尿病\n**症状**：头痛",
    "category first, bullets": "- 疾病：高血压、糖尿病\n- 症状：头痛",
    "category first, numbers": "1. 疾病：高血压、糖尿病\n2. 症状：头痛",
    "category first, one line": "疾病：高血压、糖尿病；症状：头痛",
    "category first, tag": "疾病（DISE）：高血压、糖尿病\n症状（SYMP）：头痛",
    "category first, kind": "疾病类：高血压、糖尿病\n症状类实体：头痛",
    "category first, brackets": "疾病（高血压、糖尿病）\n症状（头痛）",
    "category first, marked": "【疾病】高血压、糖尿病\n【症状】头痛",
    "swapped": "疾病-高血压\n疾病-糖尿病\n症状-头痛",
    "one line, semicolons": "高血压-疾病；糖尿病-疾病；头痛-症状",
    "one line, commas": "高血压-疾病，糖尿病-疾病，头痛-症状",
    "one line, ascii commas": "高血压-疾病, 糖尿病-疾病, 头痛-症状",
    "one line, listing commas": "高血压-疾病、糖尿病-疾病、头痛-症状。",
    "one line, spaces": "高血压-疾病 糖尿病-疾病 头痛-症状",
    "one line, colons": "高血压：疾病，糖尿病：疾病，头痛：症状",
    "one line, brackets": "高血压（疾病）、糖尿病（疾病）、头痛（症状）",
    "brackets": "高血压（疾病）\n糖尿病（疾病）\n头痛（症状）",
    "ascii brackets": "高血压 (疾病)\n糖尿病 (疾病)\n头痛 (症状)",
    "square brackets": "高血压[疾病]\n糖尿病[疾病]\n头痛[症状]",
    "brackets, tags": "1. 高血压 (DISE)\n2. 糖尿病 (DISE)\n3. 头痛 (SYMP)",
    "arrows": "高血压→疾病\n糖尿病 → 疾病\n头痛 -> 症状",
    "double arrows": "高血压 => 疾病\n糖尿病=>疾病\n头痛 ⇒ 症状",
    "equals": "高血压=疾病\n糖尿病=疾病\n头痛=症状",
    "bars": "高血压|疾病\n糖尿病|疾病\n头痛|症状",
    "slashes": "高血压/疾病\n糖尿病/疾病\n头痛/症状",
    "tabs": "高血压\t疾病\n糖尿病\t疾病\n头痛\t症状",
    "blanks": "高血压 疾病\n糖尿病 疾病\n头痛 症状",
    "comma-separated": "实体,类别\n高血压,疾病\n糖尿病,疾病\n头痛,症状",
    "table": "| 实体 | 类别 |\n|---|---|\n| 高血压 | 疾病 |\n| 糖尿病 | 疾病 |\n| 头痛 | 症状 |",
    "table, category first": "| 类别 | 实体 |\n|:--|:--|\n| 疾病 | 高血压、糖尿病 |\n"
    "| 症状 | 头痛 |",
    "table, more columns": "| 序号 | 实体 | 类别 | 说明 |\n|---|---|---|---|\n"
    "| 1 | 高血压 | 疾病 | 慢性病 |\n| 2 | 糖尿病 | 疾病 | 代谢 |\n| 3 | 头痛 | 症状 | - |",
    "table, open": "实体 | 类别\n---|---\n高血压 | 疾病\n糖尿病 | 疾病\n头痛 | 症状",
    "bullets below": "疾病：\n- 高血压\n- 糖尿病\n症状：\n- 头痛",
    "bullets below, blank lines": "**疾病**\n\n* 高血压\n* 糖尿病\n\n**症状：**\n\n* 头痛",
    "bullets below, headings": "### 疾病\n1. 高血压\n2. 糖尿病\n\n### 症状\n1. 头痛",
    "bullets below, numbered": "1. 疾病：\n   - 高血压\n   - 糖尿病\n2. 症状：\n   - 头痛",
    "bullets below, notes": "疾病：\n- 高血压（慢性病）\n- 糖尿病：代谢异常，常见\n症状：\n- 头痛",
    "lines below": "疾病：\n高血压\n糖尿病\n症状：\n头痛",
    "list below": "疾病：\n高血压、糖尿病\n症状：\n头痛",
    "bold": "1. **高血压** - 疾病\n2. **糖尿病** - 疾病\n3. **头痛** - 症状",
    "bold line": "**高血压-疾病**\n**糖尿病-疾病**\n**头痛-症状**",
    "code": "`高血压` - `疾病`\n`糖尿病` - `疾病`\n`头痛` - `症状`",
    "fence": f"```\n{LINES}\n```",
    "fence of a language": f"```text\n{LINES}\n```\n以上。",
    "notes": "高血压-疾病（慢性病）\n糖尿病-疾病 (代谢病)\n头痛-症状\n注：以上为全部实体。",
    "further words": "高血压-疾病/慢性病\n糖尿病-疾病、代谢病\n头痛-症状，疼痛",
    "named fields": "实体：高血压，类别：疾病\n实体：糖尿病，类别：疾病\n实体：头痛，类别：症状",
    "numbered fields": "实体1：高血压-疾病\n实体2：糖尿病-疾病\n实体3：头痛-症状",
    "quotes": "“高血压”-疾病\n「糖尿病」-疾病\n'头痛'-症状",
    "a category for several": "高血压、糖尿病-疾病\n头痛-症状",
    "brackets for several": "高血压、糖尿病（疾病），头痛（症状）",
    "arrays": '疾病：["高血压","糖尿病"]\n症状：["头痛"]',
    "bare arrays": "疾病:[高血压,糖尿病];症状:[头痛]",
    "bare objects": "{疾病: [高血压, 糖尿病], 症状: [头痛]}",
    "lines in brackets": "[高血压-疾病]\n[糖尿病-疾病]\n[头痛-症状]",
    "tuples": "(高血压, 疾病)\n(糖尿病, 疾病)\n(头痛, 症状)",
    "records": "实体: 高血压\n类别: 疾病\n\n实体: 糖尿病\n类别: 疾病\n\n实体：头痛\n类别：症状",
    "records, bullets": "- 实体：高血压\n  - 类别：疾病\n- 实体：糖尿病\n  类别：疾病\n"
    "- 实体：头痛\n  - 类别：症状",
    "tags": "<疾病>高血压</疾病>\n<疾病>糖尿病</疾病>、<症状>头痛</症状>",
    "line ends as text": "高血压-疾病\\n糖尿病-疾病\\n头痛-症状",
    "line ends of a page": "高血压-疾病<br>糖尿病-疾病<br/>头痛-症状",
    "an explanation": f"{LINES}\n\n解释：\n高血压和糖尿病是疾病，头痛是症状。",
    "traditional": "高血壓-疾病\n糖尿病-疾病\n頭痛-症狀",
    "repeated heading": f"结果：\n{LINES}\n以上就是结果。",
}
OBJECT = [
    {"entity": "高血压", "type": "疾病", "start": 3, "end": 6},
    {"entity": "糖尿病", "type": "疾病", "start": 7, "end": 10, "confidence": 0.9},
    {"entity": "头痛", "type": "SYMP", "note": None},
]
VALUES = {
    "grouped": {"疾病": ["高血压", "糖尿病"], "症状": ["头痛"]},
    "grouped strings": {"疾病": "高血压、糖尿病", "症状": "头痛"},
    "grouped objects": {
        "疾病": [{"mention": "高血压", "start": 3}, {"mention": "糖尿病"}],
        "症状": [{"文本": "头痛"}],
    },
    "grouped names": {"疾病": {"高血压": 1, "糖尿病": 2}, "症状": {"头痛": ""}},
    "swapped": {"高血压": "疾病", "糖尿病": "疾病", "头痛": "症状"},
    "swapped lists": {"高血压": ["疾病"], "糖尿病": ["疾病"], "头痛": ["症状"]},
    "swapped objects": {
        "高血压": {"类别": "疾病"},
        "糖尿病": {"type": "DISE"},
        "头痛": {"label": "症状"},
    },
    "objects": OBJECT,
    "wrapped": {"entities": OBJECT},
    "wrapped twice": {"result": {"实体": {"疾病": ["高血压", "糖尿病"], "症状": ["头痛"]}}},
    "wrapped with more": {"sentence": TEXT, "entities": OBJECT},
    "traditional names": [{"實體": each["entity"], "類別": each["type"]} for each in OBJECT],
    "pairs": [["高血压", "疾病"], ["糖尿病", "疾病"], ["头痛", "症状"]],
    "pairs with places": [
        ["疾病", "高血压", 3, 6],
        ["疾病", "糖尿病", 7, 10],
        ["症状", "头痛", 11, 13],
    ],
    "lines": ["高血压-疾病", "糖尿病-疾病", "头痛-症状"],
    "wrapped lines": {"医疗实体": ["高血压-疾病", "糖尿病（疾病）", "症状：头痛"]},
    "lists of objects": [{"疾病": "高血压"}, {"疾病": "糖尿病"}, {"症状": "头痛"}],
    "lists of names": [
        {"类别": "疾病", "实体": ["高血压", "糖尿病"]},
        {"类别": "症状", "实体": ["头痛"]},
    ],
    "nones": {"疾病": ["高血压", "糖尿病"], "症状": ["头痛"], "药品": [], "时间": None, "检查": {}},
}
for _name, _value in VALUES.items():
    _text = json.dumps(_value, ensure_ascii=False)
    FORMS[f"json, {_name}"] = _text
    FORMS[f"json, {_name}, fence"] = f"好的：\n```json\n{json.dumps(_value, indent=2)}\n```\n完毕。"
FORMS["json lines"] = "\n".join(json.dumps(each, ensure_ascii=False) for each in OBJECT)


@pytest.mark.parametrize("form", FORMS)
def test_plain_meanings_are_read(form: str, prompt: TaskPrompt) -> None:
    read = prompt.parse(FORMS[form], TEXT)
    assert found(read) == GOLD
    assert "not_in_sentence" not in read.problems
    assert "unread" not in read.problems


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        ("高血压-疾病、症状", "unknown_label"),
        ('{"高血压": ["疾病", "症状"]}', "unknown_label"),
        ("高血压、糖尿病是常见的慢性病", "unparsable_line"),
        ("高血压\n疾病\n头痛\n症状", "unparsable_line"),
        ("抱歉，我不能回答医疗问题。", "unparsable_line"),
        ("高血压-慢性病", "unknown_label"),
    ],
)
def test_two_readings_or_none_are_counted_not_guessed(
    answer: str, problem: str, prompt: TaskPrompt
) -> None:
    read = prompt.parse(answer, TEXT)
    assert found(read) == set()
    assert problem in read.problems
    assert "unread" in read.problems


@pytest.mark.parametrize(
    "line",
    [
        *("无-药品", "没有-药品", "沒有-藥品", "None-药品", "none-药品", "N/A-药品", "null-药品"),
        *(
            "药品：无",
            "药品-无",
            "药品：没有",
            "药品：未提及",
            "药品：N/A",
            "药品：暂无",
            "药品：-",
        ),
        *(
            "药品：无。",
            "药品（无）",
            "无（药品）",
            "- 药品：无",
            "无-药品、时间、检查",
            "| 药品 | 无 |",
        ),
        *(
            "药品：无；检查：无",
            "药品：无相关实体",
            "药品：没有发现",
            "药品: not found",
            "药品:\n- 无",
        ),
        *("NA-药品", "na-化学物质", "药品：\n无", "無 - 藥品", "“无”-药品", "1. 无-药品"),
    ],
)
def test_words_for_none_are_no_mentions(line: str, prompt: TaskPrompt) -> None:
    text = TEXT + "None无没有null"
    read = prompt.parse(f"{LINES}\n{line}", text)
    assert found(read, text) == GOLD
    assert read.problems["none_word"] >= 1


@pytest.mark.parametrize(
    "value", [["无"], "无", ["None"], "N/A", ["没有"], ["未提及"], [{"entity": "无"}], ["null"]]
)
def test_words_for_none_in_json_are_no_mentions(value: object, prompt: TaskPrompt) -> None:
    answer = {"疾病": ["高血压", "糖尿病"], "药品": value, "症状": ["头痛"]}
    text = TEXT + "None无没有null"
    read = prompt.parse(json.dumps(answer, ensure_ascii=False), text)
    assert found(read, text) == GOLD
    assert read.problems == {"none_word": 1}


@pytest.mark.parametrize(
    ("line", "text", "kept"),
    [
        ("Na-化学物质", "血中Na偏低", True),
        ("NO-化学物质", "吸入NO治疗", True),
        ("NA-化学物质", "血中Na偏低", False),
        ("Na-化学物质", "血中Name偏低", False),
        ("Na-疾病", "血中Na偏低", False),
        ("None-化学物质", "None牌的药", False),
    ],
)
def test_a_symbol_is_a_mention_where_the_sentence_holds_its_letters(
    line: str, text: str, kept: bool, prompt: TaskPrompt
) -> None:
    read = prompt.parse(line, text)
    assert [mention.text for mention in read.mentions] == ([line[:2]] if kept else [])
    assert read.problems.get("none_word", 0) == (not kept)


@pytest.mark.parametrize(
    "answer",
    [
        *("无", "没有。", "抱歉，该句子中没有医疗实体。", "此句不包含任何医疗实体。", "无医疗实体"),
        *("該句子中無醫療實體。", "No medical entities found.", "{}", "[]", '{"entities": []}'),
        "```json\n{}\n```",
    ],
)
def test_none_at_all_is_an_answer(answer: str, prompt: TaskPrompt) -> None:
    assert prompt.parse(answer, "天气真好。") == Answer((), {})


def scores(prompt: TaskPrompt, sentences: list[Sentence], texts: Mapping[str, str]) -> list[float]:
    """Precision, recall and F1 in percent of what `texts` say, restored or placed."""
    predicted = gold = correct = 0
    for sentence in sentences:
        answer = prompt.parse(texts[sentence.id], sentence.model_text)
        spans = answer.spans
        if spans is None:
            spans = restore("longest_first", sentence.model_text, answer.mentions)
        predicted, gold = predicted + len(spans), gold + len(sentence.entities)
        correct += len(set(spans) & set(sentence.entities))
    return [100 * correct / predicted, 100 * correct / gold, 200 * correct / (predicted + gold)]


@pytest.mark.parametrize(
    "name", ["extraction", "json", "inline", "bio", "bio_one_line", "bio_runs"]
)
@pytest.mark.parametrize("script", ["simplified", "traditional"])
def test_the_other_script_costs_nothing(
    name: str, script: str, gold: tuple[Sentence, ...], labels: LabelScheme
) -> None:
    prompt = option("prompt", name).task(labels, script)
    sentences = [s for s in gold[::8] if s.entities]
    if script == "traditional":
        sentences = [replace(s, model_text=s.text) for s in sentences]
    same = {s.id: prompt.target(s) for s in sentences}
    converters = ["t2s"] if script == "traditional" else ["s2t", "s2tw", "s2hk"]
    for converter in map(opencc.OpenCC, converters):
        other = {id_: converter.convert(text) for id_, text in same.items()}
        lost = scores(prompt, sentences, same)[2] - scores(prompt, sentences, other)[2]
        assert lost < 0.2


@pytest.mark.parametrize("name", ["extraction", "json"])
def test_none_for_every_absent_category_costs_no_precision(
    name: str, gold: tuple[Sentence, ...], labels: LabelScheme
) -> None:
    prompt = option("prompt", name).task(labels, "simplified")
    sentences = [s for s in gold[::4] if s.entities]
    absent = {}
    for sentence in sentences:
        types = {span.type for span in sentence.entities}
        names = [labels.name_of(tag, "simplified") for tag in labels.tags if tag not in types]
        target = prompt.target(sentence)
        if name == "json":
            value = json.loads(target) | {each: ["无"] for each in names}
            absent[sentence.id] = json.dumps(value, ensure_ascii=False)
        else:
            absent[sentence.id] = "\n".join([target, *(f"无-{each}" for each in names)])
    perfect = scores(prompt, sentences, {s.id: prompt.target(s) for s in sentences})
    assert scores(prompt, sentences, absent) == perfect


def test_mentions_keep_the_order_of_their_lines(labels: LabelScheme) -> None:
    prompt = option("prompt", "extraction").task(labels, "simplified")
    read = prompt.parse("疾病：糖尿病、高血压；症状：头痛", TEXT)
    assert read.mentions == (
        Mention("糖尿病", "DISE"),
        Mention("高血压", "DISE"),
        Mention("头痛", "SYMP"),
    )
