"""What the categories mean, from a YAML file: every set on disk, and sets that are refused."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from chmed_ner.entities.labels import LabelScheme, Simplified, label_scheme
from chmed_ner.errors import InputError
from chmed_ner.files import config_directory
from chmed_ner.prompt.wording import Definitions
from chmed_ner.run.config import build

SETS = {
    path.stem: yaml.safe_load(path.read_text(encoding="utf-8"))
    for path in sorted(Path(config_directory()).glob("definitions/*.yaml"))
}
TOY = label_scheme(
    "toy",
    {
        "FRUIT": {"traditional": "水果", "definition": "可以生吃的果實。"},
        "TOOL": {"traditional": "廚具", "simplified": "厨房用具", "definition": "做飯的\n器具。"},
    },
)


def built(name: str) -> Definitions:
    definitions: Definitions = build(SETS[name], "prompt.definitions")
    return definitions


def definitions(**options: Any) -> Definitions:
    """Those of the label scheme, without headings or notes, but for `options`."""
    plain = {"name": "x", "heading": "", "types": "labels", "notes_heading": "", "notes": ()}
    return Definitions(**(plain | options))


def test_the_four_sets_are_there() -> None:
    assert {"none", "short", "official", "confusions"} <= SETS.keys()
    assert [name for name, content in SETS.items() if content["name"] != name] == []


@pytest.mark.parametrize("name", sorted(SETS))
def test_a_set_says_something_of_every_type_in_either_script(
    name: str, labels: LabelScheme
) -> None:
    simplified, traditional = (
        built(name).text(labels, script) for script in ("simplified", "traditional")
    )
    assert Simplified().convert(traditional) == simplified  # our scheme's names convert, too
    if name == "none":
        assert simplified == ""
        return
    for script, text in (("simplified", simplified), ("traditional", traditional)):
        lines = text.split("\n")
        assert lines.pop() == ""
        assert all(line.strip() for line in lines)
        assert "{" not in text
        for type_name in labels.names(script):
            assert sum(line.startswith(f"{type_name}：") for line in lines) == 1


def test_sets_differ(labels: LabelScheme) -> None:
    texts = [built(name).text(labels, "traditional") for name in SETS]
    assert len(set(texts)) == len(texts)


def test_symptoms_are_told_from_diseases_first(labels: LabelScheme) -> None:
    notes = built("confusions").text(labels, "simplified").split("容易混淆：\n")[1]
    assert notes.startswith("症状与疾病：")


def test_the_scheme_s_own_definitions_serve_any_scheme() -> None:
    own = definitions(heading="說明：", notes_heading="注意：", notes=["{TOOL}不是{FRUIT}。"])
    assert own.text(TOY, "traditional") == (
        "說明：\n水果：可以生吃的果實。\n廚具：做飯的 器具。\n注意：\n廚具不是水果。\n"
    )
    assert own.text(TOY, "simplified") == (
        "说明：\n水果：可以生吃的果实。\n厨房用具：做饭的 器具。\n注意：\n厨房用具不是水果。\n"
    )
    assert definitions(types={}, notes=["看{TOOL}"]).text(TOY, "traditional") == "看廚具\n"


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"types": {"FRUIT": "果"}}, ["'x'", "TOOL", "'toy'", "under types", "=none"]),
        ({"types": {"FRUIT": "果", "TOOL": " "}}, ["TOOL"]),
        ({"types": {"FRUIT": "果", "TOOL": 3}}, ["TOOL"]),
        ({"types": {}, "notes": ["{KNIFE}"]}, ["{KNIFE}", "FRUIT, TOOL"]),
        ({"types": "scheme"}, ["types='scheme'", "labels"]),
        ({"types": ["果"]}, ["types=['果']"]),
        ({"notes": "看"}, ["notes='看'"]),
        ({"notes": [" "]}, ["notes"]),
    ],
)
def test_another_shape_is_refused_by_name(options: dict[str, Any], words: list[str]) -> None:
    with pytest.raises(InputError) as caught:
        definitions(**options).text(TOY, "traditional")
    for word in words:
        assert word in str(caught.value)


def test_a_scheme_without_definitions_is_refused_where_they_are_asked_for() -> None:
    bare = label_scheme("bare", {"FRUIT": None})
    with pytest.raises(InputError, match=r"type FRUIT .* conf/labels/bare\.yaml"):
        built("short").text(bare, "simplified")
    assert built("none").text(bare, "simplified") == ""
