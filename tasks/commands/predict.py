"""`predict`: pictures with what a trained model finds drawn over them."""

import json
import sys
from pathlib import Path

import tyro
from pydantic import Field
from rich.console import Console

from tasks.commands.cli import guard, parse
from tasks.config import Group

_EXTENSIONS = {".jpg", ".jpeg", ".png", ".bmp", ".tif", ".tiff", ".webp"}


class PredictArguments(Group):
    """What to draw, and where."""

    run: tyro.conf.Positional[Path]
    """A run's folder, or a checkpoint in it."""
    images: tyro.conf.Positional[tuple[Path, ...]]
    """Pictures, or folders of pictures."""
    output: Path
    """Where the drawn pictures go."""
    score: float | None = Field(None, ge=0, le=1)
    """Objects below this score (0..1) are not drawn. None: for each class the score of the best F1 on val."""
    results: Path | None = None
    """Detection: write everything that is found there as well, as a COCO result file."""


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
    from tasks.detection.task import Detections
    from tasks.report.pictures import draw_detections, draw_labels

    paths = _pictures(arguments.images)
    if not paths:
        raise InputError(f"{', '.join(map(str, arguments.images)) or 'no pictures given'}: there is nothing to predict")
    targets = _targets(paths, arguments.output)
    predictor = load_predictor(arguments.run)
    try:
        arguments.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{arguments.output}: cannot be written to: {error.strerror}") from None
    if arguments.results is not None and not predictor.finds_objects:
        raise InputError("--results is for detection")
    thresholds = predictor.thresholds if arguments.score is None else [arguments.score] * len(predictor.classes)
    skipped, results = 0, []
    for number, (path, target) in enumerate(zip(paths, targets, strict=True), start=1):
        try:
            image = read_picture(path)
        except InputError as error:
            skipped += 1
            console.print(f"warning: skipped: {error}", markup=False)
            continue
        found = predictor([image])[0]
        if isinstance(found, Detections):
            results += found.as_coco(number, path.name)
            shown = found.above(thresholds)
            draw_detections(image, shown, predictor.classes).save(target, quality=92)
            count = len(shown.scores)
            told = f"{count} object{'' if count == 1 else 's'}"
        else:
            draw_labels(image, found.numpy(), predictor.classes).save(target, quality=92)
            told = ", ".join(predictor.classes[label] for label in found.unique().tolist())
        console.print(f"{target}: {told}", markup=False)
    if arguments.results is not None:
        try:
            arguments.results.write_text(json.dumps(results), encoding="utf-8")
        except OSError as error:
            raise InputError(f"{arguments.results}: cannot be written: {error.strerror}") from None
        console.print(f"{arguments.results}: {len(results)} detections", markup=False)
    return 1 if skipped else 0


def _targets(paths: list[Path], output: Path) -> list[Path]:
    """A file of its own in `output` for every picture, and none of the pictures' own files."""
    from backbones import InputError

    targets: list[Path] = []
    for path in paths:
        if path.resolve().parent == output.resolve():
            raise InputError(f"{output}: holds the picture {path.name} itself; give another --output")
        same = sum(other.stem == path.stem for other in paths[: len(targets)])
        targets.append(output / (f"{path.stem}-{same + 1}.jpg" if same else f"{path.stem}.jpg"))
    return targets


def _pictures(paths: tuple[Path, ...]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        if path.is_dir():
            found += sorted(file for file in path.iterdir() if file.suffix.lower() in _EXTENSIONS)
        else:
            found.append(path)
    return found
