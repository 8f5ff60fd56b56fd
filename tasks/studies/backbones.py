"""Several backbones with one short recipe."""

import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from tasks.config import SHAPES, Device, SettingsError, UserText
from tasks.studies.short_training import in_own_process, train_briefly
from tasks.studies.study import Finding, Measured, Say, StudySettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_WARM_UP = 2  # forward passes that are not timed


class Study(StudySettings):
    """Parameters, multiply-adds, latency, time and memory of a training, and the metric, each backbone in a process of
    its own: a comparison on your own data."""

    claim: ClassVar[str] = (
        "Multiply-adds do not order backbones by their time (Ma et al. 2018, ShuffleNet V2, section 2; Dollar et al. "
        "2021, Fast and accurate model scaling)."
    )

    backbones: tuple[str, ...] = Field(("resnet18", "resnet34", "resnet50", "timm/tf_efficientnet_lite0"), min_length=2)
    """Registered names, or timm/<model>."""
    weights: tuple[UserText, ...] = ()
    """NAME=FILE for each backbone that has some; the others train from scratch, which is another comparison."""
    stride_in_1x1: tuple[str, ...] = ()
    """Of these the weights are of the original bottleneck: the stride on the first 1x1."""
    data: UserText = SHAPES
    """`shapes`, or a folder of the task's annotations."""
    task: Literal["detection", "segmentation", "classification"] = "segmentation"
    image_size: int = Field(64, ge=32)
    batch_size: int = Field(8, ge=1)
    epochs: int = Field(2, ge=1)
    images: int | None = Field(160, ge=4)
    """Of train and of val, a random sample; None: all."""
    passes: int = Field(15, ge=1)
    """Timed forward passes of one image; the median is the latency."""
    device: Device = "auto"

    def measure(self, say: Say, work: Path) -> Measured:
        from backbones import describe_backbone

        files = self._files()
        rows = []
        for number, name in enumerate(self.backbones):
            stages = describe_backbone(name, self.image_size)
            asked = self._asked(name, files.get(name))
            latency, trained = in_own_process(_arm, asked, work / str(number), self.images, self.passes)
            rows.append(
                {
                    "backbone": name,
                    "weights": "given" if name in files else "random",
                    "parameters, M": sum(stage.parameters for stage in stages) / 1e6,
                    "MACs, G": sum(stage.macs for stage in stages) / 1e9,
                    "latency, ms": latency * 1e3,
                    "seconds an epoch": trained.seconds,
                    "peak memory, MiB": trained.peak_memory,
                    trained.best_metric: trained.curve()[-1],
                }
            )
            say(f"{name}: {latency * 1e3:.1f} ms, {trained.seconds:.1f} s an epoch, {trained.curve()[-1]:.3f}")
        return Measured(rows)

    def _files(self) -> dict[str, str]:
        files = {}
        for pair in self.weights:
            name, _, file = pair.partition("=")
            if not file or name not in self.backbones:
                raise SettingsError(
                    f"weights: {pair!r}: wanted is NAME=FILE with one of --backbones ({', '.join(self.backbones)})"
                )
            files[name] = file
        return files

    def _asked(self, name: str, weights: str | None) -> dict[str, Any]:
        data: dict[str, Any] = {"path": self.data, "image_size": self.image_size, "batch_size": self.batch_size}
        if self.data == SHAPES and self.images is not None:
            data["count"] = max(self.images, 400)  # a tenth as many validate
        return {
            "task": self.task,
            "seed": self.seed,
            "device": self.device,
            "data": data | {"workers": 0},
            "backbone": {"name": name, "weights": weights, "stride_in_1x1": name in self.stride_in_1x1},
            "schedule": {"epochs": self.epochs},
        }

    def finding(self, rows: list[dict[str, Any]]) -> Finding:
        by_macs, by_latency = (sorted(rows, key=lambda row: row[value]) for value in ("MACs, G", "latency, ms"))
        names, in_time = ([row["backbone"] for row in ordered] for ordered in (by_macs, by_latency))
        metric = list(rows[0])[-1]
        best = max(rows, key=lambda row: row[metric])
        text = f"by multiply-adds {' < '.join(names)}, by latency {' < '.join(in_time)}; {best['backbone']} has the "
        text += f"best {metric}, {best[metric]:.3f}"
        if len({row["weights"] for row in rows}) > 1:
            text += ", though some were trained from scratch and others were not"
        return Finding(names != in_time, f"{text}.")

    def draw(self, measured: Measured, figure: "Figure") -> None:
        metric = list(measured.rows[0])[-1]
        for axes, value in zip(figure.subplots(1, 2, sharey=True), ("latency, ms", "seconds an epoch"), strict=True):
            for number, row in enumerate(measured.rows):
                filled = "full" if row["weights"] == "given" else "none"
                label = f"{row['backbone']} ({row['weights']} weights)"
                axes.plot(row[value], row[metric], "o", color=f"C{number}", fillstyle=filled, label=label)
            axes.set(xlabel=value, ylabel=metric, xlim=(0, 1.1 * max(row[value] for row in measured.rows)))
            axes.grid(alpha=0.3)
        figure.legend(*axes.get_legend_handles_labels(), loc="outside lower center", ncols=2, fontsize="small")


def _arm(asked: dict[str, Any], folder: Path, images: int | None, passes: int) -> tuple[float, Any]:
    trained = train_briefly(asked, folder, images=images)
    return _latency(trained.checkpoint, asked, passes), trained


def _latency(checkpoint: Path, asked: dict[str, Any], passes: int) -> float:
    """Seconds of the trained backbone for one image, in evaluation."""
    import torch

    from tasks.assembly import task_from_checkpoint
    from tasks.training import find_device

    device = find_device(asked["device"])
    task, _ = task_from_checkpoint(checkpoint)
    backbone = task.backbone.to(device).eval()
    side = asked["data"]["image_size"]
    image = torch.randn(1, len(backbone.mean), side, side, device=device)
    seconds = []
    with torch.inference_mode():
        for _ in range(_WARM_UP + passes):
            started = time.perf_counter()
            backbone(image)
            if device.type == "cuda":
                torch.cuda.synchronize(device)
            seconds.append(time.perf_counter() - started)
    return statistics.median(seconds[_WARM_UP:])
