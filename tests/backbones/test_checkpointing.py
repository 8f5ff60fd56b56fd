"""Gradient checkpointing changes memory and time and nothing else."""

import copy

import pytest
import torch
from torch import Tensor

from backbones import InputError, create_backbone


def _step(backbone: torch.nn.Module, images: Tensor) -> dict[str, Tensor]:
    torch.manual_seed(0)
    list(backbone.train()(images).values())[-1].square().mean().backward()
    gradients = {name: parameter.grad for name, parameter in backbone.named_parameters() if parameter.grad is not None}
    return gradients | backbone.state_dict()


TIMM = ["timm/regnety_002", "timm/efficientnet_b0", "timm/mobilenetv3_small_050", "timm/convnext_atto"]
TIMM += ["timm/vit_tiny_patch16_224"]


@pytest.mark.parametrize("name", ["resnet18", "resnetv2_18", *TIMM])
def test_the_same_gradients_and_running_statistics(name: str) -> None:
    """With stochastic depth too; a second forward pass must not count a batch twice."""
    drops = 0.0 if name == "timm/mobilenetv3_small_050" else 0.5
    plain = create_backbone(name, drop_path=drops)
    checkpointed = create_backbone(name, drop_path=drops, grad_checkpointing=True)
    checkpointed.load_state_dict(copy.deepcopy(plain.state_dict()))
    images = torch.randn(4, 3, 64, 64)
    expected, found = _step(plain, images), _step(checkpointed, images)
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    assert {found[name].item() for name in found if name.endswith("num_batches_tracked")} <= {1}


def test_a_model_without_timms_switch_is_named() -> None:
    with pytest.raises(InputError, match="timm/hrnet_w18_small does not take grad_checkpointing"):
        create_backbone("timm/hrnet_w18_small", grad_checkpointing=True)


@pytest.mark.parametrize("name", ["resnet50", "timm/regnety_002", "timm/vit_tiny_patch16_224"])
def test_fewer_activations_are_kept(name: str) -> None:
    def kept(backbone: torch.nn.Module) -> int:
        sizes: list[int] = []

        def pack(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            backbone.train()(torch.randn(2, 3, 64, 64))
        return sum(sizes)

    assert kept(create_backbone(name, grad_checkpointing=True)) < kept(create_backbone(name)) / 2


@pytest.mark.slow
def test_1202_layers_train_a_step() -> None:
    backbone = create_backbone("cifar_resnet1202", grad_checkpointing=True)
    backbone.train()(torch.randn(2, 3, 32, 32))["c2"].square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in backbone.parameters())
