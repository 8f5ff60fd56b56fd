"""A convolution at half the size is the one of the doubled image."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from backbones import fold
from tasks.segmentation import upsampling
from tasks.segmentation.unet import UNet
from tasks.segmentation.upsampling import doubled_conv
from tests.backbones.settling import settled


@pytest.mark.parametrize("skip_channels", [0, 3])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("size", [(5, 6), (1, 1)])
def test_outputs_and_gradients(skip_channels: int, bias: bool, size: tuple[int, int]) -> None:
    torch.manual_seed(0)
    conv = nn.Conv2d(4 + skip_channels, 7, 3, padding=1, bias=bias).double()
    x = torch.randn(2, 4, *size, dtype=torch.float64, requires_grad=True)
    skip = torch.randn(2, skip_channels, 2 * size[0], 2 * size[1], dtype=torch.float64, requires_grad=True)
    joined = torch.cat([functional.interpolate(x, scale_factor=2), skip], 1)
    wanted, found = conv(joined), doubled_conv(conv, x, skip if skip_channels else None)
    torch.testing.assert_close(found, wanted, rtol=1e-12, atol=1e-12)
    weights = torch.randn_like(wanted)
    torch.testing.assert_close(doubled_conv(conv, x, skip), wanted, rtol=1e-12, atol=1e-12)  # of no channels, too
    inputs = [x, *([skip] if skip_channels else []), *conv.parameters()]
    gradients, others = (torch.autograd.grad((one * weights).sum(), inputs) for one in (found, wanted))
    torch.testing.assert_close(gradients, others, rtol=1e-11, atol=1e-11)


@pytest.mark.parametrize("options", [{}, {"attention": "scse"}, {"deep_supervision": True}])
def test_a_unet_gives_the_same(options: dict[str, object], monkeypatch: pytest.MonkeyPatch) -> None:
    torch.manual_seed(0)
    network = UNet(settled("resnet18"), 3, **options).train()  # type: ignore[arg-type]
    images, calls = torch.randn(2, 3, 64, 61), []

    def counted(conv: nn.Conv2d, x: Tensor, skip: Tensor | None) -> Tensor:
        calls.append(x.shape)
        return doubled_conv(conv, x, skip)

    monkeypatch.setattr(upsampling, "doubled_conv", counted)
    state = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    outputs = []
    for few in (0, 10**9):
        monkeypatch.setattr(upsampling, "_FEW_PIXELS", few)
        network.load_state_dict(state)
        outputs.append(network(images))
    # 61 pixels are not twice 31, and an attention before the convolution sees the doubled image.
    assert len(calls) == (0 if options.get("attention") else 3)
    torch.testing.assert_close(*outputs, rtol=1e-4, atol=1e-4)


def test_an_exported_network_has_the_plain_path() -> None:
    network = UNet(settled("resnet18"), 3).eval()
    images = torch.randn(2, 3, 128, 128)
    program = torch.export.export(network, (images,))
    targets = [str(node.target) for node in program.graph.nodes]
    assert sum("upsample_nearest2d" in target for target in targets) == 5
    with torch.no_grad():
        torch.testing.assert_close(program.module()(images), network(images), rtol=1e-4, atol=1e-4)


def test_a_network_folds_to_its_last_norm() -> None:
    network, images = UNet(settled("resnet18"), 3).eval(), torch.randn(2, 3, 64, 64)
    folded = fold(network)
    assert not any(isinstance(module, nn.BatchNorm2d) for module in folded.modules())
    with torch.no_grad():
        torch.testing.assert_close(folded(images), network(images), rtol=1e-4, atol=1e-4)
