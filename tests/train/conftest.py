"""Tasks for training tests: pairs that a model can only know by heart."""

import pytest

ANSWERS = ("头痛-症状", "无", "胃-人体\n药-药品", "水泡-症状", "血糖-化学物质\n胃-人体")


@pytest.fixture(scope="session")
def heart_pairs(sample_sentences: list[str]) -> list[tuple[str, str]]:
    """14 sentences with answers."""
    return [
        (f"句子：{sentence[:12]}\n医疗实体：\n", ANSWERS[number % len(ANSWERS)])
        for number, sentence in enumerate(sample_sentences[:14])
    ]
