"""What freezing stages of a pretrained backbone saves, and what it costs."""

from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from tasks.config import SHAPES, Device, UserText
from tasks.studies.short_training import in_own_process, train_briefly
from tasks.studies.study import Finding, Measured, Say, StudySettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_LEARNT = 0.1  # AP or mIoU below which no training has come far enough
_LITTLE = 0.02  # of the metric


class Study(StudySettings):
    """Seconds an epoch, peak memory and the metric with more and more of the backbone frozen, each training in a
    process of its own."""

    claim: ClassVar[str] = (
        "Each further frozen stage of a pretrained backbone makes an epoch shorter and its memory less; freezing the "
        "first stages costs little of the metric (Yosinski et al. 2014, How transferable are features; He et al. 2017, "
        "Mask R-CNN's code, freezes the stem and stage 1)."
    )

    data: UserText = SHAPES
    """`shapes`, or a folder of the task's annotations."""
    weights: UserText | None = None
    """Of the backbone, a file. None: random ones, with which times and memory mean as much and the metric nothing."""
    task: Literal["detection", "segmentation"] = "detection"
    backbone: str = "resnet50"
    stride_in_1x1: bool = False
    """The weights are of the original bottleneck: the stride on the first 1x1."""
    freeze: tuple[str, ...] = Field(("0", "1", "1-2", "1-3", "1-4"), min_length=2)
    """What to freeze in each training, least first."""
    image_size: int = Field(64, ge=32)
    batch_size: int = Field(4, ge=1)
    epochs: int = Field(1, ge=1)
    images: int | None = Field(60, ge=4)
    """Of train and of val, a random sample; None: all."""
    device: Device = "auto"

    def measure(self, say: Say, work: Path) -> Measured:
        rows = []
        for frozen in self.freeze:
            asked = self._asked(frozen)
            trained = in_own_process(_train, asked, work / f"frozen{frozen}", self.images)
            metric = trained.curve()[-1]
            rows.append(
                {
                    "frozen": frozen,
                    "seconds an epoch": trained.seconds,
                    "peak memory, MiB": trained.peak_memory,
                    trained.best_metric: metric,
                    "weights": "given" if self.weights else "random",
                }
            )
            say(f"frozen {frozen}: {trained.seconds:.1f} s an epoch, {trained.peak_memory:.0f} MiB, {metric:.3f}")
        return Measured(rows)

    def _asked(self, frozen: str) -> dict[str, Any]:
        data: dict[str, Any] = {"path": self.data, "image_size": self.image_size, "batch_size": self.batch_size}
        if self.data == SHAPES and self.images is not None:
            data["count"] = self.images * 10  # so that val, a tenth, has as many
        backbone = {"name": self.backbone, "weights": self.weights, "freeze": frozen}
        return {
            "task": self.task,
            "seed": self.seed,
            "device": self.device,
            "data": data | {"workers": 0},
            "backbone": backbone | {"stride_in_1x1": self.stride_in_1x1},
            "schedule": {"epochs": self.epochs},
        }

    def finding(self, rows: list[dict[str, Any]]) -> Finding:
        metric = next(name for name in rows[0] if name in ("AP", "mIoU"))
        first, last = rows[0], rows[-1]
        steps = list(pairwise(rows))
        # Two times of one training differ by a few percent.
        faster = all(after["seconds an epoch"] < 1.05 * before["seconds an epoch"] for before, after in steps)
        faster &= last["seconds an epoch"] < 0.95 * first["seconds an epoch"]
        leaner = all(after["peak memory, MiB"] < 1.05 * before["peak memory, MiB"] for before, after in steps)
        text = (
            f"from {first['frozen']} to {last['frozen']} frozen an epoch goes from {first['seconds an epoch']:.1f} to "
            f"{last['seconds an epoch']:.1f} s and the peak of memory from {first['peak memory, MiB']:.0f} to "
            f"{last['peak memory, MiB']:.0f} MiB"
        )
        if first["weights"] == "random":
            return Finding(None if faster and leaner else False, f"{text}; {metric} means nothing with random weights.")
        best = max(rows, key=lambda row: row[metric])
        text += f"; {metric} goes from {first[metric]:.3f} to {last[metric]:.3f} and is best, {best[metric]:.3f}, "
        text += f"with {best['frozen']} frozen."
        if best[metric] < _LEARNT:
            return Finding(None if faster and leaner else False, f"{text} So little learnt says nothing of the metric.")
        early = [row[metric] for row in rows if row["frozen"] in ("1", "1-1", "1-2")]
        cheap = not early or max(early) > first[metric] - _LITTLE
        return Finding(faster and leaner and cheap, text)

    def draw(self, measured: Measured, figure: "Figure") -> None:
        metric = next(name for name in measured.rows[0] if name in ("AP", "mIoU"))
        for axes, value in zip(figure.subplots(1, 3), ("seconds an epoch", "peak memory, MiB", metric), strict=True):
            axes.bar([row["frozen"] for row in measured.rows], [row[value] for row in measured.rows], color="C0")
            axes.set(title=value, xlabel="frozen stages")


def _train(asked: dict[str, Any], folder: Path, images: int | None) -> Any:
    import warnings

    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*frozen.*")  # random weights are in the rows and the finding
        return train_briefly(asked, folder, images=images)
