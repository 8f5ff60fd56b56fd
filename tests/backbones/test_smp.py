"""The backbones inside segmentation-models-pytorch."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import segmentation_models_pytorch as smp
import torch
from safetensors.torch import save_file
from torch import nn

from backbones import InputError, create_backbone, list_backbones
from backbones.smp import PREFIX, register_encoders
from tests.backbones.peers import deep_ones_slow, relative_difference, torchvision_model

BY_DEPTH = [smp.Unet, smp.UnetPlusPlus, smp.MAnet, smp.Linknet, smp.UPerNet]
BY_DEFAULT = [smp.FPN, smp.PSPNet, smp.PAN, smp.DeepLabV3, smp.DeepLabV3Plus]
DECODERS: list[Any] = [(kind, depth) for kind in BY_DEPTH for depth in (3, 5)] + [(kind, None) for kind in BY_DEFAULT]
DECODERS += [pytest.param(kind, 4, marks=pytest.mark.slow) for kind in BY_DEPTH]
FAST = ["resnet18"]
FOR_SEGMENTATION = [name for name in list_backbones() if not name.startswith("cifar")]
BACKBONES = FAST + [pytest.param(name, marks=pytest.mark.slow) for name in FOR_SEGMENTATION if name not in FAST]


@pytest.fixture(autouse=True)
def _registered() -> Iterator[None]:
    before = dict(smp.encoders.encoders)
    assert set(register_encoders()) == {f"vertebra-{name}" for name in list_backbones()}
    yield
    smp.encoders.encoders.clear()
    smp.encoders.encoders.update(before)


def _model(kind: type[nn.Module], name: str, depth: int | None = None, **options: Any) -> Any:
    if depth is not None:
        options["encoder_depth"] = depth
        if kind not in (smp.Linknet, smp.UPerNet):
            options["decoder_channels"] = (64, 48, 32, 24, 16)[-depth:]
    return kind(PREFIX + name, encoder_weights=None, classes=2, **options)


@pytest.mark.parametrize("name", BACKBONES)
@pytest.mark.parametrize(("kind", "depth"), DECODERS)
def test_every_decoder_trains_on_a_frozen_encoder(kind: type[nn.Module], depth: int | None, name: str) -> None:
    model = _model(kind, name, depth, in_channels=4)
    model.encoder.backbone.pretrained = True
    model.encoder.freeze(2)
    size = (128, 192) if kind is smp.PAN else (64, 96)
    masks = model.train()(torch.randn(2, 4, *size))
    assert masks.shape == (2, 2, *size)
    masks.square().mean().backward()
    frozen = [parameter for parameter in model.encoder.parameters() if not parameter.requires_grad]
    assert frozen
    assert all(parameter.grad is None for parameter in frozen)
    assert not model.encoder.backbone.layer2.training
    assert model.encoder.backbone.layer3.training


def test_unet_takes_odd_sizes() -> None:
    assert _model(smp.Unet, "resnet18").eval()(torch.randn(1, 3, 97, 131)).shape == (1, 2, 97, 131)


@pytest.mark.parametrize("name", deep_ones_slow([name for name in list_backbones() if name.startswith("cifar")]))
def test_networks_for_small_images_are_refused(name: str) -> None:
    with torch.device("meta"), pytest.raises(InputError, match="images of about 32 px"):
        _model(smp.Unet, name)


def test_equals_smps_own_encoder() -> None:
    """The same U-Net with smp's resnet18 and with ours, on the same weights: the same masks."""
    reference = smp.Unet("resnet18", encoder_weights=None, classes=3).eval()
    model = smp.Unet("vertebra-resnet18", encoder_weights=None, classes=3).eval()
    model.encoder.backbone.load_checkpoint(reference.encoder.state_dict())
    model.decoder.load_state_dict(reference.decoder.state_dict())
    model.segmentation_head.load_state_dict(reference.segmentation_head.state_dict())
    images = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        assert relative_difference(model(images), reference(images)) <= 1e-5


def test_weights_from_a_file(tmp_path: Path) -> None:
    state = torchvision_model("resnet18").state_dict()
    torch.save(state, tmp_path / "w.pth")
    model = _model(smp.Unet, "resnet18", in_channels=1)
    model.encoder.load_weights(tmp_path / "w.pth")
    kernel = model.encoder.state_dict()["backbone.conv1.weight"]
    torch.testing.assert_close(kernel, state["conv1.weight"].sum(1, keepdim=True))
    assert model.encoder.mean == pytest.approx((0.449,), abs=1e-3)
    assert model.encoder.freeze(3).share > 0


def test_imagenet_comes_through_smps_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = torchvision_model("resnet18").state_dict()
    save_file(dict(state), tmp_path / "model.safetensors")
    asked: list[str] = []

    def download(repository: str, filename: str, revision: str) -> str:
        asked.append(f"{repository} {filename} {revision}")
        return str(tmp_path / filename)

    monkeypatch.setattr(smp.encoders, "hf_hub_download", download)
    model = smp.Unet("vertebra-resnet18", encoder_weights="imagenet", in_channels=1)
    assert asked == [f"timm/resnet18.tv_in1k {file} main" for file in ("config.json", "model.safetensors")]
    kernel = model.encoder.backbone.conv1.weight
    torch.testing.assert_close(kernel.data, state["conv1.weight"].sum(1, keepdim=True))
    model.load_state_dict(model.state_dict())
    model.encoder.freeze(1)
    with pytest.raises(InputError, match="adapted once"):
        model.encoder.set_in_channels(4)


def test_a_state_dict_goes_there_and_back() -> None:
    model, other = _model(smp.Unet, "resnet18").eval(), _model(smp.Unet, "resnet18").eval()
    other.load_state_dict(model.state_dict())
    encoder = create_backbone("resnet18")
    encoder.load_checkpoint(model.encoder.backbone.state_dict())
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert torch.equal(other(images), model(images))


def test_what_cannot_be_dilated_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    from backbones import registry

    monkeypatch.setattr(registry, "_builders", dict(registry._builders))
    registry.register_backbone("rigid", lambda in_channels=3: create_backbone("resnet18", in_channels=in_channels))
    register_encoders()
    assert _model(smp.Unet, "rigid").encoder.output_stride == 32
    with pytest.raises(InputError, match=r"'rigid' cannot be an encoder with {'output_stride': 8}"):
        _model(smp.DeepLabV3, "rigid")
    with pytest.raises(InputError, match="encoder depth 2 is not possible"):
        _model(smp.Unet, "resnet18", 2)


@pytest.mark.parametrize("kind", [smp.DeepLabV3Plus, smp.PAN])
@pytest.mark.parametrize("depth", [3, 4])
def test_shallow_encoders_take_output_stride_16(kind: type[nn.Module], depth: int) -> None:
    """As segmentation-models-pytorch's own do: the stride is the backbone's, whatever is handed out of it."""
    options = {"encoder_weights": None, "classes": 2, "encoder_depth": depth, "encoder_output_stride": 16}
    images = torch.randn(1, 3, 128, 128)
    shapes = [kind(name, **options).eval()(images).shape for name in (PREFIX + "resnet18", "resnet18")]
    assert shapes[0] == shapes[1]
