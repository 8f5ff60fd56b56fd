"""What is compiled for inference gives the same; inductor itself is tried in the slow tests, as it needs a compiler."""

from typing import Any

import pytest
import torch
from torch import nn

from backbones import InputError, compile_for_inference, compiling
from backbones import prefix as prefix_module
from tests.backbones.settling import settled

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def _forget() -> None:
    torch.compiler.reset()


def use(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if backend != "inductor":
        monkeypatch.setattr(compiling, "_HOW", {"backend": backend})


@pytest.mark.parametrize(
    ("backend", "autocast"),
    [
        ("aot_eager", False),
        pytest.param("inductor", False, marks=pytest.mark.slow),
        pytest.param("inductor", True, marks=pytest.mark.slow),
    ],
)
def test_frozen_stages_give_the_same(backend: str, autocast: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    use(backend, monkeypatch)
    backbone = settled("resnet18")
    backbone.freeze(2)
    for size in ((64, 96), (96, 64), (128, 160)):
        images = torch.randn(2, 3, *size)
        found = []
        for backbone.compile_frozen in (False, True):
            with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
                found.append(backbone.train()(images))
        for name, plain in found[0].items():
            most = 2e-2 if autocast else 1e-5
            assert (found[1][name] - plain).abs().max() <= most * plain.abs().max(), name


def test_a_change_of_weights_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    use("aot_eager", monkeypatch)
    backbone, images = settled("resnet18"), torch.randn(2, 3, 64, 64)
    backbone.freeze(2)
    backbone.compile_frozen = True
    before = backbone(images)["c3"]
    with torch.no_grad():
        backbone.get_parameter("layer1.0.conv1.weight").mul_(1.5)
    after = backbone(images)["c3"]
    assert not torch.allclose(before, after)
    torch.testing.assert_close(after, backbone.run_stages(images, 0, 2)[1]["c3"], rtol=1e-4, atol=1e-4)


def test_only_frozen_stages_that_run_apart_are_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[nn.Module] = []
    monkeypatch.setattr(prefix_module, "compile_for_inference", lambda module, _device: calls.append(module))
    backbone, images = settled("resnet18"), torch.randn(2, 3, 64, 64)
    backbone.compile_frozen = True
    backbone(images)
    backbone.freeze(1)
    backbone(images.requires_grad_())
    assert not calls
    backbone(images.detach())
    assert len(calls) == 1


def test_a_machine_that_cannot() -> None:
    def without_a_compiler(_graph: Any, _inputs: Any) -> Any:
        raise RuntimeError("\nNo working C++ compiler found\nmore of it")

    with pytest.MonkeyPatch.context() as patch:
        use(without_a_compiler, patch)
        with pytest.raises(InputError, match="compiler found") as caught:
            compile_for_inference(nn.Identity(), CPU)
    assert "\n" not in str(caught.value)
