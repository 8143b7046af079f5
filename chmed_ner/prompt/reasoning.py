"""What a chat model says in the end: its answer without reasoning, drafts and marks of turns.

The marks are those of the models' chat templates: `<think>` (DeepSeek, Qwen, GLM), `[THINK]`
(Magistral), `<seed:think>` (Seed-OSS), `◁think▷` (Kimi), `<|START_THINKING|>` (Command), the
channels of harmony (gpt-oss), and the like.
"""

import re

_NAMES = r"think|thinking|thought|thoughts|reasoning|reflection|analysis|scratchpad|seed:think"
_OPEN = re.compile(
    rf"<(?:{_NAMES})>|\[THINK\]|◁think▷|<\|(?:START_THINKING|begin_of_thought)\|>|<unused94>",
    re.IGNORECASE,
)
_CLOSE = re.compile(
    rf"</(?:{_NAMES})>|\[/THINK\]|◁/think▷|<\|(?:END_THINKING|end_of_thought)\|>|<unused95>"
    r"|^\W*(?:最[终終后後]的?|正确|正確)?(?:答案|(?<=[终終后後的])(?:结果|結果|输出|輸出|回答))"
    r"(?:如下|是|为|為)?(?:[：:]|\W*$)|^\W*final (?:answer|output|result)s?(?:[：:]|\W*$)",
    re.IGNORECASE | re.MULTILINE,
)
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)[^<]*(?:<\|constrain\|>[^<]*)?<\|message\|>")
_BARE_CHANNEL = re.compile(r"\Aanalysis(?=[^a-z]).*assistant\s*final(?=[^a-z]|\Z)", re.DOTALL)
_TURN = re.compile(
    r"<\|(?:im_end|im_start|endoftext|eot_id|end|return|start|call|end_of_text|user|observation"
    r"|END_RESPONSE|END_OF_TURN_TOKEN|end_of_solution|end_of_box)\|>|<end_of_turn>|</s>|</answer>"
    r"|</response>|<｜end▁of▁sentence｜>"
)
_BEGIN = re.compile(r"<answer>|<response>|<\|(?:START_RESPONSE|begin_of_solution|begin_of_box)\|>")
_ROLES = {"", "assistant"}
_MARKS = (_OPEN, _CLOSE, _CHANNEL, _BARE_CHANNEL, _TURN, _BEGIN)


def said(text: str, sentence: str) -> tuple[str, int]:
    """The answer in `text`, and how many stretches beside it are left out: drafts, other turns.

    Reasoning that does not end leaves nothing. A text without marks is its own answer, and so is
    one about a sentence that holds such marks.
    """
    if not _marked(text) or _marked(sentence):
        return text, 0
    stretches = [
        [turn for turn in _TURN.split(_BEGIN.split(stretch)[-1]) if turn.strip() not in _ROLES]
        for stretch in _outside(_last_channel(text))
    ]
    answers = [turns[0] for turns in stretches if turns]
    return (answers[-1], sum(map(len, stretches)) - 1) if answers else ("", 0)


def _marked(text: str) -> bool:
    return any(pattern.search(text) for pattern in _MARKS)


def _last_channel(text: str) -> str:
    """What the last `final` channel says; all of a text without channels."""
    if bare := _BARE_CHANNEL.match(text):  # where a server drops special tokens
        return text[bare.end() :]
    channels = list(_CHANNEL.finditer(text))
    if not channels:
        return text
    ends = [*(each.start() for each in channels[1:]), len(text)]
    final = [text[c.end() : end] for c, end in zip(channels, ends, strict=True) if c[1] == "final"]
    return _TURN.split(final[-1])[0] if final else ""


def _outside(text: str) -> list[str]:
    """The stretches of `text` outside reasoning: what precedes a closing mark without an opening
    one is reasoning too, and so is what follows an opening mark without a closing one."""
    stretches: list[str] = []
    start, inside = 0, False
    for mark in sorted([*_OPEN.finditer(text), *_CLOSE.finditer(text)], key=re.Match.start):
        opens = mark.re is _OPEN
        if opens and not inside:
            stretches.append(text[start : mark.start()])
        elif not opens and not inside and text[mark.end() :].strip():
            stretches.clear()
        if inside or opens or text[mark.end() :].strip():
            start, inside = mark.end(), opens
    return stretches if inside else [*stretches, text[start:]]
