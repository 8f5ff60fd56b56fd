"""Published checkpoints. Nothing is downloaded: the hubs' caches are filled by hand."""

from pathlib import Path

import huggingface_hub.constants
import pytest
import timm
import torch
import torchvision
from safetensors.torch import save_file

from backbones import InputError, create_backbone
from backbones.hub import hub_repository


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache of the hub that timm downloads from, and no network."""
    cache = tmp_path / "hub"
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(cache))
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return cache


def _publish(cache: Path, repository: str, state: dict[str, torch.Tensor]) -> None:
    folder = cache / f"models--{repository.replace('/', '--')}"
    snapshot = folder / "snapshots" / "0123456789abcdef"
    snapshot.mkdir(parents=True)
    (folder / "refs").mkdir()
    (folder / "refs" / "main").write_text("0123456789abcdef")
    save_file(state, snapshot / "model.safetensors")


def test_torchvisions_come_through_its_hub(tmp_path: Path, hub: Path) -> None:
    """The file is found under torchvision's own name for it."""
    weights = torchvision.models.ResNet18_Weights.DEFAULT
    cache = tmp_path / "torch" / "hub" / "checkpoints" / weights.url.rsplit("/", 1)[-1]
    cache.parent.mkdir(parents=True)
    state = torchvision.models.resnet18().state_dict()
    torch.save(state, cache)
    for name in ("resnet18", "dyresnet18"):
        backbone = create_backbone(name, weights="imagenet")
        assert torch.equal(backbone.state_dict()["conv1.weight"], state["conv1.weight"])
        assert backbone.pretrained


@pytest.mark.parametrize(("name", "model"), [("resnetv2_18", "resnetv2_18"), ("timm/resnetv2_18", "resnetv2_18")])
def test_timms_come_with_their_mean_and_std(hub: Path, name: str, model: str) -> None:
    whole = timm.create_model(model)
    _publish(hub, timm.get_pretrained_cfg(model).hf_hub_id, whole.state_dict())
    backbone = create_backbone(name, weights="imagenet", in_channels=2)
    assert backbone.mean == backbone.std == (0.5, 0.5)
    adapted = next(backbone.parameters())
    torch.testing.assert_close(adapted, whole.stem.conv.weight[:, :2] * 3 / 2)


def test_what_is_not_there_is_one_line(hub: Path) -> None:
    with pytest.raises(InputError, match="none were published for 'ecaresnet50'; give a file"):
        create_backbone("ecaresnet50", weights="imagenet")
    with pytest.raises(InputError, match="none were published for 'timm/resnetv2_152'"):
        create_backbone("timm/resnetv2_152", weights="imagenet")
    with pytest.raises(InputError, match=r"seresnet50's could not be downloaded \(.*\); give a .safetensors"):
        create_backbone("seresnet50", weights="imagenet")


def test_torchvisions_checkpoints_are_on_timms_hub_too() -> None:
    """For segmentation-models-pytorch, which downloads from there."""
    assert hub_repository("resnet50") == "timm/resnet50.tv2_in1k"
    assert hub_repository("resnet18") == "timm/resnet18.tv_in1k"
    assert hub_repository("dyresnet50") == "timm/resnet50.tv2_in1k"
    assert hub_repository("res2net50_26w_4s") == "timm/res2net50_26w_4s.in1k"
    assert hub_repository("cifar_resnet20") is None
