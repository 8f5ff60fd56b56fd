"""`evaluate`: the metrics of a trained model on a split."""

from collections.abc import Iterable, Mapping
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import tyro
from pydantic import Field
from rich.console import Console
from rich.table import Table

from tasks.commands.cli import parse, run_command
from tasks.commands.outputs import check_writable, write_json
from tasks.config import DATA_HELP, DataSettings, Device, Group, UserPath, UserText, read_yaml
from tasks.runs import metrics_table

if TYPE_CHECKING:
    from tasks.data import DataSet
    from tasks.detection import CocoMetric


_MOST_CONFUSIONS = 20


class EvaluateArguments(Group):
    """What to evaluate, and on what."""

    run: Annotated[UserPath, tyro.conf.Positional, tyro.conf.arg(metavar="RUN")]
    """A run's folder, or a checkpoint in it."""
    split: Literal["train", "val", "test"] | None = None
    """Which images. None: val; of other data without one, test, or else all that it has."""
    data: Annotated[UserText | None, tyro.conf.arg(help=f"Another data set with the run's classes: {DATA_HELP}")] = None
    device: Device = "auto"
    workers: int | None = Field(None, ge=0)
    """Processes that read images. None: as many as in a training."""
    compile: bool = False
    """Compile the parts that compute on whole maps (torch.compile): some seconds at the beginning, less time then."""
    evaluator: Literal["hotcoco", "pycocotools"] | None = None
    """Detection: who computes the COCO metrics. None: hotcoco."""
    results: UserPath | None = None
    """Write what is found there: detections as a COCO result file, classes with their confusion matrix."""
    mistakes: bool = False
    """Detection and classification: also say which classes are taken for which, and what kinds of mistakes detections
    are (TIDE)."""


def main(argv: list[str]) -> int:
    return run_command(lambda console: _evaluate(_parse(argv), console))


def _parse(argv: list[str]) -> EvaluateArguments:
    return parse(
        EvaluateArguments,
        argv,
        command="evaluate",
        description="The metrics of a trained model.",
        example="runs/mine --split test",
    )


def _evaluate(arguments: EvaluateArguments, console: Console) -> int:
    from backbones import InputError
    from tasks.assembly import task_from_checkpoint
    from tasks.classification import ClassificationMetric, as_imagenet
    from tasks.data import Loader, open_data, with_classes
    from tasks.detection import CocoMetric
    from tasks.heads import find_head
    from tasks.training import (
        checkpoint_folder,
        evaluate,
        loader_workers,
        make_accelerator,
        read_description,
        ready_to_predict,
    )

    folder = checkpoint_folder(arguments.run)
    _check_use(arguments, read_description(folder)["task"], folder)
    if arguments.results is not None:
        check_writable(arguments.results)
    accelerator = make_accelerator(arguments.device)
    options = {} if arguments.evaluator is None else {"evaluator": arguments.evaluator}
    task, description = task_from_checkpoint(folder, **options)
    settings, is_own = _data_settings(arguments, folder, description)
    annotations = find_head(description["head"]["name"], task.name).annotations
    found = open_data(settings, annotations, split_val=is_own)
    data = with_classes(as_imagenet(found, task.classes), task.classes)
    console.print(str(data))
    split: str = arguments.split or next(name for name in ("val", "test", "train") if name in data.splits)
    if split not in data.splits:
        raise InputError(f"{settings.path}: has no {split} split (it has {', '.join(data.splits)})")
    if split != (arguments.split or "val"):
        which = "all of its" if split == "train" else f"its {split} split, of"
        console.print(f"{settings.path}: has no val split: {which} {len(data.splits[split])} images are evaluated")
    loader = Loader(
        data.splits[split],
        task.transform(settings, train=False, channels=len(task.backbone.mean)),
        batch_size=settings.batch_size,
        workers=loader_workers(arguments.workers, accelerator.device.type),
    )
    model = ready_to_predict(task, accelerator.device, arguments.compile)
    metric = evaluate(task, model, loader, accelerator.device, description["precision"], console)
    if not accelerator.is_main_process:
        return 0
    console.print(metrics_table({split: metric.compute()}, str(folder)))
    if isinstance(metric, CocoMetric):
        _print_more(arguments, metric, data, split, console)
    if isinstance(metric, ClassificationMetric):
        if arguments.results is not None:
            write_json(arguments.results, metric.as_json())
            console.print(f"{arguments.results}: {len(metric.samples)} images and the confusion matrix")
        if arguments.mistakes:
            _print_confusions(metric.confusions(), console)
    return 0


def _check_use(arguments: EvaluateArguments, task: str, folder: Path) -> None:
    from backbones import InputError

    objects, both = ("detection",), ("detection", "classification")
    for name, fitting in {"evaluator": objects, "results": both, "mistakes": both}.items():
        if getattr(arguments, name) and task not in fitting:
            raise InputError(f"--{name}: for {' and '.join(fitting)}; {folder} is of {task}")


def _data_settings(
    arguments: EvaluateArguments, folder: Path, description: Mapping[str, Any]
) -> tuple[DataSettings, bool]:
    """Where the images are and how they are read, and whether they are those of the run itself."""
    from backbones import InputError
    from tasks.assembly import data_of
    from tasks.training import convert_config

    config = folder.parent / "config.yaml"
    if not config.is_file() and arguments.data is None:
        raise InputError(f"{config}: missing; it names the run's data; give --data")
    settings = data_of(description, convert_config(read_yaml(config)).get("data") if config.is_file() else None)
    if arguments.data is None or (config.is_file() and Path(arguments.data).resolve() == Path(settings.path).resolve()):
        return settings, True
    elsewhere = {name: type(settings).model_fields[name].default for name in settings.of_place}
    return settings.model_copy(update=elsewhere | {"path": arguments.data}), False


def _print_more(
    arguments: EvaluateArguments, metric: "CocoMetric", data: "DataSet[Any]", split: str, console: Console
) -> None:
    from tasks.detection import coco_results, mistakes

    if arguments.results is not None:
        found = coco_results(metric, data.splits[split], data.category_ids.get(split, ()))  # type: ignore[arg-type]
        write_json(arguments.results, found)
        console.print(f"{arguments.results}: {len(found)} detections")
    if arguments.mistakes:
        seen = mistakes(metric)
        table = Table("mistake", "AP50 without", "number", title="TIDE", title_justify="left")
        for kind, (gain, count) in seen.tide.items():
            table.add_row(kind, f"+{gain:.3f}", str(count))
        console.print(table)
        _print_confusions(seen.confusions, console)


def _print_confusions(confusions: Iterable[tuple[str, str, int]], console: Console) -> None:
    for true, found_as, count in islice(confusions, _MOST_CONFUSIONS):
        console.print(f"{true} taken for {found_as}: {count}")
