"""The picture of the house: a room knows the faces of lower floors; no circle inside a room."""

import ast
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).parents[1]
FLOORS = (
    ("errors", "machine"),
    ("files", "knobs", "entities"),
    ("data", "prompt", "score", "model", "track"),
    ("backbone", "report"),
    ("train", "run"),
    ("methods",),
    ("cli", "__init__"),
    ("__main__",),
)
DOORS = {
    "torch": {"model", "backbone", "train", "methods"},
    "transformers": {"model", "backbone", "train", "methods"},
    "mlflow": {"track", "run"},
    "hydra": {"run", "cli"},
}
FLOOR = {room: floor for floor, rooms in enumerate(FLOORS) for room in rooms}
FILES = {
    path.relative_to(ROOT).with_suffix("").parts: path for path in ROOT.glob("chmed_ner/**/*.py")
}


def imports(path: Path) -> Iterator[tuple[str, ...]]:
    """What the file imports, wherever in it, as parts of a dotted name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (tuple(alias.name.split(".")) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = tuple((node.module or "").split("."))
            inside = [(*base, alias.name) for alias in node.names]
            yield from {each if each in FILES else base for each in inside}


def test_a_room_knows_only_the_floors_below() -> None:
    assert {parts[1] for parts in FILES} == set(FLOOR)
    for (_, room, *_), path in FILES.items():
        for library, *rest in map(list, imports(path)):
            if library == "chmed_ner" and rest and rest[0] != room:
                assert FLOOR[rest[0]] < FLOOR[room], f"{path} imports {rest}: an arrow up"
                assert len(rest) == 1, f"{path} imports {rest}: use the face of the room"
            assert room in DOORS.get(library, {room}), f"{path} imports {library}"


def test_no_folder_holds_a_circle() -> None:
    for folder in {parts[:-1] for parts in FILES}:
        level, graph = len(folder), {}
        for parts, path in FILES.items():
            if parts[:level] == folder and parts[level] != "__init__":
                known = {t[level] for t in imports(path) if t[:level] == folder and t[level:]}
                graph.setdefault(parts[level], set()).update(known - {parts[level]})
        assert tuple(TopologicalSorter(graph).static_order())
