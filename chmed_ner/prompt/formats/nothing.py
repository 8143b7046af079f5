"""The words for none: what a model writes where it has found nothing. They are no mentions."""

import re

from chmed_ner.entities import LabelScheme, folded, simplified_character

_LONGEST = 16
_ABSENT = "有|涉及|提及|提到|出现|发现|识别|检测|检出|包含|存在|适用|相关|任何|明确|出|到|的"
_WORDS = re.compile(
    rf"(?:暂|尚|均|都|皆|并)?(?:无(?:{_ABSENT})*|(?:没|未|不)(?:{_ABSENT})+)"
    r"(?:医疗|医学|命名|此|该|类)*(?:实体|内容|信息|类别)?"
    r"|none|null|nil|nan|n/?a|no|nothing|no(?:entit(?:y|ies))?(?:found|mentioned)?"
    r"|not(?:found|mentioned|applicable)"
)
_SAID = re.compile(
    r"(?:无|没|未|不(?:包含|含|存在|涉及))[^，,、；;：:\n]{0,20}实体|\bno\b.{0,30}\bentit", re.I
)
_SYMBOLS = re.compile(r"(?:NA|Na|NO|No)(?![A-Za-z])")
_MARKS = "（）()[]【】「」“”\"'。.．！!"


def means_none(words: str) -> bool:
    """Are `words` nothing but a word for none, in any script, case and width?"""
    if len(words) > _LONGEST:
        return False
    plain = folded("".join(map(simplified_character, words))).strip(_MARKS)
    return bool(_WORDS.fullmatch(plain))


def says_none(line: str) -> bool:
    """Does a sentence of the answer say that there are no entities, such as `没有医疗实体`?"""
    return bool(_SAID.search("".join(map(simplified_character, line[:200]))))


def is_symbol(words: str, tag: str, sentence: str, labels: LabelScheme) -> bool:
    """Is a word for none a symbol here, such as `Na`?

    So it is if the sentence holds the very same letters, as a word, and the type has symbols.
    """
    found = _SYMBOLS.fullmatch(words) and labels.has_symbols(tag)
    return bool(found and re.search(rf"(?<![A-Za-z]){words}(?![A-Za-z])", sentence))
