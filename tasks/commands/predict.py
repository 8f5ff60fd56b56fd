"""`predict`: what a trained model finds, over the images."""

from pathlib import Path
from typing import Annotated

import tyro
from pydantic import Field
from rich.console import Console

from tasks.commands.cli import parse, run_command
from tasks.commands.outputs import check_writable, write_json
from tasks.config import Device, Group, UserPath

_BEST = 5  # classes that are shown


class PredictArguments(Group):
    """What to predict, and where the images go."""

    run: Annotated[UserPath, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run's folder, or a checkpoint in it."""
    images: Annotated[tuple[UserPath, ...], tyro.conf.Positional, tyro.conf.arg(metavar="IMAGE ...")]
    """Images, or folders of images."""
    output: UserPath
    """The folder for the images with what was found."""
    device: Device = "auto"
    compile: bool = False
    """Compile the parts that compute on whole maps (torch.compile): some seconds at the beginning, less time then."""
    score: float | None = Field(None, ge=0, le=1)
    """Objects below this score (0..1) are left out. None: for each class the score of the best F1 on val."""
    results: UserPath | None = None
    """Write everything that is found there as well: detections as a COCO result file, classes with their scores."""


def main(argv: list[str]) -> int:
    return run_command(lambda console: _predict(_parse(argv), console))


def _parse(argv: list[str]) -> PredictArguments:
    return parse(
        PredictArguments,
        argv,
        command="predict",
        description="Draw what a trained model finds.",
        example="runs/mine image.jpg folder/ --output predictions",
    )


def _predict(arguments: PredictArguments, console: Console) -> int:
    """0, or 1 where an image could not be read and was left out."""
    from backbones import InputError
    from tasks.data import read_image, shown
    from tasks.deploy import load_predictor
    from tasks.detection import Detections
    from tasks.drawing import draw_labels, draw_objects, draw_scores

    named = _images(arguments.images)
    paths = [path for path, _ in named]
    if not paths:
        raise InputError(f"{', '.join(map(str, arguments.images)) or 'no images given'}: there is nothing to predict")
    targets = _targets(paths, arguments.output)
    if arguments.results is not None:
        check_writable(arguments.results)
    predictor = load_predictor(arguments.run, arguments.device, compiled=arguments.compile)
    try:
        arguments.output.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"{arguments.output}: cannot be written to: {error.strerror}") from None
    if arguments.results is not None and predictor.task == "segmentation":
        raise InputError("--results is for detection and classification")
    thresholds = predictor.thresholds if arguments.score is None else [arguments.score] * len(predictor.classes)
    skipped, results = 0, []
    for number, ((path, name), target) in enumerate(zip(named, targets, strict=True), start=1):
        try:
            image = read_image(path, predictor.reading)
        except InputError as error:
            skipped += 1
            console.print(f"warning: skipped: {error}")
            continue
        found = predictor([image])[0]
        if isinstance(found, Detections):
            results += found.as_coco(number, name)
            kept = found.above(thresholds)
            masks = None if kept.masks is None else (mask.numpy() for mask in kept.masks)
            boxes, labels, scores = (tensor.numpy() for tensor in (kept.boxes, kept.labels, kept.scores))
            drawing = draw_objects(shown(image), boxes, labels, scores, predictor.classes, masks)
            summary = f"{len(scores)} object{'' if len(scores) == 1 else 's'}"
        elif predictor.task == "classification":
            best = found.topk(min(_BEST, len(predictor.classes)))
            pairs = list(zip(best.indices.tolist(), best.values.tolist(), strict=True))
            drawing = draw_scores(shown(image), [(predictor.classes[label], label, share) for label, share in pairs])
            summary = ", ".join(f"{predictor.classes[label]} {share:.3f}" for label, share in pairs)
            of_classes = dict(zip(predictor.classes, found.tolist(), strict=True))
            results.append({"file_name": name, "class": predictor.classes[pairs[0][0]], "scores": of_classes})
        else:
            drawing = draw_labels(shown(image), found.numpy(), predictor.classes)
            summary = ", ".join(predictor.classes[label] for label in found.unique().tolist())
        try:
            drawing.save(target, quality=92)
        except OSError as error:
            raise InputError(f"{target}: cannot be written: {error.strerror}") from None
        console.print(f"{target}: {summary}")
    if arguments.results is not None:
        write_json(arguments.results, results)
        what = "images" if predictor.task == "classification" else "detections"
        console.print(f"{arguments.results}: {len(results)} {what}")
    return 1 if skipped else 0


def _targets(paths: list[Path], output: Path) -> list[Path]:
    """A file of its own in `output` for every image, and none of the images' own files."""
    from backbones import InputError

    targets: list[Path] = []
    for path in paths:
        if path.resolve().parent == output.resolve():
            raise InputError(f"{output}: holds the image {path.name} itself; give another --output")
        same = sum(other.stem == path.stem for other in paths[: len(targets)])
        targets.append(output / (f"{path.stem}-{same + 1}.jpg" if same else f"{path.stem}.jpg"))
    return targets


def _images(paths: tuple[Path, ...]) -> list[tuple[Path, str]]:
    """The images and their names; those of a folder, or where it has only folders, of those, by the path from it."""
    from tasks.data import IMAGE_SUFFIXES

    found: list[tuple[Path, str]] = []
    for path in paths:
        if not path.is_dir():
            found.append((path, path.name))
            continue
        within = [file for file in path.iterdir() if file.suffix.lower() in IMAGE_SUFFIXES]
        within = within or [file for file in path.rglob("*") if file.suffix.lower() in IMAGE_SUFFIXES]
        found += [(file, file.relative_to(path).as_posix()) for file in sorted(within)]
    return found
