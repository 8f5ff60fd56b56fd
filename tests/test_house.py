"""Who may import whom: from the ground up, and nothing upwards (docs of the layout: README)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# The longest prefix counts. Within a floor, imports are free but for ROOMS_APART.
FLOORS = {
    "backbones": 1,
    "tasks.config": 1,
    "tasks.task": 2,
    "tasks.data": 2,
    "tasks.training": 3,
    "tasks.detection": 3,
    "tasks.segmentation": 3,
    "tasks.create": 4,
    "tasks.starting": 4,
    "tasks.deploy": 4,
    "tasks.report": 4,
    "tasks": 4,  # tasks/__init__.py names create and deploy
    "tasks.commands": 5,
    "tools": 6,
}
ROOMS_APART = [("backbones", "tasks"), ("tasks.config", "tasks"), ("tasks.config", "torch")]
_TASKS = ("tasks.detection", "tasks.segmentation")
ROOMS_APART += [(task, "tasks.training") for task in _TASKS] + [("tasks.training", task) for task in _TASKS]
ROOMS_APART += [(task, other) for task in _TASKS for other in _TASKS if task != other]


def _floor(module: str) -> int | None:
    fitting = [prefix for prefix in FLOORS if module == prefix or module.startswith(f"{prefix}.")]
    return FLOORS[max(fitting, key=len)] if fitting else None


def _modules() -> Iterator[tuple[str, ast.Module]]:
    for folder in ("backbones", "tasks", "tools"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__")
            yield name, ast.parse(path.read_text())


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, "imports are absolute"
            yield node.module


MODULES = dict(_modules())


def _violations(module: str, tree: ast.Module) -> list[str]:
    floor = _floor(module)
    assert floor is not None, f"{module} has no floor"
    found = []
    for imported in _imports(tree):
        below = _floor(imported)
        if below is not None and below > floor:
            found.append(f"{module} (floor {floor}) imports {imported} (floor {below})")
        for room, other in ROOMS_APART:
            if _within(module, room) and _within(imported, other) and not _within(imported, room):
                found.append(f"{module} imports {imported}")
    return found


def _within(module: str, room: str) -> bool:
    return module == room or module.startswith(f"{room}.")


@pytest.mark.parametrize("module", MODULES)
def test_imports_go_down(module: str) -> None:
    assert not _violations(module, MODULES[module])


@pytest.mark.parametrize(
    ("module", "code"),
    [
        ("backbones.resnet", "from tasks.data import samples"),
        ("tasks.data.voc", "import tasks.training.trainer"),
        ("tasks.detection.task", "def late():\n    from tasks.training.trainer import Trainer"),
        ("tasks.config", "import torch.nn"),
        ("tasks.training.trainer", "from tasks.commands import main"),
    ],
)
def test_a_violation_is_found(module: str, code: str) -> None:
    assert len(_violations(module, ast.parse(code))) >= 1
