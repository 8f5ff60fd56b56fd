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
    "tasks.drawing": 3,
    "tasks.detection": 4,
    "tasks.segmentation": 4,
    "tasks.heads": 5,
    "tasks.training": 5,
    "tasks.assembly": 6,
    "tasks.report": 6,
    "tasks.doctor": 7,
    "tasks.deploy": 7,
    "tasks.benchmark": 7,
    "tasks": 7,  # its __init__ hands out create_task and load_predictor
    "tasks.commands": 8,
    "tools": 9,
}
# Of each group, none imports another.
APART = (
    ("tasks.detection", "tasks.segmentation", "tasks.training"),
    ("tasks.doctor", "tasks.deploy", "tasks.benchmark"),
    ("tasks.config", "torch"),
)


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
            if isinstance(node, ast.Import):
                for alias in node.names:
                    yield Import(module, alias.name, "", id(node) not in late)
            elif isinstance(node, ast.ImportFrom):
                source, at_start = node.module or "", id(node) not in late
                assert not node.level, f"{module}: imports are absolute"
                for alias in node.names:
                    inner = f"{source}.{alias.name}"
                    is_file = inner in self.sources
                    yield Import(module, inner if is_file else source, "" if is_file else alias.name, at_start)

    def violations(self) -> list[str]:
        found = [message for one in self.imports for message in self._of(one)]
        return (
            found + [f"{module}: is in no room" for module in self.sources if room_of(module) is None] + self._circle()
        )

    def _of(self, one: Import) -> Iterator[str]:
        room, other = room_of(one.importer), room_of(one.module)
        for group in APART:
            for ours in group:
                if is_within(one.importer, ours) and any(is_within(one.module, it) for it in group if it != ours):
                    yield f"{one}: these are apart"
        if room == "tasks.heads" and one.at_start and one.module.partition(".")[0] in ("torch", "torchvision"):
            yield f"{one}: a head needs torch only when it is built"
        if room is None or other is None:
            return
        if FLOORS[other] > FLOORS[room]:
            yield f"{one}: from floor {FLOORS[room]} up to {FLOORS[other]}"
        if "backbones" == room != other or (room == "tasks.config" and other not in (room, "backbones")):
            yield f"{one}: {room} stands by itself"
        if room == other and one.module in self.packages and one.importer != other:
            yield f"{one}: inside a room files import each other by file"
        if room != other and one.module != other:
            yield f"{one}: past the __init__ of {other}"
        if room != other and one.module in self.packages and one.name and one.name not in self._handed_out(other):
            yield f"{one}: which does not hand it out"

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


def _is_late(node: ast.AST) -> bool:
    """In a function, or for the type checker alone."""
    if isinstance(node, ast.If):
        return "TYPE_CHECKING" in ast.dump(node.test)
    return isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))


if __name__ == "__main__":
    house = read_house()
    print(house, *house.violations(), sep="\n")
