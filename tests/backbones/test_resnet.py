"""Our ResNets against torchvision's: keys, shapes, outputs, published sizes; and real weights."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file
from torch import Tensor, nn
from torchvision.transforms import v2

from backbones import InputError, create_backbone
from backbones.resnet import VARIANTS

TAPS = {"c1": "relu", "c2": "layer1", "c3": "layer2", "c4": "layer3", "c5": "layer4"}
PUBLISHED_MILLIONS = {"resnet18": 11.7, "resnet34": 21.8, "resnet50": 25.6, "resnet101": 44.5, "resnet152": 60.2}
RESNET50_FILE = "weights/resnet50_keras_imagenet_stride1x1_fp16.safetensors"


def _torchvision(name: str) -> nn.Module:
    """torchvision's model with statistics that are not the identity."""
    model = torchvision.models.get_model(name).eval()
    generator = torch.Generator().manual_seed(1)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.running_mean.normal_(0, 0.1, generator=generator)
            module.running_var.uniform_(0.5, 1.5, generator=generator)
            module.weight.data.uniform_(0.5, 1.0, generator=generator)
    return model


def _taps(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for level, name in TAPS.items():
        module = model.get_submodule(name)
        module.register_forward_hook(lambda _m, _i, output, level=level: found.setdefault(level, output.clone()))
    model(images)
    return found


@pytest.mark.parametrize("name", VARIANTS)
def test_equals_torchvision(name: str) -> None:
    reference = _torchvision(name)
    state = {key: value for key, value in reference.state_dict().items() if not key.startswith("fc.")}
    with torch.device("meta"):
        backbone = create_backbone(name)
    assert list(backbone.state_dict()) == list(state)
    backbone.load_state_dict(state, strict=True, assign=True)
    backbone.eval()

    images = torch.randn(1, 3, 75, 97)
    with torch.inference_mode():
        expected, levels = _taps(reference, images), backbone(images)
    assert list(levels) == [info.name for info in backbone.features] == list(expected)
    for info in backbone.features:
        level = levels[info.name]
        assert (level - expected[info.name]).abs().max() <= 1e-5 * expected[info.name].abs().max(), info
        assert level.shape[1] == info.channels
        assert level.shape[2] == -(-75 // info.stride)

    classifier = reference.get_submodule("fc")
    total = backbone.num_parameters() + sum(tensor.numel() for tensor in classifier.parameters())
    assert total == torchvision.models.get_model_weights(name).DEFAULT.meta["num_params"]
    if name in PUBLISHED_MILLIONS:
        assert round(total / 1e6, 1) == PUBLISHED_MILLIONS[name]


def test_real_weights_classify_real_pictures(shared: Callable[[str], Path]) -> None:
    """The file's own classifier on the mean of our c5: 0.895 (0.770 with the stride on the 3x3)."""
    path = shared(RESNET50_FILE)
    backbone = create_backbone("resnet50", weights=path, stride_in_1x1=True).eval()
    assert backbone.load_report is not None
    assert not backbone.load_report.missing
    assert backbone.load_report.left_out == ("fc.bias", "fc.weight")
    file = load_file(path)
    files = sorted(shared("imagenet_sample200").glob("*.jpg"))
    crop = v2.Compose([v2.ToImage(), v2.CenterCrop(224), v2.ToDtype(torch.float32, scale=True)])
    normalize = v2.Normalize(backbone.mean, backbone.std)
    hits = []
    with torch.inference_mode():
        for start in range(0, len(files), 20):
            chunk = files[start : start + 20]
            images = torch.stack([normalize(crop(Image.open(file).convert("RGB"))) for file in chunk])
            logits = backbone(images)["c5"].mean(dim=(2, 3)) @ file["fc.weight"].float().T + file["fc.bias"].float()
            top5 = logits.topk(5).indices
            truth = torch.tensor([int(file.name.split("_")[0]) for file in chunk])
            hits.append(top5 == truth[:, None])
    found = torch.cat(hits)
    assert len(found) == 200
    assert found[:, 0].float().mean().item() == pytest.approx(0.895)
    assert found.any(dim=1).float().mean().item() == pytest.approx(0.995)


def test_stride_in_1x1_moves_the_stride() -> None:
    moved = create_backbone("resnet50", stride_in_1x1=True)
    for name in ("layer2", "layer3", "layer4"):
        block = moved.get_submodule(f"{name}.0")
        assert (block.conv1.stride, block.conv2.stride) == ((2, 2), (1, 1))
    with pytest.raises(InputError, match="stride_in_1x1"):
        create_backbone("resnet18", stride_in_1x1=True)


def test_zero_last_starts_every_branch_at_zero() -> None:
    backbone = create_backbone("resnet50", init="zero_last")
    block = backbone.get_submodule("layer1.1").eval()
    x = torch.rand(1, 256, 8, 8)
    assert torch.equal(block(x), x)


def test_he_initialisation() -> None:
    """He et al. 2015, equation 10, over the outputs: a standard deviation of sqrt(2 / (k^2 c_out))."""
    weight = create_backbone("resnet50").get_submodule("layer3.1.conv2").weight
    assert weight.std().item() == pytest.approx((2 / (9 * 256)) ** 0.5, rel=0.01)


@pytest.mark.parametrize(
    ("images", "message"), [((1, 1, 32, 32), r"\(N, 3, H, W\), got \(1, 1, 32, 32\)"), ((3, 32, 32), "got")]
)
def test_wrong_shapes_are_refused(images: tuple[int, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        create_backbone("resnet18")(torch.zeros(images))


def test_bytes_are_refused() -> None:
    with pytest.raises(TypeError, match="normalised floats"):
        create_backbone("resnet18")(torch.zeros(1, 3, 32, 32, dtype=torch.uint8))


def test_frozen_norm_equals_batch_norm_in_eval() -> None:
    batch = create_backbone("resnet18").eval()
    for module in batch.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.running_mean.uniform_(-0.1, 0.1)  # type: ignore[union-attr]
            module.running_var.uniform_(0.5, 1.5)  # type: ignore[union-attr]
    frozen = create_backbone("resnet18", norm="frozen")
    frozen.load_state_dict(batch.state_dict())
    images = torch.randn(2, 3, 64, 64)
    for name, level in batch(images).items():
        torch.testing.assert_close(frozen.train()(images)[name], level, rtol=1e-4, atol=1e-5)
    assert sum(p.numel() for n, p in frozen.named_parameters() if ".bn" in n) == 0
