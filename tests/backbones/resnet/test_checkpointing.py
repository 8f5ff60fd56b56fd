"""Gradient checkpointing changes memory and time and nothing else."""

import copy

import pytest
import torch
from torch import Tensor

from backbones import create_backbone


def _step(backbone: torch.nn.Module, images: Tensor) -> dict[str, Tensor]:
    torch.manual_seed(0)
    backbone.train()(images)["c5"].square().mean().backward()
    gradients = {name: parameter.grad for name, parameter in backbone.named_parameters() if parameter.grad is not None}
    return gradients | backbone.state_dict()


@pytest.mark.parametrize("name", ["resnet18", "resnetv2_18"])
def test_the_same_gradients_and_running_statistics(name: str) -> None:
    """With stochastic depth too; a second forward pass must not count a batch twice."""
    plain = create_backbone(name, drop_path=0.5)
    checkpointed = create_backbone(name, drop_path=0.5, grad_checkpointing=True)
    checkpointed.load_state_dict(copy.deepcopy(plain.state_dict()))
    images = torch.randn(4, 3, 64, 64)
    expected, found = _step(plain, images), _step(checkpointed, images)
    assert expected.keys() == found.keys()
    assert all(torch.equal(found[key], value) for key, value in expected.items())
    assert {found[name].item() for name in found if name.endswith("num_batches_tracked")} == {1}


def test_fewer_activations_are_kept() -> None:
    def kept(backbone: torch.nn.Module) -> int:
        sizes: list[int] = []

        def pack(tensor: Tensor) -> Tensor:
            sizes.append(tensor.numel())
            return tensor

        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            backbone.train()(torch.randn(2, 3, 64, 64))
        return sum(sizes)

    assert kept(create_backbone("resnet50", grad_checkpointing=True)) < kept(create_backbone("resnet50")) / 2


@pytest.mark.slow
def test_1202_layers_train_a_step() -> None:
    backbone = create_backbone("cifar_resnet1202", grad_checkpointing=True)
    backbone.train()(torch.randn(2, 3, 32, 32))["c2"].square().mean().backward()
    assert all(parameter.grad is not None and parameter.grad.isfinite().all() for parameter in backbone.parameters())
