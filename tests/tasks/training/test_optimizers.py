"""Which parameters are decayed, which are held, and what an optimizer has by itself."""

import copy
import io

import pytest
import torch
from torch import nn

from tasks.config import SettingsError
from tasks.training import find_optimizer, list_optimizers, make_optimizer


@pytest.mark.parametrize(("name", "kind"), [("sgd", torch.optim.SGD), ("adamw", torch.optim.AdamW)])
def test_norms_and_biases_are_not_decayed_and_frozen_tensors_are_absent(name: str, kind: type) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(4, 2), nn.Linear(2, 2))
    model[3].requires_grad_(False)
    optimizer = make_optimizer(model, find_optimizer(name)(weight_decay=0.05, lr=0.1))
    assert isinstance(optimizer, kind)
    decay = {id(p): group["weight_decay"] for group in optimizer.param_groups for p in group["params"]}
    assert [decay.get(id(p)) for p in model.parameters()] == [0.05, 0, 0, 0, 0.05, 0, None, None]


def test_each_has_its_own_learning_rate_and_settings() -> None:
    rates = {name: find_optimizer(name)().lr for name in list_optimizers()}
    assert rates == {"sgd": 0.01, "adamw": 3e-4}
    model = nn.Linear(2, 2)
    assert make_optimizer(model, find_optimizer("sgd")(momentum=0.5)).param_groups[0]["momentum"] == 0.5
    assert make_optimizer(model, find_optimizer("adamw")(betas=(0.8, 0.9))).param_groups[0]["betas"] == (0.8, 0.9)
    with pytest.raises(SettingsError, match=r"optim\.momentum: adamw has no such setting \(it has name, lr, "):
        find_optimizer("adamw")(momentum=0.5)
    with pytest.raises(SettingsError, match=r"optim\.name: 'sgd': these are the settings of adamw"):
        find_optimizer("adamw")(name="sgd")
    with pytest.raises(SettingsError, match=r"optim\.name: 'adam' is not known; did you mean 'adamw'\? \(known: "):
        find_optimizer("adam")


@pytest.mark.parametrize("name", list_optimizers())
def test_weights_in_channels_last_move_as_others(name: str) -> None:
    """torch 2.15's fused optimizers go by memory on a CPU, whatever the layouts of a weight, its gradient and state."""
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 3))
    other = copy.deepcopy(plain).to(memory_format=torch.channels_last)
    images = torch.randn(2, 3, 8, 8)
    for model in (plain, other):
        optimizer = make_optimizer(model, find_optimizer(name)(lr=0.1))
        for number in range(4):
            if number == 2:
                state = io.BytesIO()
                torch.save(optimizer.state_dict(), state)
                state.seek(0)
                optimizer = make_optimizer(model, find_optimizer(name)(lr=0.1))
                optimizer.load_state_dict(torch.load(state))
            optimizer.zero_grad()
            model(images).square().mean().backward()
            optimizer.step()
    for one, moved in zip(plain.parameters(), other.parameters(), strict=True):
        torch.testing.assert_close(moved, one, rtol=1e-4, atol=1e-5)
