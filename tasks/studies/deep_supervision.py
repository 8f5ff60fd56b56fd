"""A U-Net with and without losses on the inner levels of its decoder."""

import statistics
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from tasks.config import SHAPES, Device, UserText
from tasks.studies.short_training import train_briefly
from tasks.studies.study import Curve, Finding, Measured, Say, StudySettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


class Study(StudySettings):
    """mIoU after every epoch of a U-Net with head.deep_supervision on and off, over several seeds."""

    claim: ClassVar[str] = (
        "Losses on a decoder's inner levels make training faster and its end better (Lee et al. 2015, "
        "Deeply-supervised nets; Isensee et al. 2021, nnU-Net, which has them on)."
    )

    data: UserText = SHAPES
    """`shapes`, or a folder of images with masks."""
    backbone: str = "resnet18"
    epochs: int = Field(5, ge=1)
    images: int = Field(200, ge=4)
    """To train on, a random sample."""
    image_size: int = Field(64, ge=32)
    """Side of the crops in pixels."""
    batch_size: int = Field(8, ge=1)
    seeds: int = Field(3, ge=1)
    """Trainings with and without, in pairs of one seed."""
    device: Device = "auto"

    def measure(self, say: Say, work: Path) -> Measured:
        rows, curves = [], []
        for number in range(self.seeds):
            for on in (False, True):
                seed = self.seed + number
                trained = train_briefly(self._asked(on, seed), work / f"{on}-{seed}", images=self.images)
                ious = trained.curve("mIoU")
                early = statistics.mean(ious[: max(1, self.epochs // 2)])
                name = "on" if on else "off"
                rows.append({"deep supervision": name, "seed": seed, "early mIoU": early, "last mIoU": ious[-1]})
                curves.append(Curve(name, tuple(range(1, self.epochs + 1)), ious))
                say(f"{name}, seed {seed}: mIoU {', '.join(f'{iou:.3f}' for iou in ious)}")
        return Measured(rows, tuple(curves))

    def _asked(self, on: bool, seed: int) -> dict[str, Any]:
        data: dict[str, Any] = {"path": self.data, "image_size": self.image_size, "batch_size": self.batch_size}
        if self.data == SHAPES:
            data["count"] = max(self.images, 400)  # a tenth as many validate
        return {
            "task": "segmentation",
            "seed": seed,
            "device": self.device,
            "data": data | {"workers": 0},
            "backbone": {"name": self.backbone},
            "head": {"name": "unet", "deep_supervision": on},
            "schedule": {"epochs": self.epochs},
        }

    def finding(self, rows: list[dict[str, Any]]) -> Finding:
        texts, clear, better = [], True, True
        for value, when in (("early mIoU", "in the first half"), ("last mIoU", "at the end")):
            on, off = (
                {row["seed"]: row[value] for row in rows if row["deep supervision"] == name} for name in ("on", "off")
            )
            gains = [on[seed] - off[seed] for seed in off]
            gain, spread = statistics.mean(gains), statistics.stdev(gains) if len(gains) > 1 else float("inf")
            # More than two standard errors: what chance seldom does.
            clear &= abs(gain) > 2 * spread / len(gains) ** 0.5
            better &= gain > 0
            texts.append(f"{gain:+.3f} {when} ({statistics.mean(on.values()):.3f} on)")
        pairs = "1 pair" if len(gains) == 1 else f"{len(gains)} pairs"
        text = f"with deep supervision mIoU is {' and '.join(texts)}, over {pairs} of trainings"
        if not clear:
            return Finding(None, f"{text}; one of these differences is within what seeds make.")
        return Finding(better, f"{text}; both are beyond what seeds make.")

    def draw(self, measured: Measured, figure: "Figure") -> None:
        from matplotlib.ticker import MaxNLocator

        axes = figure.subplots()
        for name, colour in (("off", "C0"), ("on", "C1")):
            own = [curve for curve in measured.curves if curve.name == name]
            for curve in own:
                axes.plot(curve.x, curve.y, color=colour, alpha=0.3, linewidth=1)
            means = [statistics.mean(values) for values in zip(*(curve.y for curve in own), strict=True)]
            axes.plot(own[0].x, means, color=colour, linewidth=2.5, marker="o", label=f"deep supervision {name}")
        axes.set(xlabel="epoch", ylabel="mIoU on val")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()
