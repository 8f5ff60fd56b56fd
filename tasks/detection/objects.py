"""The objects of a batch's images in tensors of one shape."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import torch
from torch import Tensor

from tasks.detection.sampling import as_int64


@dataclass(frozen=True)
class Objects:
    """What is annotated on N images; an image with fewer objects than another has rows that are not valid.

    Attributes:
        boxes: (N, M, 4) float32, x_min y_min x_max y_max in pixels of the image; M is at least 1.
        labels: (N, M) int64, from 1.
        valid: (N, M) bool. A box without width or height is no object.
        crowds: (N, C, 4) float32, the crowd regions; those that are not there are of size 0.
        seeds: (N,) int64, of what is sampled of each image.
        nobody_looked: (image, label), each (u,) int64: the labels that nobody looked for on an image; None: there are
            none.
        masks: (n, H, W) uint8 an image, where the targets have them.
    """

    boxes: Tensor
    labels: Tensor
    valid: Tensor
    crowds: Tensor
    seeds: Tensor
    nobody_looked: tuple[Tensor, Tensor] | None
    masks: list[Tensor] | None

    @classmethod
    def of(cls, targets: Sequence[dict[str, Any]] | None, device: torch.device) -> Self:
        """Of targets on this device: "boxes" (n, 4), "labels" (n,), "crowd_boxes" (m, 4), and perhaps "unlabelled"
        (k,), "seed" and "masks". Where each row goes is known on the host, and copied at once.

        Raises:
            ValueError: there are no targets.
        """
        if not targets:
            raise ValueError("in training a detector takes a target for each image")
        boxes, crowds = ([target[name] for target in targets] for name in ("boxes", "crowd_boxes"))
        unlabelled = [target["unlabelled"] for target in targets if "unlabelled" in target]
        numbers = [
            _rows([len(own) for own in boxes], least=1),
            _rows([len(own) for own in crowds], least=0),
            torch.tensor([number for number, own in enumerate(unlabelled) for _ in range(len(own))], dtype=torch.int64),
            torch.tensor([as_int64(target.get("seed", 0)) for target in targets], dtype=torch.int64),
        ]
        moved = torch.cat([part.flatten() for part in numbers]).to(device, non_blocking=True)
        parts = moved.split([part.numel() for part in numbers])
        rows, crowd_rows = (part.view(whole.shape) for part, whole in zip(parts[:2], numbers[:2], strict=True))
        padded, valid = _padded(boxes, rows)
        return cls(
            boxes=padded,
            labels=torch.cat([*(target["labels"] for target in targets), rows.new_zeros(1)])[rows],
            valid=valid & (padded[..., 2:] > padded[..., :2]).all(-1),
            crowds=_padded(crowds, crowd_rows)[0],
            seeds=parts[3],
            nobody_looked=(parts[2], torch.cat(unlabelled)) if len(parts[2]) else None,
            masks=[target["masks"] for target in targets] if "masks" in targets[0] else None,
        )

    def matched_by(self, matches: Tensor) -> tuple[Tensor, Tensor]:
        """(N, K) positions among the objects -> boxes (N, K, 4) and labels (N, K); anything where it is below 0."""
        rows = matches.clamp(min=0)
        return self.boxes.gather(1, rows[..., None].expand(-1, -1, 4)), self.labels.gather(1, rows)


def _rows(counts: Sequence[int], least: int) -> Tensor:
    """(N, the largest count) -> which row of all in a row, image by image, stands there; of padding the one after."""
    numbers = torch.tensor(counts)
    place = torch.arange(max(least, *counts))
    return torch.where(place < numbers[:, None], numbers.cumsum(0)[:, None] - numbers[:, None] + place, sum(counts))


def _padded(boxes: Sequence[Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
    together = torch.cat([*boxes, boxes[0].new_zeros(1, 4)]).float()
    return together[rows], rows < len(together) - 1
