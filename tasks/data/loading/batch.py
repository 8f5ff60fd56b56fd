"""What the loader gives, and the trainer hands to a task."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Batch:
    """Images with their targets.

    Attributes:
        images: uint8 RGB (3, H, W) each, sizes may differ.
        targets: one mapping of tensors an image, in pixels of the image here; empty for prediction.
        indices: the images' positions in their split.
        names: their file names, for messages.
        original_sizes: (height, width) before resizing.
        seeds: of what is sampled of each image later on, or none.
        step_images: how many images the step has on all processes; None: these are all.
        takes_part: whether these are images of the step; where it has fewer than there are processes, some are given
            one that is another's.
    """

    images: list[Tensor]
    targets: list[dict[str, Tensor]]
    indices: list[int]
    names: list[str]
    original_sizes: list[tuple[int, int]]
    seeds: Sequence[int] = ()
    step_images: int | None = None
    takes_part: bool = True

    def __len__(self) -> int:
        return len(self.images)

    def parts(self, count: int) -> "list[Batch]":
        """The same images in as many batches, or in fewer where there are fewer images."""
        sizes = share_sizes(len(self), min(count, len(self)))
        starts = [sum(sizes[:number]) for number in range(len(sizes))]
        return [self.part(slice(start, start + size)) for start, size in zip(starts, sizes, strict=True)]

    def part(self, chosen: slice) -> "Batch":
        """Some of the images, with all that is theirs."""
        return replace(
            self,
            images=self.images[chosen],
            targets=self.targets[chosen],
            indices=self.indices[chosen],
            names=self.names[chosen],
            original_sizes=self.original_sizes[chosen],
            seeds=self.seeds[chosen],
        )

    def to(self, device: torch.device) -> "Batch":
        """Its images and targets on the device, in one copy for each dtype: they share their memory there."""
        names = [(number, key) for number, target in enumerate(self.targets) for key in target]
        tensors = [*self.images, *(self.targets[number][key] for number, key in names)]
        if all(tensor.device == device for tensor in tensors):
            return self
        moved = _moved(tensors, device)
        targets: list[dict[str, Tensor]] = [{} for _ in self.targets]
        for (number, key), value in zip(names, moved[len(self) :], strict=True):
            targets[number][key] = value
        return replace(self, images=moved[: len(self)], targets=targets)


def _moved(tensors: Sequence[Tensor], device: torch.device) -> list[Tensor]:
    moved = list(tensors)
    for dtype in {tensor.dtype for tensor in tensors}:
        places = [place for place, tensor in enumerate(tensors) if tensor.dtype == dtype]
        packed = torch.cat([tensors[place].reshape(-1) for place in places])
        if device.type == "cuda":  # the host does not wait for copies from pinned memory
            packed = packed.pin_memory()
        parts = packed.to(device, non_blocking=True).split([tensors[place].numel() for place in places])
        for place, part in zip(places, parts, strict=True):
            moved[place] = part if tensors[place].dim() == 1 else part.view(tensors[place].shape)
    return moved


def share_sizes(count: int, shares: int) -> list[int]:
    """As even as can be, the larger ones first: 5 among 3 are 2, 2, 1."""
    return [count // shares + (number < count % shares) for number in range(shares)]
