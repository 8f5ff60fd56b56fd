"""The house of docs/architecture.md, read from the imports of every file. `python -m tests.house` draws it."""

import ast
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
PACKAGES = ("backbones", "tasks", "tools")

# Each room and its floor; nothing imports upwards. A module is in the room with the longest name that fits.
FLOORS = {
    "backbones": 1,
    "tasks.config": 1,
    "tasks.data": 2,
    "tasks.task": 3,
    "tasks.processes": 3,
    "tasks.drawing": 3,
    "tasks.detection": 4,
    "tasks.segmentation": 4,
    "tasks.classification": 4,
    "tasks.heads": 5,
    "tasks.training": 5,
    "tasks.assembly": 6,
    "tasks.report": 6,
    "tasks.doctor": 7,
    "tasks.deploy": 7,
    "tasks.benchmark": 7,
    "tasks.conformance": 7,
    "tasks.studies": 7,
    "tasks.runs": 7,
    "tasks": 7,  # its __init__ hands out create_task, load_predictor, train and check_head
    "tasks.commands": 8,
    "tools": 9,
}
# Of each group, none imports another.
APART = (
    ("tasks.detection", "tasks.segmentation", "tasks.classification", "tasks.training"),
    ("tasks.doctor", "tasks.deploy", "tasks.benchmark", "tasks.conformance", "tasks.studies"),
)
TORCH = ("torch", "torchvision", "timm", "segmentation_models_pytorch", "accelerate")
# What is asked for settings before torch is.
TORCH_LATE = ("tasks.heads", "tasks.training.optimizers", "tasks.training.schedules", "tasks.training._lookup")
TORCH_LATE += ("tasks.studies",)
# What imports by a name that it has found: an import that cannot be read here.
BY_NAME = ("backbones.late", "tasks.commands", "tasks.config.by_name")
# How a file of these rooms shows that it is found by its name; such files know nothing of each other.
FOUND_BY_NAME = {
    "tasks.heads": "class Head(",
    "tasks.data.formats": "FORMAT = Format(",
    "tasks.commands": "def main(argv: list[str]) ",
    "tasks.training.optimizers": "class Optimizer(",
    "tasks.training.schedules": "class Schedule(",
    "tasks.studies": "class Study(",
}


@dataclass(frozen=True)
class Import:
    """One imported name.

    Attributes:
        importer: the module that imports.
        module: the module, a file, that it is taken from.
        name: what is taken; "" for the module itself.
        at_start: whether importing the importer imports this.
    """

    importer: str
    module: str
    name: str
    at_start: bool

    def __str__(self) -> str:
        return f"{self.importer} imports {f'{self.name} of ' if self.name else ''}{self.module}"


class House:
    """The modules of the house and what they import.

    Args:
        sources: module -> its source text; packages go by their own name.
        packages: the modules that are packages.
    """

    def __init__(self, sources: Mapping[str, str], packages: frozenset[str]) -> None:
        self.sources = dict(sources)
        self.packages = packages

    @cached_property
    def imports(self) -> list[Import]:
        return [found for module, source in self.sources.items() for found in self._imports(module, source)]

    def _imports(self, module: str, text: str) -> Iterator[Import]:
        tree = ast.parse(text)
        late = {id(node) for outer in ast.walk(tree) if _is_late(outer) for node in ast.walk(outer)}
        for node in ast.walk(tree):
            at_start = id(node) not in late
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(module, alias.name, "", at_start)
            elif isinstance(node, ast.ImportFrom):
                source = "." * node.level + (node.module or "")
                for alias in node.names:
                    inner = f"{source}.{alias.name}"
                    is_file = inner in self.sources
                    yield Import(module, inner if is_file else source, "" if is_file else alias.name, at_start)
            elif isinstance(node, ast.Attribute) and (inner := _dotted(node)) in self.sources:
                yield Import(module, inner, "", at_start)  # tasks.data.images after an import of tasks.data

    def violations(self) -> list[str]:
        found = [message for one in self.imports for message in self._of(one)]
        return (
            found + [f"{module}: is in no room" for module in self.sources if room_of(module) is None] + self._circle()
        )

    def _of(self, one: Import) -> Iterator[str]:
        room, other = room_of(one.importer), room_of(one.module)
        if one.module.startswith("."):
            yield f"{one}: imports are absolute"
        if one.name == "import_module" and one.importer not in BY_NAME:
            yield f"{one}: an import by name"
        for group in APART:
            for ours in group:
                if is_within(one.importer, ours) and any(is_within(one.module, it) for it in group if it != ours):
                    yield f"{one}: these are apart"
        needs_torch = one.module.partition(".")[0] in TORCH
        late = any(is_within(one.importer, it) for it in TORCH_LATE) and one.at_start
        if needs_torch and (room == "tasks.config" or late):
            yield f"{one}: {room} needs no torch"
        if room == "tasks.heads" and one.at_start and other not in (None, room, "backbones", "tasks.config"):
            yield f"{one}: what a head is built from is imported when it is built"
        if self._is_found_by_name(one.importer) and self._is_found_by_name(one.module) and room == other:
            yield f"{one}: files that are found by name know nothing of each other"
        if room is None or other is None:
            return
        if FLOORS[other] > FLOORS[room]:
            yield f"{one}: from floor {FLOORS[room]} up to {FLOORS[other]}"
        if other == "tasks" != room and FLOORS[room] == FLOORS["tasks"]:
            yield f"{one}: these are apart"
        if "backbones" == room != other or (room == "tasks.config" and other not in (room, "backbones")):
            yield f"{one}: {room} stands by itself"
        if room == other and one.module in self.packages and one.importer != other:
            yield f"{one}: inside a room files import each other by file"
        if room != other and one.module != other:
            yield f"{one}: past the __init__ of {other}"
        if room != other and one.module == other and one.name and one.name not in self._handed_out(other):
            yield f"{one}: which does not hand it out"

    def _is_found_by_name(self, module: str) -> bool:
        mark = FOUND_BY_NAME.get(room_of(module) or "") or FOUND_BY_NAME.get(module.rpartition(".")[0])
        return mark is not None and mark in self.sources.get(module, "")

    def _handed_out(self, room: str) -> set[str]:
        for node in ast.parse(self.sources[room]).body:
            if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
                return set(ast.literal_eval(node.value))
        return set()

    def _circle(self) -> list[str]:
        graph: dict[str, set[str]] = {module: set() for module in self.sources}
        for one in self.imports:
            if one.module in graph:
                graph[one.importer].add(one.module)
        try:
            TopologicalSorter(graph).prepare()
        except CycleError as error:
            return [f"files import each other: {' <- '.join(error.args[1])}"]
        return []

    def shares(self) -> dict[str, float]:
        """Each folder's share of all lines, counting only the files in it and not those in folders within it."""
        lines: Counter[str] = Counter()
        for module, source in self.sources.items():
            lines[module if module in self.packages else module.rpartition(".")[0]] += source.count("\n")
        return {folder: count / lines.total() for folder, count in lines.most_common()}

    def __str__(self) -> str:
        below: dict[str, set[str]] = {room: set() for room in FLOORS}
        for one in self.imports:
            room, other = room_of(one.importer), room_of(one.module)
            if room is not None and other is not None and room != other:
                below[room].add(other)
        rows = [
            f"{floor}  {room:<19}" + (f"-> {', '.join(sorted(below[room]))}" if below[room] else "")
            for room, floor in sorted(FLOORS.items(), key=lambda item: (-item[1], item[0]))
        ]
        folder, share = next(iter(self.shares().items()))
        circles = "no circle" if not self._circle() else self._circle()[0]
        files = f"{len(self.sources)} files, {sum(source.count(chr(10)) for source in self.sources.values())} lines"
        return "\n".join([*rows, f"{files}; {circles}; the largest folder, {folder}, has {share:.1%} of the lines"])


def read_house() -> House:
    """The house as it stands."""
    sources, packages = {}, set()
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            module = name.removesuffix(".__init__")
            sources[module] = path.read_text(encoding="utf-8")
            if module != name or package == "tools":
                packages.add(module if module != name else package)
    return House(sources, frozenset(packages))


def room_of(module: str) -> str | None:
    # The files of tasks/ itself, but for its __init__, are in a room only where they are one, as tasks/task.py.
    fitting = [room for room in FLOORS if is_within(module, room) and (room != "tasks" or module == room)]
    return max(fitting, key=len) if fitting else None


def is_within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


def _dotted(node: ast.AST) -> str:
    """a.b.c of an attribute of a name; "" of others."""
    if isinstance(node, ast.Name):
        return node.id
    inner = _dotted(node.value) if isinstance(node, ast.Attribute) else ""
    return f"{inner}.{node.attr}" if inner else ""  # type: ignore[attr-defined]


def _is_late(node: ast.AST) -> bool:
    """In a function, or for the type checker alone."""
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.dump(node.test)
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))


if __name__ == "__main__":
    house = read_house()
    print(house, *house.violations(), sep="\n")
