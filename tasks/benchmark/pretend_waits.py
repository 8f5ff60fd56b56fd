"""Where a host waits for a CUDA device, as torch's and torchvision's sources for CUDA say.

One difference is known: `x[i] = y`, with `i` a single number on the device, asks for it here, and from torch 2.15 on
no longer does on CUDA.
"""

from typing import Any

import torch
from torch import Tensor

from tasks.benchmark.pretend_account import NAME, note_copy, note_wait

_TO_HOST, _TO_DEVICE, _BY_MASK = "copy to the host", "copy to the device", "index by a mask"
# Operators that wait within their CUDA kernels: what the account calls them, and how often they do.
_WAITING = {
    "_local_scalar_dense": ("item", 1),
    "nonzero": ("nonzero", 1),
    "masked_select": (_BY_MASK, 1),
    "equal": ("equal", 1),
    "_unique2": ("unique", 1),
    "unique_dim": ("unique", 1),
    "unique_consecutive": ("unique", 1),
    "bincount": ("bincount", 2),  # the least and the largest value
    "nms": ("nms", 1),  # its masked_select
}
INDEXING = ("index", "index_put", "index_put_", "_index_put_impl_")


def note_waits(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    """Account for the waits of an operator, as it is called on the pretend device."""
    if name in _WAITING:
        note_wait(*_WAITING[name])
    elif name in INDEXING:
        _note_indexing(name, args)
    elif name == "copy_":
        note_transfer(args[1], args[0], *args[2:], **kwargs)
    elif name == "_to_copy":
        device = kwargs.get("device")
        if device is not None and device.type != NAME and args[0].numel() and not kwargs.get("non_blocking"):
            note_wait(_TO_HOST)
    elif name in ("masked_fill", "masked_fill_") and isinstance(args[2], Tensor) and _is_there(args[2]):
        note_wait("item")  # the value is asked for
    elif name == "repeat_interleave" and kwargs.get("output_size") is None:
        note_wait("repeat_interleave", 2)  # the sum, and whether none is negative


def note_transfer(source: Tensor, target: Tensor, non_blocking: bool = False) -> None:
    """Account for a copy, where it is one from or to the device."""
    if _is_there(source) == _is_there(target) or not source.numel():
        return
    if _is_there(target):
        note_copy()
    if not non_blocking:
        note_wait(_TO_DEVICE if _is_there(target) else _TO_HOST)


def note_tolist(tensor: Tensor) -> None:
    """Account for `tolist`, which is no operator."""
    if tensor.numel():
        note_wait(_TO_HOST)


def _note_indexing(name: str, args: tuple[Any, ...]) -> None:
    target, indices = args[0], [index for index in args[1] if index is not None]
    masks = [index for index in indices if index.dtype in (torch.bool, torch.uint8)]
    for index in indices:
        note_transfer(index, target)
    # x[...] = 1: the number is still on the host.
    if name != "index" and (not _is_there(args[2]) or getattr(args[2], "is_number", False)):
        if len(masks) == len(indices) == 1:
            return  # filled in where the mask is, without asking where that is
        note_copy()
        note_wait(_TO_DEVICE)
    note_wait(_BY_MASK, len(masks))


def _is_there(tensor: Tensor) -> bool:
    return tensor.device.type == NAME
