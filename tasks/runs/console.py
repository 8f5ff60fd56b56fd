"""What people read: a console, and what it calls our commands."""

import sys
from pathlib import Path
from typing import Any

from rich.console import Console


def called(command: str) -> str:
    """One of our commands as whoever called this one would call it: tools/doctor.py, or vertebra doctor."""
    script = Path(sys.argv[0])
    sibling = script.with_name(f"{command}.py") if script.suffix == ".py" else script
    return str(sibling) if sibling.suffix == ".py" and sibling.is_file() else f"vertebra {command}"


def plain_console(**options: Any) -> Console:
    """A console that prints paths and names of classes as they are, brackets and colons too."""
    return Console(markup=False, emoji=False, highlight=False, soft_wrap=True, **options)
