"""A backbone's c2..c5 against timm's `features_only` of the same weights."""

from typing import Any

import timm
import torch
from torch import Tensor

from backbones import compile_for_inference, create_backbone, fold
from tasks.benchmark.comparisons.checks import relative
from tasks.benchmark.comparisons.line import Agreement, Conditions, Pair
from tasks.benchmark.comparisons.ours import calibrate

_LEVELS = ("c2", "c3", "c4", "c5")
# Rounding grows from layer to layer of a network of random weights; another network is off by 1 and more.
_TOLERANCES = {"fp32": 1e-4, "bf16": 0.1}


def features_pair(conditions: Conditions, *, precision: str, compiled: bool = True) -> Pair:
    """Features in evaluation; timm's run eagerly in float32, as its examples do.

    Args:
        precision: of ours, fp32 or bf16.
        compiled: ours.
    """
    torch.manual_seed(conditions.seed)
    sizes, device = conditions.sizes, torch.device(conditions.device)
    batches = [torch.randn(sizes.batch, 3, sizes.height, sizes.width) for _ in range(conditions.batches)]
    backbone = create_backbone(conditions.backbone)
    backbone.use_levels(_LEVELS)
    calibrate(backbone, batches[0])
    peer = timm.create_model(conditions.backbone, pretrained=False, features_only=True, out_indices=(1, 2, 3, 4))
    peer.load_state_dict(backbone.state_dict())
    peer.eval().to(device)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    ours: Any = fold(backbone).to(device, dtype, memory_format=torch.channels_last)  # type: ignore[call-overload]
    if compiled:
        compile_for_inference(ours, device)
    images = [batch.to(device) for batch in batches]

    def features(number: int) -> list[Tensor]:
        with torch.inference_mode():
            batch = images[number % len(images)].to(dtype, memory_format=torch.channels_last)
            return list(ours(batch).values())

    def wanted(number: int) -> list[Tensor]:
        with torch.inference_mode():
            found: list[Tensor] = peer(images[number % len(images)])
            return found

    def check() -> list[Agreement]:
        pairs = zip(_LEVELS, features(0), wanted(0), strict=True)
        return [relative(level, found, other, _TOLERANCES[precision]) for level, found, other in pairs]

    return Pair(check, features, wanted, warm_up=2)
