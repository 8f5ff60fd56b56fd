"""Batch, group and instance norm at small batches."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from backbones import InputError
from tasks.config import SHAPES, Device, UserText
from tasks.studies.short_training import train_briefly
from tasks.studies.study import Finding, Measured, Say, StudySettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_CLOSE = 0.05  # of top1: what "as good" means here
_LEARNT = 0.5  # top1 below which nothing was learnt that a norm could lose
_RATE_OF = 32  # the batch that the learning rate is for


class Study(StudySettings):
    """The same number of images seen in batches of several sizes, with each norm."""

    claim: ClassVar[str] = (
        "Batch norm gets worse as batches get smaller, group norm does not (Wu and He 2018, Group normalization, "
        "section 4.1 and Fig. 1)."
    )

    data: UserText = SHAPES
    """`shapes`, or a folder of images with a class each."""
    norms: tuple[Literal["batch", "group", "instance"], ...] = Field(("batch", "group", "instance"), min_length=1)
    batch_sizes: tuple[int, ...] = Field((1, 2, 8, 32), min_length=1)
    """Images a step."""
    backbone: str = "resnet18"
    images: int = Field(200, ge=8)
    """To train on."""
    epochs: int = Field(3, ge=1)
    """Passes over them, whatever the batch."""
    image_size: int = Field(64, ge=32)
    """Side of the images in pixels."""
    lr: float = Field(0.05, gt=0)
    """Of SGD at batches of 32, and in proportion at others (Goyal et al. 2017; Wu and He do the same)."""
    seeds: int = Field(1, ge=1)
    """Trainings of each kind; the mean is reported."""
    device: Device = "auto"

    def measure(self, say: Say, work: Path) -> Measured:
        from tasks.training import TrainingError

        rows: list[dict[str, Any]] = []
        refusals: list[Exception] = []
        for norm in self.norms:
            for size in self.batch_sizes:
                row: dict[str, Any] = {"norm": norm, "batch": size, "top1": None, "loss": None, "refused": ""}
                try:
                    runs = [
                        train_briefly(
                            self._asked(norm, size, self.seed + number),
                            work / f"{norm}{size}-{number}",
                            images=self.images,
                        )
                        for number in range(self.seeds)
                    ]
                    row["top1"] = sum(run.curve()[-1] for run in runs) / len(runs)
                    row["loss"] = sum(_last_epoch(run.losses, self.epochs) for run in runs) / len(runs)
                except (InputError, TrainingError, ValueError) as error:  # a norm that such a batch does not allow
                    row["refused"] = " ".join(str(error).split())
                    refusals.append(error)
                rows.append(row)
                result = row["refused"] or f"top1 {row['top1']:.3f}, loss {row['loss']:.3f}"
                say(f"{norm}, batch {size}: {result}")
        if len(refusals) == len(rows):  # it is not the norm
            raise refusals[0]
        return Measured(rows)

    def _asked(self, norm: str, batch_size: int, seed: int) -> dict[str, Any]:
        data: dict[str, Any] = {"path": self.data, "image_size": self.image_size, "batch_size": batch_size}
        if self.data == SHAPES:
            data["count"] = self.images * 2  # a tenth as many validate
        return {
            "task": "classification",
            "seed": seed,
            "device": self.device,
            "data": data | {"workers": 0},
            "backbone": {"name": self.backbone, "norm": norm},
            "optim": {"name": "sgd", "lr": self.lr * batch_size / _RATE_OF},
            "schedule": {"epochs": self.epochs},
        }

    def finding(self, rows: list[dict[str, Any]]) -> Finding:
        lost, texts = {}, []
        for norm in dict.fromkeys(row["norm"] for row in rows):
            own = sorted((row for row in rows if row["norm"] == norm), key=lambda row: row["batch"])
            done = [row for row in own if row["top1"] is not None]
            refused = [str(row["batch"]) for row in own if row["top1"] is None]
            note = f", and refused at {' and '.join(refused)}" if refused else ""
            if len(done) > 1:
                small, large = done[0], done[-1]
                lost[norm] = large["top1"] - small["top1"]
                note = f" {large['top1']:.3f} at {large['batch']} and {small['top1']:.3f} at {small['batch']}" + note
            texts.append(f"{norm} norm{note or ' has one batch size'}")
        text = f"top1 for the same images seen: {'; '.join(texts)}."
        if not {"batch", "group"} <= lost.keys() or max(row["top1"] or 0 for row in rows) < _LEARNT:
            return Finding(None, text)
        return Finding(lost["batch"] > _CLOSE and lost["group"] < min(_CLOSE, lost["batch"]), text)

    def draw(self, measured: Measured, figure: "Figure") -> None:
        left, right = figure.subplots(1, 2)
        for norm in self.norms:
            done = [row for row in measured.rows if row["norm"] == norm and row["top1"] is not None]
            for axes, value in ((left, "top1"), (right, "loss")):
                axes.plot([row["batch"] for row in done], [row[value] for row in done], marker="o", label=norm)
        for axes, label in ((left, "top1 on val"), (right, "training loss, mean of the last epoch")):
            axes.set(xlabel="images a step", ylabel=label, xscale="log")
            axes.set_xticks(self.batch_sizes, map(str, self.batch_sizes))
            axes.minorticks_off()
            axes.grid(alpha=0.3)
        left.legend()


def _last_epoch(losses: tuple[float, ...], epochs: int) -> float:
    last = losses[-max(1, len(losses) // epochs) :]
    return sum(last) / len(last)
