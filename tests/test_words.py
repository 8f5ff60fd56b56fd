"""One word for one thing, the field's: image, polygon, evaluate, ...; not the words that stood for them once."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
NOT_OURS = re.compile(
    r"pictures?|outlines?|(?<![a-z])(told|judges?|judged|judging|faults?|twins?|starting|drawn)(?![a-z])", re.IGNORECASE
)
SUFFIXES = (".py", ".md", ".yaml", ".toml", ".sh", ".json", ".svg")
PLACES = (
    "backbones",
    "tasks",
    "configs",
    "tests",
    "tools",
    "docs",
    ".ci",
    "README.md",
    "CHANGELOG.md",
    "pyproject.toml",
)
# What stands in a line that may say it, and why.
ALLOWED = {
    "draw.rectangle(box, outline=colour": "Pillow's argument",
    "# twins": "the name of timm's model",
    "twins_pcpvt": "the name of timm's model",
    'TrainingState(epoch=1, step=2, pictures="a digest")': "runs at a commit that called it so",
    '"pictures": "a digest"': "was written by that commit",
    '- Words: "picture" and "outline" are': "says what has a new name",
    "`benchmark --pictures` is `--images`": "says what has a new name",
}


def _files() -> Iterator[Path]:
    for place in PLACES:
        path = ROOT / place
        yield from sorted(path.rglob("*")) if path.is_dir() else [path]


def _lines() -> Iterator[str]:
    for path in _files():
        if path.suffix in SUFFIXES and path != Path(__file__):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
                yield f"{path.relative_to(ROOT)}:{number}: {line}"


def test_nothing_else_is_said() -> None:
    found = [line for line in _lines() if NOT_OURS.search(line) and not any(part in line for part in ALLOWED)]
    assert not found


@pytest.mark.parametrize("part", ALLOWED)
def test_what_is_allowed_is_there(part: str) -> None:
    assert any(part in line for line in _lines())
