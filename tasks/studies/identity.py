"""How much residual branches add to what their shortcuts carry."""

import statistics
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from backbones import InputError
from tasks.config import SHAPES, Device, UserText
from tasks.studies.short_training import open_part, settle, train_briefly
from tasks.studies.study import Curve, Finding, Measured, Say, StudySettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor, nn


class Study(StudySettings):
    """Norm of each residual branch's output over that of its shortcut: before and after a short training, with and
    without zero-initialised last norms; or in a network with given weights."""

    claim: ClassVar[str] = (
        "In trained networks most branches change what the shortcut carries by less than its size (He et al. 2016, "
        "Deep residual learning, section 4.2 and Fig. 7; Identity mappings, section 2), and with zero-initialised last "
        "norms every block begins as the identity (Goyal et al. 2017, section 5.1)."
    )

    data: UserText = SHAPES
    """`shapes`, or a folder of images with a class each."""
    backbone: str = "resnet18"
    """A registered residual network."""
    weights: UserText | None = None
    """A file of this backbone's weights: these are looked at, and nothing is trained."""
    stride_in_1x1: bool = False
    """The weights are of the original bottleneck: the stride on the first 1x1."""
    epochs: int = Field(3, ge=1)
    """Of each training."""
    images: int = Field(400, ge=8)
    """To train on."""
    image_size: int = Field(64, ge=32)
    """Side of the images in pixels; weights from ImageNet want 224."""
    measured_images: int = Field(64, ge=1)
    """Of val, that the ratios are means over."""
    device: Device = "auto"

    def measure(self, say: Say, work: Path) -> Measured:
        if self.weights is not None:
            return _measured({"weights": self._ratios(self._asked({"weights": self.weights}))})
        arms = {}
        for init in ("he", "zero_last"):
            asked = self._asked({"init": init})
            arms[f"{init}, untrained"] = self._ratios(asked)
            trained = train_briefly(asked, work / init, images=self.images)
            say(f"{init}: top1 {trained.curve()[-1]:.3f} after {self.epochs} epochs")
            arms[f"{init}, trained"] = self._ratios(asked, trained.checkpoint)
        return _measured(arms)

    def _asked(self, backbone: dict[str, Any]) -> dict[str, Any]:
        data: dict[str, Any] = {"path": self.data, "image_size": self.image_size, "workers": 0}
        if self.data == SHAPES:
            data["count"] = max(self.images, 10 * self.measured_images)  # a tenth as many are in val
        return {
            "task": "classification",
            "seed": self.seed,
            "device": self.device,
            "data": data,
            "backbone": {"name": self.backbone, "stride_in_1x1": self.stride_in_1x1} | backbone,
            "schedule": {"epochs": self.epochs},
        }

    def _ratios(self, asked: dict[str, Any], checkpoint: Path | None = None) -> list[dict[str, Any]]:
        """A row for each block of a network: as its settings make it, or from a checkpoint."""
        import torch

        from tasks.assembly import task_from_checkpoint, task_from_settings
        from tasks.data import Loader

        settings, data = open_part(settle(asked), self.measured_images)
        torch.manual_seed(self.seed)
        if checkpoint is not None:
            task, _ = task_from_checkpoint(checkpoint)
        else:
            task, _ = task_from_settings(settings, data.classes)
        # A network that has seen nothing has no statistics of its own yet: those of the batch take their place.
        untrained = checkpoint is None and self.weights is None
        task.model.train(untrained)
        transform = task.transform(settings.data, train=False, channels=settings.backbone.in_channels)
        loader = Loader(data.splits["val"], transform, batch_size=32, workers=0, seed=0, shuffle=False)
        return branch_ratios(
            task.backbone, lambda: [task.model(torch.stack(batch.images)) for batch in loader.batches()]
        )

    def finding(self, rows: list[dict[str, Any]]) -> Finding:
        medians = {
            network: statistics.median(ratios)
            for network in dict.fromkeys(row["network"] for row in rows)
            if (ratios := [r["branch / shortcut"] for r in rows if r["network"] == network and r["identity shortcut"]])
        }
        listed = ", ".join(f"{median:.2g} ({network})" for network, median in medians.items())
        text = f"the median of branch over shortcut, in blocks whose shortcut is the identity, is {listed}."
        trained = [median for network, median in medians.items() if "untrained" not in network]
        small = bool(trained) and all(median < 1 for median in trained)
        if "zero_last, untrained" not in medians:
            return Finding(small, text)
        begins = medians["zero_last, untrained"] == 0
        after = medians["zero_last, trained"] - medians["he, trained"]
        text += f" Zero-initialised branches {'begin at zero' if begins else 'do not begin at zero'} and end "
        text += "further from" if after > 0 else "nearer to"
        text += " the identity than the others."
        return Finding(small and begins, text)

    def draw(self, measured: Measured, figure: "Figure") -> None:
        axes = figure.subplots()
        for curve in measured.curves:
            axes.plot(curve.x, curve.y, marker="o", markersize=3, label=curve.name)
        axes.axhline(1, color="grey", linewidth=0.8)
        axes.set(xlabel="residual block", ylabel="norm of the branch over that of the shortcut", ylim=(0, None))
        axes.grid(alpha=0.3)
        axes.legend()


def branch_ratios(backbone: "nn.Module", run: Callable[[], object]) -> list[dict[str, Any]]:
    """What each residual block's branch and shortcut gave while a network ran.

    Args:
        backbone: with our residual blocks.
        run: runs the network over its images.

    Returns:
        For each block its name; whether its shortcut is the identity; the mean over images of the norm of the
        branch over that of the shortcut; and the branch's standard deviation (He et al. 2016, Fig. 7).
    """
    import torch

    blocks = {name: module for name, module in backbone.named_modules() if hasattr(module, "branch_end")}
    if not blocks:
        raise InputError("backbone: has no residual blocks of ours to look at; take a registered residual network")
    shortcuts: dict[str, list[Tensor]] = {name: [] for name in blocks}
    branches: dict[str, list[Tensor]] = {name: [] for name in blocks}
    deviations: dict[str, list[float]] = {name: [] for name in blocks}

    def keep_shortcut(name: str, x: "Tensor") -> None:
        shortcuts[name].append(x.detach().flatten(1).norm(dim=1))

    def keep_branch(name: str, x: "Tensor") -> None:
        branches[name].append(x.detach().flatten(1).norm(dim=1))
        deviations[name].append(float(x.detach().std()))

    handles = []
    for name, block in blocks.items():
        conv, norm = block.branch_end
        end = block.se or norm or conv
        handles.append(end.register_forward_hook(lambda _m, _i, out, name=name: keep_branch(name, out)))
        if block.downsample is None:
            handles.append(block.register_forward_pre_hook(lambda _m, inputs, name=name: keep_shortcut(name, *inputs)))
        else:
            down: Any = block.downsample
            handles.append(down.register_forward_hook(lambda _m, _i, out, name=name: keep_shortcut(name, out)))
    try:
        with torch.no_grad():
            run()
    finally:
        for handle in handles:
            handle.remove()
    return [
        {
            "block": name,
            "identity shortcut": block.downsample is None,
            "branch / shortcut": float((torch.cat(branches[name]) / torch.cat(shortcuts[name])).mean()),
            "branch's deviation": statistics.mean(deviations[name]),
        }
        for name, block in blocks.items()
    ]


def _measured(arms: dict[str, list[dict[str, Any]]]) -> Measured:
    rows = [{"network": network} | row for network, found in arms.items() for row in found]
    curves = tuple(
        Curve(network, tuple(range(1, len(found) + 1)), tuple(row["branch / shortcut"] for row in found))
        for network, found in arms.items()
    )
    return Measured(rows, curves)
