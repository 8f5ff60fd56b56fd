"""Our ResNets against torchvision's: keys, shapes, outputs, published sizes; and real weights."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torchvision
from PIL import Image
from safetensors.torch import load_file
from timm.layers import DropPath
from torch import Tensor, nn
from torchvision.transforms import v2

from backbones import InputError, create_backbone, list_backbones
from tests.backbones.peers import torchvision_model

TAPS = {"c1": "relu", "c2": "layer1", "c3": "layer2", "c4": "layer3", "c5": "layer4"}
NAMES = [name for name in list_backbones() if name in torchvision.models.list_models(torchvision.models)]
PUBLISHED_MILLIONS = {"resnet18": 11.7, "resnet34": 21.8, "resnet50": 25.6, "resnet101": 44.5, "resnet152": 60.2}
RESNET50_FILE = "weights/resnet50_keras_imagenet_stride1x1_fp16.safetensors"


def _taps(model: nn.Module, images: Tensor) -> dict[str, Tensor]:
    found: dict[str, Tensor] = {}
    for level, name in TAPS.items():
        module = model.get_submodule(name)
        module.register_forward_hook(lambda _m, _i, output, level=level: found.setdefault(level, output.clone()))
    model(images)
    return found


@pytest.mark.parametrize("name", NAMES)
def test_equals_torchvision(name: str) -> None:
    reference = torchvision_model(name)
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


@pytest.mark.slow
def test_real_weights_classify_real_images(shared: Callable[[str], Path]) -> None:
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


def test_all_ten_of_torchvisions_are_there() -> None:
    assert len(NAMES) == 10


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


@pytest.mark.parametrize("name", ["resnet18", "resnetv2_18", "timm/resnet18", "timm/efficientnet_lite0"])
def test_frozen_norm_is_as_batch_norm_in_bfloat16(name: str) -> None:
    """The levels have the dtype that autocast gives those of a batch norm in eval, and its values; in torchvision's
    FrozenBatchNorm2d they are float32, twice as large."""
    batch, frozen = create_backbone(name).eval(), create_backbone(name, norm="frozen").eval()
    frozen.load_checkpoint(batch.state_dict())
    images = torch.randn(1, 3, 64, 64)
    with torch.no_grad(), torch.autocast("cpu", torch.bfloat16):
        levels, expected = frozen(images), batch(images)
    for level, found in levels.items():
        assert found.dtype == expected[level].dtype == torch.bfloat16
        assert (found - expected[level]).float().norm() <= 0.02 * expected[level].float().norm()


@pytest.mark.parametrize("output_stride", [8, 16])
@pytest.mark.parametrize("name", ["resnet50", "resnet18"])
def test_dilated_keeps_the_resolution(name: str, output_stride: int) -> None:
    """Bottlenecks against torchvision's dilated model; basic blocks, which torchvision lacks, by shape."""
    backbone = create_backbone(name, output_stride=output_stride).eval()
    images = torch.randn(1, 3, 65, 97)
    with torch.inference_mode():
        levels = backbone(images)
    for info in backbone.features:
        assert levels[info.name].shape[2:] == (-(-65 // info.stride), -(-97 // info.stride))
    assert backbone.features[-1].stride == output_stride
    if name == "resnet50":
        reference = torchvision.models.resnet50(replace_stride_with_dilation=[False, output_stride == 8, True]).eval()
        reference.load_state_dict(backbone.state_dict(), strict=False)
        with torch.inference_mode():
            expected = _taps(reference, images)
        assert (levels["c5"] - expected["c5"]).abs().max() <= 1e-5 * expected["c5"].abs().max()


@pytest.mark.parametrize("channels", [1, 2, 4, 6])
def test_pretrained_stems_are_adapted_to_any_number_of_channels(tmp_path: Path, channels: int) -> None:
    reference = torchvision.models.resnet18()
    torch.save(reference.state_dict(), tmp_path / "w.pth")
    backbone = create_backbone("resnet18", weights=tmp_path / "w.pth", in_channels=channels)
    assert backbone.load_report is not None
    assert backbone.load_report.adapted == ("conv1.weight",)
    assert len(backbone.mean) == len(backbone.std) == channels
    kernel = reference.conv1.weight
    adapted = backbone.get_parameter("conv1.weight")
    if channels == 1:  # a grey image answers as the same image in three equal channels
        grey = torch.randn(1, 1, 20, 20)
        expected = torch.nn.functional.conv2d(grey.expand(-1, 3, -1, -1), kernel)
        torch.testing.assert_close(torch.nn.functional.conv2d(grey, adapted), expected, rtol=1e-4, atol=1e-5)
    else:
        for channel in range(channels):
            torch.testing.assert_close(adapted[:, channel], kernel[:, channel % 3] * 3 / channels)
    with pytest.raises(ValueError, match=rf"\(N, {channels}, H, W\), got \(1, 3, 32, 32\)"):
        backbone(torch.zeros(1, 3, 32, 32))


@pytest.mark.parametrize(
    ("norm", "kind"),
    [("sync", nn.SyncBatchNorm), ("group", nn.GroupNorm), ("instance", nn.InstanceNorm2d)],
)
def test_every_norm_takes_a_batch_norm_checkpoint(tmp_path: Path, norm: str, kind: type[nn.Module]) -> None:
    torch.save(torchvision_model("resnet18").state_dict(), tmp_path / "w.pth")
    backbone = create_backbone("resnet18", weights=tmp_path / "w.pth", norm=norm)
    norms = [name for name, module in backbone.named_modules() if isinstance(module, kind)]
    assert len(norms) == 20
    report = backbone.load_report
    assert report is not None
    assert (report.missing, report.unexpected) == ((), ())
    affine = {f"{name}.{part}" for name in norms for part in ("weight", "bias")}
    assert set(report.adapted) == (set() if norm == "sync" else affine)
    state = torch.load(tmp_path / "w.pth", weights_only=True)
    assert all(torch.equal(backbone.state_dict()[key], state[key]) for key in affine)
    sum(level.square().mean() for level in backbone(torch.randn(1, 3, 64, 64)).values()).backward()


def test_drop_path_rises_with_depth_and_rests_in_eval_and_in_frozen_stages() -> None:
    backbone = create_backbone("resnet18", drop_path=0.7)
    blocks = [module for module in backbone.modules() if hasattr(module, "drop_path")]
    rates = [0.0 if block.drop_path is None else block.drop_path.p for block in blocks]
    assert rates == pytest.approx([0.1 * number for number in range(8)])
    images = torch.randn(2, 3, 64, 64)
    backbone.eval()
    assert torch.equal(backbone(images)["c5"], backbone(images)["c5"])
    backbone.train()
    assert not torch.equal(backbone(images)["c5"], backbone(images)["c5"])
    backbone.pretrained = True
    backbone.freeze(4)
    assert torch.equal(backbone(images)["c5"], backbone(images)["c5"])


def test_a_branch_is_dropped_as_timm_drops_it() -> None:
    """DropPath (Huang et al. 2016): of some images the whole branch, and the others' is scaled up by as much."""
    block = create_backbone("resnet18", drop_path=0.7).get_submodule("layer4.1")
    theirs = DropPath(block.drop_path.p).train()
    branch = torch.randn(64, 8, 3, 3)
    torch.manual_seed(1)
    ours = block.drop_path.train()(branch)
    torch.manual_seed(1)
    torch.testing.assert_close(ours, theirs(branch))
    dropped = (ours == 0).flatten(1).all(1)
    assert 0.5 < dropped.float().mean() < 0.9
    torch.testing.assert_close(ours[~dropped], branch[~dropped] / 0.3, rtol=1e-5, atol=1e-5)


def test_residual_scaled_is_he_over_sqrt_2() -> None:
    torch.manual_seed(0)
    plain = create_backbone("resnet50")
    torch.manual_seed(0)
    scaled = create_backbone("resnet50", init="residual_scaled")
    for (name, one), two in zip(plain.named_parameters(), scaled.parameters(), strict=True):
        factor = 2**-0.5 if name.endswith("conv3.weight") else 1
        torch.testing.assert_close(two, one * factor)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"output_stride": 4}, "output_stride 4 is not possible"),
        ({"drop_path": 1.0}, "drop_path"),
        ({"in_channels": 0}, "at least one channel"),
        ({"init": "zero_last", "norm": "frozen"}, "keep every residual branch at zero"),
    ],
)
def test_impossible_options_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        create_backbone("resnet50", **options)  # type: ignore[arg-type]
