"""`predict`: pictures with what a trained model finds drawn over them."""

import sys
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console

from tasks.commands.cli import guard, parse

_EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}


@dataclass(frozen=True)
class PredictArguments:
    run: tyro.conf.Positional[Path]
    """A run's folder, or a checkpoint in it."""
    images: tyro.conf.Positional[tuple[Path, ...]]
    """Pictures, or folders of pictures."""
    output: Path
    """Where the drawn pictures go."""
    score: float = 0.5
    """Objects below this score (0..1) are not drawn."""


def main(argv: list[str] | None = None) -> int:
    arguments = sys.argv[1:] if argv is None else argv
    return guard(lambda console: _predict(_parse(arguments), console))


def _parse(argv: list[str]) -> PredictArguments:
    return parse(PredictArguments, argv, command="predict", description="Draw what a trained model finds.")


def _predict(arguments: PredictArguments, console: Console) -> int:
    """0, or 1 where a picture could not be read and was left out."""
    from backbones import InputError
    from tasks.data.pictures import read_picture
    from tasks.deploy.predictor import load_predictor
    from tasks.report.pictures import draw_detections

    paths = _pictures(arguments.images)
    if not paths:
        raise InputError(f"{', '.join(map(str, arguments.images))}: no pictures there")
    predictor = load_predictor(arguments.run)
    arguments.output.mkdir(parents=True, exist_ok=True)
    skipped = 0
    for path in paths:
        try:
            image = read_picture(path)
        except InputError as error:
            skipped += 1
            console.print(f"warning: skipped: {error}", markup=False)
            continue
        detections = predictor([image])[0]
        target = arguments.output / f"{path.stem}.jpg"
        if target.resolve() == path.resolve():
            raise InputError(f"{path}: would be written over; give another --output")
        draw_detections(image, detections, predictor.classes, arguments.score).save(target, quality=92)
        found = int((detections.scores >= arguments.score).sum())
        console.print(f"{target}: {found} object{'' if found == 1 else 's'}", markup=False)
    return 1 if skipped else 0


def _pictures(paths: tuple[Path, ...]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(file for file in path.iterdir() if file.suffix.lower() in _EXTENSIONS)
        else:
            found.append(path)
    return found
