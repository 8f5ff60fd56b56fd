"""Whether more layers make the training error higher, with and without shortcuts."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from tasks.config import Device, UserText
from tasks.studies.short_training import train_briefly
from tasks.studies.study import Curve, Finding, Measured, Say, StudySettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure


_LEARNT = 0.5  # training error above which no network has come far enough to be compared


class Study(StudySettings):
    """Training error of plain and residual networks of 20 and 56 layers: the same recipe, order of images and weights
    at the beginning of each depth, with and without shortcuts."""

    claim: ClassVar[str] = (
        "A plain network of 56 layers has a higher training error than one of 20; a residual one has a lower (He et "
        "al. 2016, Deep residual learning, section 4.2 and Fig. 6)."
    )

    data: UserText
    """CIFAR-10's, Fashion-MNIST's or any other folder of small images with a class each."""
    epochs: int = Field(4, ge=1)
    """Passes over the images. The paper has 160 and all 50,000 images."""
    images: int | None = Field(2000, ge=2)
    """Of train, a random sample; None: all."""
    batch_size: int = Field(32, ge=2)
    """Images a step."""
    lr: float = Field(0.1, gt=0)
    """Highest learning rate; SGD with momentum, as in the paper."""
    in_channels: int = Field(3, ge=1)
    """1 for grey images."""
    seeds: int = Field(1, ge=1)
    """Trainings of each network; the mean error is reported."""
    device: Device = "auto"

    def measure(self, say: Say, work: Path) -> Measured:
        rows, curves = [], []
        for network in ("plain", "residual"):
            for depth in (20, 56):
                runs = [
                    train_briefly(
                        self._asked(network, depth, self.seed + number),
                        work / f"{network}{depth}-{number}",
                        images=self.images,
                        validate_on_train=True,
                    )
                    for number in range(self.seeds)
                ]
                errors = [_mean([1 - run.curve()[epoch] for run in runs]) for epoch in range(self.epochs)]
                loss = _mean([_mean(run.losses[-max(1, len(run.losses) // self.epochs) :]) for run in runs])
                rows.append(
                    {
                        "network": network,
                        "depth": depth,
                        "images": runs[0].images,
                        "epochs": self.epochs,
                        "training error": errors[-1],
                        "loss of the last epoch": loss,
                    }
                )
                curves.append(Curve(f"{network} {depth}", tuple(range(1, self.epochs + 1)), tuple(errors)))
                say(f"{network} {depth}: training error {errors[-1]:.3f}")
        return Measured(rows, tuple(curves))

    def _asked(self, network: str, depth: int, seed: int) -> dict[str, Any]:
        kind = "plain" if network == "plain" else "resnet"
        return {
            "task": "classification",
            "config": "classification/small",
            "seed": seed,
            "device": self.device,
            "data": {"path": self.data, "batch_size": self.batch_size, "workers": 0},
            "backbone": {"name": f"cifar_{kind}{depth}", "in_channels": self.in_channels},
            "optim": {"lr": self.lr},
            "schedule": {"epochs": self.epochs},
        }

    def finding(self, rows: list[dict[str, Any]]) -> Finding:
        errors = {(row["network"], row["depth"]): row["training error"] for row in rows}
        plain = errors["plain", 56] - errors["plain", 20]
        residual = errors["residual", 56] - errors["residual", 20]
        text = (
            f"from 20 to 56 layers the training error goes from {errors['plain', 20]:.3f} to {errors['plain', 56]:.3f} "
            f"without shortcuts ({plain:+.3f}) and from {errors['residual', 20]:.3f} to "
            f"{errors['residual', 56]:.3f} with them ({residual:+.3f}), after {rows[0]['epochs']} epochs of "
            f"{rows[0]['images']} images."
        )
        if max(errors["plain", 20], errors["residual", 20]) > _LEARNT:
            return Finding(None, f"{text} This was too short: even the shallow networks have learnt little.")
        if plain > 0 and residual >= 0:
            text += " Degradation is there, and shortcuts "
            text += "make it less" if residual < plain else "do not help yet"
            text += "; that the deeper residual network is better needs more steps or is not so."
        return Finding(plain > 0 > residual, text)

    def draw(self, measured: Measured, figure: "Figure") -> None:
        from matplotlib.ticker import MaxNLocator

        axes = figure.subplots()
        for curve in measured.curves:
            style, colour = "--" if curve.name.startswith("plain") else "-", "C1" if curve.name.endswith("56") else "C0"
            axes.plot(curve.x, curve.y, style, color=colour, marker="o", markersize=3, label=curve.name)
        axes.set(xlabel="epoch", ylabel="training error", ylim=(0, None))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.grid(alpha=0.3)
        axes.legend()


def _mean(values: "list[float] | tuple[float, ...]") -> float:
    return sum(values) / len(values)
