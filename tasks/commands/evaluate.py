"""`evaluate`: the metrics of a trained model on a split."""

import json
from typing import TYPE_CHECKING, Any, Literal

import tyro
from pydantic import Field
from rich.console import Console
from rich.table import Table

from tasks.commands.cli import parse, run_command
from tasks.config import DataSettings, Group, UserPath, UserText, read_yaml

if TYPE_CHECKING:
    from tasks.data import DataSet
    from tasks.detection import CocoMetric


class EvaluateArguments(Group):
    """What to evaluate, and on what."""

    run: tyro.conf.Positional[UserPath]
    """A run's folder, or a checkpoint in it."""
    split: Literal["train", "val", "test"] = "val"
    """Which images."""
    data: UserText | None = None
    """Another data set with the same classes. None: the run's own."""
    workers: int = Field(1, ge=0)
    """Processes that read images."""
    evaluator: Literal["hotcoco", "pycocotools"] = "hotcoco"
    """Who computes the COCO metrics."""
    results: UserPath | None = None
    """Detection: write what is found there, as a COCO result file."""
    mistakes: bool = False
    """Detection: also say what kinds of mistakes are made (TIDE), and which classes are taken for which."""


def main(argv: list[str]) -> int:
    return run_command(lambda console: _evaluate(_parse(argv), console))


def _parse(argv: list[str]) -> EvaluateArguments:
    return parse(EvaluateArguments, argv, command="evaluate", description="The metrics of a trained model.")


def _evaluate(arguments: EvaluateArguments, console: Console) -> int:
    from accelerate import Accelerator

    from backbones import InputError
    from tasks.assembly import task_from_checkpoint
    from tasks.commands.summary import metrics_table
    from tasks.data import Loader, open_data, with_classes
    from tasks.detection import CocoMetric
    from tasks.heads import find_head
    from tasks.training import checkpoint_folder, evaluate

    folder = checkpoint_folder(arguments.run)
    task, description = task_from_checkpoint(folder, arguments.evaluator)
    if task.name != "detection" and (arguments.results is not None or arguments.mistakes):
        raise InputError("--results and --mistakes are for detection")
    config = folder.parent / "config.yaml"
    if not config.is_file() and arguments.data is None:
        raise InputError(f"{config}: missing; it names the run's data; give --data")
    settings = DataSettings(**read_yaml(config).get("data", {})) if config.is_file() else DataSettings()
    if arguments.data is not None:
        settings = settings.model_copy(update={"path": arguments.data, "also": ()})
    settings = settings.model_copy(
        update={"image_size": description["image_size"], "fit": description.get("fit", "crop")}
    )
    annotations = find_head(description["head"]["name"], task.name).annotations
    data = with_classes(open_data(settings, annotations), task.classes)
    console.print(str(data))
    if arguments.split not in data.splits:
        raise InputError(f"{settings.path}: has no {arguments.split} split (it has {', '.join(data.splits)})")
    loader = Loader(
        data.splits[arguments.split],
        task.transform(settings, train=False),
        batch_size=settings.batch_size,
        workers=arguments.workers,
    )
    accelerator = Accelerator()
    task.model.to(accelerator.device)
    metric = evaluate(task, task.model, loader, accelerator, description["precision"], console)
    if not accelerator.is_main_process:
        return 0
    console.print(metrics_table({arguments.split: metric.compute()}, str(folder)))
    if isinstance(metric, CocoMetric):
        _print_more(arguments, metric, data, console)
    return 0


def _print_more(arguments: EvaluateArguments, metric: "CocoMetric", data: "DataSet[Any]", console: Console) -> None:
    from backbones import InputError
    from tasks.detection import coco_results, mistakes

    if arguments.results is not None:
        found = coco_results(metric, data.splits[arguments.split], data.category_ids)  # type: ignore[arg-type]
        try:
            arguments.results.write_text(json.dumps(found), encoding="utf-8")
        except OSError as error:
            raise InputError(f"{arguments.results}: cannot be written: {error.strerror}") from None
        console.print(f"{arguments.results}: {len(found)} detections")
    if arguments.mistakes:
        seen = mistakes(metric)
        table = Table("mistake", "AP50 without", "number", title="TIDE", title_justify="left")
        for kind, (gain, count) in seen.tide.items():
            table.add_row(kind, f"+{gain:.3f}", str(count))
        console.print(table)
        for true, found_as, count in seen.confusions:
            console.print(f"{true} taken for {found_as}: {count}")
