"""How much of the loss's gradient reaches each convolution at initialisation."""

import statistics
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from backbones import InputError
from tasks.studies.study import Curve, Finding, Measured, Say, StudySettings

if TYPE_CHECKING:
    from matplotlib.figure import Figure
    from torch import Tensor, nn

    from backbones import Backbone

Init = Literal["he", "xavier", "torch"]
_CLASSES = 10
_DEEP = 100  # layers that the claim speaks of
_VANISHED, _ARRIVES = 1e-10, 1e-4  # 1e-20 and 1e-2 are ten orders and two away


class Study(StudySettings):
    """Norm of the loss's gradient for each convolution of plain and residual CIFAR networks, before any training."""

    claim: ClassVar[str] = (
        "At about 100 layers the gradient of a plain network's first convolution is some 1e-20 without batch norm, and "
        "that of a residual network some 1e-2 (the usual account of why depth was hard; He et al. 2016, section 4.1, "
        "doubt it where batch norm is used)."
    )

    depths: tuple[int, ...] = Field((20, 56, 110), min_length=1)
    """Layers: 20, 32, 44, 56 or 110."""
    inits: tuple[Init, ...] = Field(("he", "xavier"), min_length=1)
    """Of the convolutions: `he`, the networks' own (He et al. 2015, fan out); `xavier` (Glorot and Bengio 2010); or
    `torch`, what nn.Conv2d begins with."""
    seeds: int = Field(3, ge=1)
    """Networks and images of each kind; the median is reported."""
    batch_size: int = Field(32, ge=2)
    """Random images of 32 px with random labels."""

    def measure(self, say: Say, work: Path) -> Measured:
        rows, curves = [], []
        for init in self.inits:
            for shortcut in ("plain", "residual"):
                for norm in ("none", "batch"):
                    for depth in self.depths:
                        kind = {"init": init, "network": shortcut, "norm": norm, "depth": depth}
                        norms = self._median_norms(depth, shortcut == "plain", norm == "none", init)
                        ratio = norms[0] / norms[-1] if norms[-1] else None
                        rows.append(kind | {"first": norms[0], "last": norms[-1], "first / last": ratio})
                        curves.append(Curve(_label(kind), tuple(range(1, len(norms) + 1)), tuple(norms)))
                        say(f"{_label(kind)}: first {norms[0]:.2g}, last {norms[-1]:.2g}")
        return Measured(rows, tuple(curves))

    def _median_norms(self, depth: int, plain: bool, without_norms: bool, init: Init) -> list[float]:
        each = [
            gradient_norms(depth, plain, without_norms, init, self.seed + number, self.batch_size)
            for number in range(self.seeds)
        ]
        return [statistics.median(values) for values in zip(*each, strict=True)]

    def finding(self, rows: list[dict[str, Any]]) -> Finding:
        depth = max(row["depth"] for row in rows)
        deepest = [row for row in rows if row["depth"] == depth]
        inits = list(dict.fromkeys(row["init"] for row in deepest))
        verdicts, texts = [], []
        for init in inits:
            first = {(row["network"], row["norm"]): row["first"] for row in deepest if row["init"] == init}
            plain, residual = first["plain", "none"], first["residual", "batch"]
            verdicts.append(plain < _VANISHED and residual > _ARRIVES)
            texts.append(
                f"with {init} initialisation the first convolution's gradient is {plain:.1e} in the plain network "
                f"without norms ({first['plain', 'batch']:.1e} with), and {residual:.1e} in the residual one "
                f"({first['residual', 'none']:.1e} without)"
            )
        # The networks' own initialisation decides; without it, all that were tried.
        holds: bool | None = verdicts[inits.index("he")] if "he" in inits else all(verdicts)
        others = [init for init, verdict in zip(inits, verdicts, strict=True) if verdict and not holds]
        note = f" It holds with {' and '.join(others)}." if others else ""
        if depth < _DEEP:
            holds = None
        return Finding(holds, f"at {depth} layers, {'; '.join(texts)}.{note}")

    def draw(self, measured: Measured, figure: "Figure") -> None:
        axes = figure.subplots(1, len(self.inits), sharey=True, squeeze=False)[0]
        for init, one in zip(self.inits, axes, strict=True):
            for row, curve in zip(measured.rows, measured.curves, strict=True):
                if row["init"] != init:
                    continue
                colour = f"C{self.depths.index(row['depth'])}"
                style = {"plain": "--", "residual": "-"}[row["network"]]
                width = {"none": 1.0, "batch": 2.2}[row["norm"]]
                place = [share / len(curve.x) for share in curve.x]
                one.plot(place, curve.y, color=colour, linestyle=style, linewidth=width, label=curve.name)
            one.set(yscale="log", title=f"{init} initialisation", xlabel="place in the network (0: images, 1: loss)")
            one.grid(alpha=0.3)
        axes[0].set_ylabel("norm of the gradient for a convolution")
        handles, labels = axes[0].get_legend_handles_labels()
        names = [label.partition(": ")[2] for label in labels]
        figure.legend(handles, names, loc="outside lower center", ncols=4, fontsize="x-small")


def gradient_norms(
    depth: int, plain: bool, without_norms: bool, init: Init, seed: int, batch_size: int = 32
) -> list[float]:
    """Norm of the loss's gradient for each convolution, from the images on.

    In double precision: gradients of 1e-20 have squares that single precision does not know.
    """
    import torch
    from torch import nn
    from torch.nn import functional

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        backbone = network(depth, plain, without_norms, init).double().train()
        classify = nn.Linear(backbone.features[-1].channels, _CLASSES).double()
        images = torch.randn(batch_size, 3, 32, 32, dtype=torch.float64)
        labels = torch.randint(_CLASSES, (batch_size,))
    *_, features = backbone(images).values()
    functional.cross_entropy(classify(features.mean(dim=(2, 3))), labels).backward()
    convolutions = [module for module in backbone.modules() if isinstance(module, nn.Conv2d)]
    return [float(conv.weight.grad.norm()) for conv in convolutions if conv.weight.grad is not None]


def network(depth: int, plain: bool, without_norms: bool, init: Init) -> "Backbone":
    """A CIFAR network; plain: the same layers, with the same weights for a seed, and no shortcut."""
    from torch import nn

    from backbones import create_backbone, list_backbones

    name = f"cifar_resnet{depth}"
    if name not in list_backbones():
        known = sorted(int(found.removeprefix("cifar_resnet")) for found in list_backbones() if "cifar_resnet" in found)
        raise InputError(
            f"depths: there is no CIFAR network of {depth} layers (there are {', '.join(map(str, known))})"
        )
    backbone = create_backbone(name)
    for module in backbone.modules():
        if isinstance(module, nn.Conv2d) and init == "xavier":
            nn.init.xavier_normal_(module.weight)
        elif isinstance(module, nn.Conv2d) and init == "torch":
            module.reset_parameters()
    for parent, child_name, child in list(_children(backbone)):
        if plain and hasattr(child, "branch"):
            setattr(parent, child_name, _without_shortcut(child))
    for parent, child_name, child in list(_children(backbone)):
        if without_norms and isinstance(child, nn.BatchNorm2d):
            setattr(parent, child_name, nn.Identity())
    return backbone


def _children(module: "nn.Module") -> "Iterator[tuple[nn.Module, str, nn.Module]]":
    for parent in module.modules():
        for name, child in parent.named_children():
            yield parent, name, child


def _without_shortcut(block: "nn.Module") -> "nn.Module":
    from torch import nn

    class Plain(nn.Module):
        """relu(branch(x)): a block of He et al. 2016, Fig. 3 middle."""

        def __init__(self) -> None:
            super().__init__()
            self.block = block

        def forward(self, x: "Tensor") -> "Tensor":
            return self.block.relu(self.block.branch(x))  # type: ignore[operator]

    return Plain()


def _label(kind: dict[str, Any]) -> str:
    norms = "without norms" if kind["norm"] == "none" else "batch norm"
    return f"{kind['init']}: {kind['network']} {kind['depth']}, {norms}"
