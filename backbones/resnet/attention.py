"""What weighs a residual branch: attention over channels and space, and the input-dependent gate."""

from torch import Tensor, nn

from backbones.layers import NormLayer


def make_attention(kind: str, channels: int, norm: NormLayer) -> nn.Module:
    """timm's module for (N, channels, H, W) features, with its names in the state dict.

    Args:
        kind: "se" (Hu et al. 2018, "Squeeze-and-excitation networks", section 3), "eca" (Wang et al. 2020,
            "ECA-Net", section 3.3) or "cbam" (Woo et al. 2018, "CBAM", section 3).
    """
    # Imported here: timm builds its list of 1,000 models on import, which a plain ResNet need not wait for.
    from timm.layers import create_attn

    attention = create_attn(kind, channels)
    assert isinstance(attention, nn.Module)
    if kind == "cbam":
        attention.get_submodule("spatial.conv").bn = norm(1)
    return attention


class ResidualGate(nn.Module):
    """A weight in 0..2 for each sample's residual branch, from its pooled features: x + g(x) F(x).

    It starts at 1 for every input, so that a network with gates starts as the one without and takes its
    pretrained weights. (N, C, H, W) -> (N, 1, 1, 1).
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.fc = nn.Linear(channels, 1)
        nn.init.zeros_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)

    def forward(self, x: Tensor) -> Tensor:
        return 2 * self.fc(x.mean(dim=(2, 3))).sigmoid()[:, :, None, None]
