"""Backbones with running statistics of their own, as trained ones have."""

from typing import Any

import torch

from backbones import Backbone, create_backbone
from backbones.layers import has_running_statistics


def settled(name: str, **options: Any) -> Backbone:
    """In eval, pretrained as far as freezing is concerned; the statistics are those of a batch of noise."""
    torch.manual_seed(0)
    backbone = create_backbone(name, **options)
    norms: list[Any] = [module for module in backbone.modules() if has_running_statistics(module)]
    for norm in norms:
        norm.momentum = 1.0
    with torch.no_grad():
        backbone.train()(torch.randn(4, 3, 64, 96))
    for norm in norms:
        norm.momentum = 0.1
    backbone.pretrained = True
    return backbone.eval()
