"""Spans by offsets in JSON, pipes and dictionaries: keys, ends and units are recognised or set."""

import json
import logging
from pathlib import Path
from typing import Any

import pytest

from chmed_ner.data import Annotations, read_annotated
from chmed_ner.errors import InputError

TEXT = "患者头痛三天，胃痛。"


def read(content: Any, folder: Path, format: str = "span_json", **options: Any) -> Annotations:
    path = folder / "corpus.json"
    if not isinstance(content, str | bytes):
        content = json.dumps(content, ensure_ascii=False, indent=2)
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return read_annotated(path, format, options)


def found(read_: Annotations) -> list[list[tuple[str, str]]]:
    return [[(t.text[s.start : s.end], s.type) for s in t.entities] for t in read_.texts]


BOTH = [[("头痛", "sym"), ("头", "bod"), ("胃痛", "sym")]]


def cmeee_v2(last: int) -> list[dict[str, Any]]:
    """CMeEE-V2 with ends that are exclusive (`last` 0) or inclusive (1)."""
    marked = [(2, 4, "sym", "头痛"), (2, 3, "bod", "头"), (7, 9, "sym", "胃痛")]
    keys = ("start_idx", "end_idx", "type", "entity")
    entities = [
        dict(zip(keys, (start, end - last, type_, mention), strict=True))
        for start, end, type_, mention in marked
    ]
    return [{"text": TEXT, "entities": entities}]


@pytest.mark.parametrize(("last", "end"), [(0, "exclusive"), (1, "inclusive")])
@pytest.mark.parametrize("lines", [True, False])
def test_mentions_decide_the_ends(last: int, end: str, lines: bool, tmp_path: Path) -> None:
    content = cmeee_v2(last)
    read_ = read(json.dumps(content[0]) + "\r\n" if lines else content, tmp_path)
    assert found(read_) == BOTH
    assert read_.notes == (f"3 entities: {end} ends, offsets in characters",)
    assert read_.texts[0].line == (1 if lines else 2)
    with pytest.raises(InputError, match=r"corpus.json, line \d: .* 3 of 3 entities are wrong"):
        read(content, tmp_path, end="exclusive" if last else "inclusive")


def test_an_entity_that_is_not_its_mention_is_named(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (record,) = cmeee_v2(1)
    record["entities"] += [
        {"start_idx": 0, "end_idx": 1, "type": "x", "entity": "病人"},
        {"start_idx": 7, "end_idx": 9, "type": "dis", "entity": "胃痛"},  # an exclusive end
        {"start_idx": 0, "end_idx": 1, "type": "x", "entity": "患 者"},
        {"start_idx": 0, "end_idx": 1, "type": "x", "entity": "患者"},
    ]
    read_ = read([record], tmp_path)
    assert dict(read_.counts) == {"bad_offsets": 1, "repeated": 1, "crossing": 0}
    assert found(read_) == [[("患者", "x"), *BOTH[0][:2], ("胃痛", "dis"), ("胃痛", "sym")]]
    assert "line 2: entity x 0 1 is '患', not '病人'; left out" in caplog.text


@pytest.mark.parametrize(
    "record",
    [
        {"originalText": TEXT, "entities": [
            {"end_pos": 4, "label_type": "sym", "overlap": 0, "start_pos": 2},
            {"end_pos": 10, "label_type": "x", "overlap": 0, "start_pos": 9}]},
        {"id": 3, "sentence": TEXT, "note": "x", "spans": [
            {"start": "2", "end": "4", "label": "sym", "word": "头痛"},
            {"start": "9", "end": "10", "label": "x", "word": "。"}]},
        {"text": TEXT, "entities": [[2, 4, "sym"], [9, 10, "x"]]},
        {"text": TEXT, "relations": [{"from": 1}],
         "ner": [["sym", 2, 4, "头痛"], ["x", 9, 10, "。"]]},
        {"文本": TEXT, "实体": [{"开始": 2, "结束": 4, "类型": "sym"},
                              {"开始": 9, "结束": 10, "类型": "x"}]},
        {"context": TEXT, "mentions": [{"pos": [2, 4], "type": "sym", "name": "头痛"},
                                       {"pos": [9, 10], "type": "x", "name": "。"}]},
    ],
)  # fmt: skip
def test_keys_are_recognised(record: dict[str, Any], tmp_path: Path) -> None:
    read_ = read([record, record | {"id": "b"}], tmp_path)
    assert found(read_) == [[("头痛", "sym"), ("。", "x")]] * 2
    assert read_.texts[1].id == "b"


def test_keys_are_set(tmp_path: Path) -> None:
    entity = {"a": 2, "b": 3, "c": "头痛", "d": "sym", "e": 7, "f": 8, "g": "胃痛", "h": "头"}
    record = {"x": TEXT, "y": "头", "u": [entity], "v": [entity]}
    keys = {"text_key": "x", "entities_key": "u", "start_key": "e", "end_key": "f"}
    assert found(read([record], tmp_path, **keys, type_key="h", mention_key="g")) == [
        [("胃痛", "头")]
    ]
    for missing, says in (
        ("text_key", "no text_key is recognised; set dataset.options.text_key (x, y, u, v)"),
        ("entities_key", "set dataset.options.entities_key"),
        ("start_key", "set dataset.options.start_key (a, b, c, d, e, f, g, h)"),
    ):
        with pytest.raises(InputError) as caught:
            read([record], tmp_path, **{**keys, missing: None})
        assert says in str(caught.value)


def test_nothing_decides(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    record = {"text": TEXT, "entities": [[2, 3, "sym"]]}
    assert found(read([record], tmp_path)) == [[("头", "sym")]]
    assert "exclusive ends in characters or inclusive ends in characters?" in caplog.text
    caplog.clear()
    assert found(read([record], tmp_path, end="inclusive")) == [[("头痛", "sym")]]
    record["entities"] += [[0, 0, "x"]]  # a character, if ends are inclusive
    assert found(read([record], tmp_path)) == [[("患", "x"), ("头痛", "sym")]]
    assert not caplog.records


def test_units_of_javascript(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    record = {"text": "😷𠮷头痛", "spans": [{"start": 4, "end": 6, "type": "s", "text": "头痛"}]}
    read_ = read([record], tmp_path)
    assert found(read_) == [[("头痛", "s")]]
    assert read_.notes == ("1 entities: exclusive ends, offsets in utf16",)
    bare = {"text": "😷头痛。", "label": [[1, 3, "s"]]}
    assert found(read([bare], tmp_path, "doccano")) == [[("头痛", "s")]]
    assert not caplog.records  # offset 1 is within 😷 for JavaScript
    bare["label"] = [[2, 4, "s"]]
    assert found(read([bare], tmp_path, "doccano")) == [[("痛。", "s")]]
    assert "exclusive ends in characters or exclusive ends in utf16?" in caplog.text
    assert found(read([bare], tmp_path, "doccano", units="utf16")) == [[("头痛", "s")]]


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ('{"text": "a", "entities": []}\n{"text": \n', "line 2: not JSON"),
        ('[{"text": "a", "entities": []},\n', "line 1: not JSON"),
        ('{"text": "a", "entities": []}\n[]', "line 2: [] is not an object"),
        ('{"text": "a", "entities": []}\n{"text": "b"}', "line 2: `entities` must be a list; add it"),
        ('{"text": "a", "entities": []}\n{"entities": []}', "line 2: `text` must be a text"),
        ('{"text": "a", "entities": [[0, "x"]]}', "line 1: [0, 'x'] is no entity"),
        ('{"text": "ab", "entities": [{"start": 0, "end": 1, "type": "x"}, '
         '{"start": 1, "end": 2}]}', "line 1: {'start': 1, 'end': 2} has no type under `type`"),
        ('{"text": "ab", "entities": [{"start": 0, "end": 1, "type": "x"}, '
         '{"start": "q", "end": 2, "type": "x"}]}', "line 1: offset 'q' of an entity"),
        ('{"text": "\\ud800", "entities": []}', "line 1: holds a lone surrogate"),
        (b"PK\3\4\xff", "it is a ZIP archive: unpack it"),
        (json.dumps({"text": TEXT}, ensure_ascii=False).encode("gb18030"), "iconv -f GB18030"),
        (json.dumps({"text": TEXT}, ensure_ascii=False).encode("big5", "replace"), "iconv -f BIG5"),
        (json.dumps({"text": TEXT}, ensure_ascii=False).encode("utf-16"), "UTF-16"),
        (json.dumps({"text": TEXT}, ensure_ascii=False).encode("utf-16-le"), "byte"),
        ("", "holds no annotated text"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named(content: str | bytes, says: str, tmp_path: Path) -> None:
    with pytest.raises(InputError) as caught:
        read(content, tmp_path)
    assert "corpus.json" in str(caught.value)
    assert says in str(caught.value)


def test_files_without_gold(tmp_path: Path) -> None:
    for format, content in (
        ("span_json", f'[{{"text": "{TEXT}"}}]'),
        ("doccano", f'{{"id": 1, "text": "{TEXT}", "label": []}}'),
        ("span_dict", f'{{"text": "{TEXT}"}}'),
        ("pipes", TEXT + "\r\n"),
        ("pipes", TEXT + "|||2    3    sym|||\r\n"),
        ("label_studio", f'[{{"id": 1, "data": {{"text": "{TEXT}"}}}}]'),
    ):
        read_ = read(content, tmp_path, format, gold=False)
        assert [(text.text, text.entities) for text in read_.texts] == [(TEXT, ())]


def test_pipes(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    content = f"\ufeff{TEXT}|||2    3    sym|||2    2    bod|||\r\n\r\nHA|鞘注|||3 4 pro|||5 4 x|||"
    read_ = read(content, tmp_path, "pipes")
    assert found(read_) == [BOTH[0][:2], [("鞘注", "pro")]]
    assert [text.line for text in read_.texts] == [1, 3]
    assert "corpus.json, line 3: entity x 5 4 is not in its text of 5 characters" in caplog.text
    content = "头痛三天|||0 2 sym|||2 3 bod|||3 4 x|||"
    assert found(read(content, tmp_path, "pipes"))[0][0] == ("头痛", "sym")
    with pytest.raises(InputError, match=r"line 2: .*does not end in \|\|\|"):
        read("头|||\n头痛|||0 1 sym\n", tmp_path, "pipes")


def test_dictionaries_of_spans(tmp_path: Path) -> None:
    places = {"sym": {"头痛": [[2, 3]], "胃痛": [[7, 8]]}, "bod": {"头": [[2, 2]]}}
    assert found(read([{"text": TEXT, "label": places}], tmp_path, "span_dict")) == BOTH
    exclusive = {"sym": {"头痛": [[2, 4]], "胃痛": [[7, 9]]}, "bod": {"头": [[2, 3]]}}
    assert found(read([{"text": TEXT, "label": exclusive}], tmp_path, "span_dict")) == BOTH
    for label in ([[0, 1, "x"]], {"sym": ["头痛"]}, {"sym": {"头痛": [2, 3]}}, None):
        with pytest.raises(InputError, match=r"line 2: `label` must hold \{TYPE: \{MENTION"):
            read([{"text": TEXT, "label": label}], tmp_path, "span_dict")


@pytest.mark.parametrize(
    "record",
    [
        {"id": 7, "text": TEXT, "Comments": [],
         "label": [[2, 4, "sym"], [2, 3, "bod"], [7, 9, "sym"]]},
        {"id": 7, "data": TEXT, "label": [[7, 9, "sym"], [2, 3, "bod"], [2, 4, "sym"]]},
        {"id": 7, "text": TEXT, "labels": [[2, 4, "sym"], [2, 3, "bod"], [7, 9, "sym"]]},
        {"id": 7, "text": TEXT, "Comments": [], "label": [], "entities": [
            {"id": 1, "label": "sym", "start_offset": 2, "end_offset": 4},
            {"id": 2, "label": "bod", "start_offset": 2, "end_offset": 3},
            {"id": 3, "label": "sym", "start_offset": 7, "end_offset": 9}],
         "relations": [{"id": 1, "from_id": 1, "to_id": 2, "type": "in"}]},
    ],
)  # fmt: skip
def test_doccano(record: dict[str, Any], tmp_path: Path) -> None:
    empty = {key: [] if isinstance(value, list) else value for key, value in record.items()}
    lines = "".join(json.dumps(each, ensure_ascii=False) + "\n" for each in (record, empty))
    read_ = read(lines, tmp_path, "doccano")
    assert found(read_) == [*BOTH, []]
    assert [text.id for text in read_.texts] == ["7", "7"]


def test_doccano_with_numbers_of_labels(tmp_path: Path) -> None:
    record = {"id": 1, "text": TEXT, "annotations": [
        {"label": 3, "start_offset": 2, "end_offset": 4, "user": 1}], "meta": {}}  # fmt: skip
    assert found(read([record], tmp_path, "doccano")) == [[("头痛", "3")]]


def region(start: int, end: int, *labels: str, text: str | None = None) -> dict[str, Any]:
    value = {"start": start, "end": end, "labels": list(labels)} | ({"text": text} if text else {})
    return {"id": "x", "from_name": "label", "to_name": "text", "type": "labels", "value": value}


ALL = [region(2, 4, "sym", text="头痛"), region(2, 3, "bod"), region(7, 9, "sym")]


def task(**fields: Any) -> dict[str, Any]:
    return {"id": 5, "data": {"text": TEXT, "source": "x"}, "annotations": [], **fields}


def test_label_studio(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    relation = {"from_id": "x", "to_id": "y", "type": "relation", "direction": "right"}
    choice = {"type": "choices", "from_name": "c", "value": {"choices": ["good"]}}
    html = {"type": "hypertextlabels", "value": {
        "start": "/p[1]/text()[1]", "end": "/p[1]", "hypertextlabels": ["sym"]}}  # fmt: skip
    old = {"result": [region(0, 2, "x")], "created_at": "2024-01-01", "was_cancelled": False}
    skipped = {"result": [region(0, 1, "y")], "created_at": "2025-01-01", "was_cancelled": True}
    new = {"result": [*ALL, relation, choice, html], "created_at": "2024-06-01"}
    truth = {"result": [region(0, 2, "x", "z")], "created_at": "2023-01-01", "ground_truth": True}
    tasks = [
        task(annotations=[old, new, skipped]),
        task(annotations=[truth, old]),
        task(annotations=[skipped], predictions=[{"result": ALL}]),
    ]
    with caplog.at_level(logging.WARNING):
        read_ = read(tasks, tmp_path, "label_studio")
    assert found(read_) == [*BOTH, [("患者", "x"), ("患者", "z")]]
    assert read_.notes[0] == "read: annotations"
    assert read_.texts[0].id == "5"
    assert {k: n for k, n in read_.counts.items() if n} == {
        "several_annotations": 2,
        "unannotated": 1,
        "other_regions": 1,
    }
    assert "1 tasks without annotation left out" in caplog.text


def test_label_studio_completions_and_predictions(tmp_path: Path) -> None:
    for key in ("completions", "predictions"):
        read_ = read([task(**{key: [{"result": ALL}]})], tmp_path, "label_studio")
        assert found(read_) == BOTH
        assert read_.notes[0] == f"read: {key}"


def test_label_studio_json_min(tmp_path: Path) -> None:
    labels = [each["value"] for each in ALL]
    done = {"id": 5, "text": TEXT, "label": labels, "annotator": 1, "created_at": "2024"}
    read_ = read([done, {"id": 6, "text": TEXT}], tmp_path, "label_studio")
    assert found(read_) == BOTH
    assert read_.counts["unannotated"] == 1
    renamed = {"note": TEXT, "title": "x", "ner": labels}
    assert found(read([renamed], tmp_path, "label_studio", text_key="note")) == BOTH
    with pytest.raises(InputError, match=r"set dataset.options.text_key \(note, title, ner\)"):
        read([renamed], tmp_path, "label_studio")


def test_label_studio_counts_as_javascript_and_one_for_crlf(tmp_path: Path) -> None:
    for text, start in (("😷头痛", 2), ("一\r\n头痛", 2)):
        regions = [region(start, start + 2, "s", text="头痛")]
        record = {"data": {"text": text}, "annotations": [{"result": regions}]}
        assert found(read([record], tmp_path, "label_studio")) == [[("头痛", "s")]]
