"""How far two sides are from the same numbers."""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from tasks.benchmark.comparisons.line import Agreement

_SCORE = 100.0  # px that a difference of 1 in the score counts as
_OTHER = 1e6  # px that another label counts as
_NEAR = 0.05  # px: no farther is the same detection


def relative(what: str, ours: Tensor, theirs: Tensor, tolerance: float) -> Agreement:
    """The norm of the difference over the norm of the peer's."""
    ours, theirs = (tensor.detach().double().flatten().cpu() for tensor in (ours, theirs))
    difference = torch.nan if ours.shape != theirs.shape else float((ours - theirs).norm() / theirs.norm())
    return Agreement(what, difference, tolerance)


def losses_agree(ours: Mapping[str, Tensor], theirs: Mapping[str, Tensor], tolerance: float) -> list[Agreement]:
    """Each loss by its name, and that there are no others."""
    if ours.keys() != theirs.keys():
        return [Agreement(f"losses {sorted(ours)} against {sorted(theirs)}", torch.nan, tolerance)]
    return [relative(f"loss {name}", ours[name], theirs[name], tolerance) for name in theirs]


def gradients_agree(ours: nn.Module, theirs: nn.Module, names: Mapping[str, str], tolerance: float) -> Agreement:
    """Of the parameters that both train.

    Args:
        names: the peer's by ours.
    """
    mine, other = ({name: one.grad for name, one in model.named_parameters()} for model in (ours, theirs))
    pairs = [
        (gradient, other[names[name]])
        for name, gradient in mine.items()
        if gradient is not None and name in names and other.get(names[name]) is not None
    ]
    found, wanted = (torch.cat([one.flatten() for one in side if one is not None]) for side in zip(*pairs, strict=True))
    return relative(f"gradients of {len(pairs)} tensors", found, wanted, tolerance)


def detections_agree(
    ours: Sequence[tuple[Tensor, Tensor, Tensor]], theirs: Sequence[tuple[Tensor, Tensor, Tensor]], tolerance: float
) -> Agreement:
    """The share of detections (boxes, labels, scores) of an image that the other side has not, by the same label within
    0.05 px and 0.0005 of the score. Rounding moves some over a threshold."""
    alone, count = 0, 0
    for mine, other in zip(ours, theirs, strict=True):
        rows = [
            torch.cat([boxes.float(), labels[:, None] * _OTHER, scores[:, None] * _SCORE], 1).cpu()
            for boxes, labels, scores in (mine, other)
        ]
        distance = torch.cdist(rows[0], rows[1], p=torch.inf, compute_mode="donot_use_mm_for_euclid_dist")
        for axis, found in enumerate(rows):
            near = distance.amin(1 - axis) if distance.numel() else torch.full((len(found),), torch.inf)
            alone, count = alone + int((near > _NEAR).sum()), count + len(found)
    share = alone / count if count else torch.nan  # nothing found proves nothing
    return Agreement(f"share of {count} detections that differ", share, tolerance)
