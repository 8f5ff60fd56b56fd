"""A study from its settings to NAME.json and NAME.png."""

import json
import math
import os
import platform
import tempfile
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from backbones import InputError
from tasks.studies.study import StudySettings

_INCHES, _DOTS = (8.0, 5.0), 120  # of the figure; dots an inch


def run_study(name: str, study: StudySettings, output: Path, say: Callable[[str], None]) -> dict[str, Any]:
    """Measure, find, draw, and write `output`/NAME.json and `output`/NAME.png.

    Args:
        name: of the files.
        study: with its settings.
        output: a folder, made where there is none; whether it can be written is tried first.
        say: takes a line on how far it has come.

    Returns:
        What NAME.json holds: study, claim, settings, rows, curves, holds, finding, machine.

    Raises:
        InputError: the folder cannot be written, or what the study needs cannot be used.
    """
    _check_folder(output)
    import torch
    from matplotlib.figure import Figure

    started = time.perf_counter()
    # In the output folder: its disk is the one that was chosen for what a study writes.
    with tempfile.TemporaryDirectory(dir=output, prefix=f".{name}-") as work:
        measured = study.measure(say, Path(work))
    finding = study.finding(measured.rows)
    result: dict[str, Any] = {
        "study": name,
        "claim": study.claim,
        "settings": study.model_dump(mode="json"),
        "rows": measured.rows,
        "curves": [asdict(curve) for curve in measured.curves],
        "holds": finding.holds,
        "finding": str(finding),
        "machine": {
            "platform": platform.platform(),
            "device": _device_name(getattr(study, "device", "cpu")),
            "threads": torch.get_num_threads(),
            "torch": torch.__version__,
            "seconds": round(time.perf_counter() - started, 1),
        },
    }
    figure = Figure(figsize=_INCHES, dpi=_DOTS, layout="constrained")
    study.draw(measured, figure)
    _write(output / f"{name}.png", lambda file: figure.savefig(file, format="png"))
    text = json.dumps(_finite(result), indent=1, allow_nan=False) + "\n"
    _write(output / f"{name}.json", lambda file: file.write_text(text, encoding="utf-8"))
    return result


def _check_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise InputError(f"{folder}: cannot be written to: {error.strerror}") from None


def _device_name(device: str) -> str:
    import torch

    from tasks.training import find_device

    found = find_device(device)
    return torch.cuda.get_device_name(found) if found.type == "cuda" else found.type


def _write(file: Path, write: Callable[[Path], object]) -> None:
    """The whole file or none of it: what was there stays until the new one is complete."""
    part = file.with_name(f".{file.name}.part")
    try:
        write(part)
        os.replace(part, file)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise InputError(f"{file}: cannot be written: {error.strerror}") from None


def _finite(value: Any) -> Any:
    """JSON has neither NaN nor infinity: null stands for them."""
    if isinstance(value, Mapping):
        return {key: _finite(inner) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(inner) for inner in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
