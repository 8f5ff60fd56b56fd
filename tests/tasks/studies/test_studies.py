"""What the studies measure is what they say, against computations by other means; and each runs, small."""

import json
import statistics
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from backbones import create_backbone
from tasks.studies import StudySettings, find_study, run_study
from tasks.studies.gradient_flow import gradient_norms, network
from tasks.studies.identity import branch_ratios
from tests.writers import write_class_folders


def _run(name: str, folder: Path, **settings: Any) -> dict[str, Any]:
    study: StudySettings = find_study(name)(**settings)
    run_study(name, study, folder, lambda line: None)
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}.json", f"{name}.png"]
    result: dict[str, Any] = json.loads((folder / f"{name}.json").read_text())
    assert study.finding(result["rows"]).text in result["finding"]
    return result


def test_a_plain_network_is_the_registered_one() -> None:
    torch.manual_seed(3)
    ours = network(20, plain=True, without_norms=False, init="he").eval()
    torch.manual_seed(3)
    registered = create_backbone("cifar_plain20").eval()
    images = torch.randn(2, 3, 32, 32)
    for level, features in registered(images).items():
        torch.testing.assert_close(ours(images)[level], features, rtol=0, atol=0)


def test_the_gradients_norms_by_finite_differences() -> None:
    """Along its own gradient g a loss rises by |g|: of the stem's convolution, a residual network without norms."""
    found = gradient_norms(20, False, True, "he", seed=5, batch_size=2)
    assert len(found) == 19  # no projections: 20 layers less the classifier's
    torch.manual_seed(5)
    backbone = network(20, False, True, "he").double()
    assert not any(isinstance(module, nn.BatchNorm2d) for module in backbone.modules())
    classify = nn.Linear(64, 10).double()
    images, labels = torch.randn(2, 3, 32, 32, dtype=torch.float64), torch.randint(10, (2,))

    def loss() -> torch.Tensor:
        features = list(backbone(images).values())[-1]
        return functional.cross_entropy(classify(features.mean((2, 3))), labels)

    weight: Any = backbone.conv1.weight
    (gradient,) = torch.autograd.grad(loss(), weight)
    direction, step = gradient / gradient.norm(), 1e-6
    with torch.no_grad():
        weight += step * direction
        above = float(loss())
        weight -= 2 * step * direction
        below = float(loss())
    assert (above - below) / (2 * step) == pytest.approx(found[0], rel=1e-4)


def test_xavier_halves_a_plain_networks_variance_at_each_layer() -> None:
    """ReLU halves the second moment and Xavier, unlike He, does not make up for it (He et al. 2015, section 2.2):
    over the 36 more layers of 56 the gradient becomes 2^-18 of that at 20, by order of magnitude."""
    deep, shallow = (
        statistics.median(gradient_norms(depth, True, True, "xavier", seed, batch_size=4)[0] for seed in range(3))
        for depth in (56, 20)
    )
    assert np.log2(deep / shallow) == pytest.approx(-18, abs=4)


def test_the_ratio_of_branch_and_shortcut_by_hand() -> None:
    backbone = create_backbone("resnet18").eval()
    images = torch.randn(3, 3, 64, 64)
    rows = {row["block"]: row for row in branch_ratios(backbone, lambda: backbone(images))}
    assert list(rows) == [f"layer{stage}.{block}" for stage in (1, 2, 3, 4) for block in (0, 1)]
    assert [name for name, row in rows.items() if not row["identity shortcut"]] == ["layer2.0", "layer3.0", "layer4.0"]
    with torch.no_grad():
        x: Any = backbone(images)["c2"]
        net: Any = backbone
        branch, shortcut = net.layer2[0].branch(x), net.layer2[0].downsample(x)
        ratios = [float(b.norm() / s.norm()) for b, s in zip(branch, shortcut, strict=True)]
        assert rows["layer2.0"]["branch / shortcut"] == pytest.approx(np.mean(ratios), rel=1e-5)
        assert rows["layer2.0"]["branch's deviation"] == pytest.approx(float(branch.std()), rel=1e-5)
        x = net.layer2[0](x)
        ratios = [float(b.norm() / s.norm()) for b, s in zip(net.layer2[1].branch(x), x, strict=True)]
    assert rows["layer2.1"]["branch / shortcut"] == pytest.approx(np.mean(ratios), rel=1e-5)


def test_identity(tmp_path: Path) -> None:
    result = _run("identity", tmp_path, backbone="resnet18", epochs=1, images=8, measured_images=4, image_size=32)
    zero = [row for row in result["rows"] if row["network"] == "zero_last, untrained"]
    assert [row["branch / shortcut"] for row in zero] == [0.0] * 8
    assert all(row["branch / shortcut"] > 0 for row in result["rows"] if row["network"] != "zero_last, untrained")


def test_degradation_measures_the_images_that_it_trains_on(tmp_path: Path) -> None:
    """Of three classes in the order of their folders a random sample is taken, and all of it evaluated."""
    data = write_class_folders(tmp_path / "data")
    result = _run("degradation", tmp_path / "out", data=str(data), epochs=1, images=10, batch_size=10)
    assert [(row["network"], row["depth"]) for row in result["rows"]] == [
        ("plain", 20),
        ("plain", 56),
        ("residual", 20),
        ("residual", 56),
    ]
    for row in result["rows"]:
        assert row["images"] == 10
        assert row["training error"] * 10 == pytest.approx(round(row["training error"] * 10))  # tenths: of ten images


def test_a_norm_that_a_batch_does_not_allow_is_a_row(tmp_path: Path) -> None:
    """At 32 px the last level of resnet18 is 1x1: one image alone has nothing to normalise with."""
    result = _run("norms", tmp_path, norms=("batch", "group"), batch_sizes=(1, 4), images=8, epochs=1, image_size=32)
    refused = {(row["norm"], row["batch"]): row["refused"] for row in result["rows"]}
    assert refused["batch", 1]
    assert not any(refused[kind] for kind in [("batch", 4), ("group", 1), ("group", 4)])


def test_deep_supervision(tmp_path: Path) -> None:
    result = _run("deep-supervision", tmp_path, seeds=1, epochs=1, images=4, batch_size=4, image_size=32)
    assert [row["deep supervision"] for row in result["rows"]] == ["off", "on"]


@pytest.mark.slow
def test_freezing(tmp_path: Path) -> None:
    result = _run("freezing", tmp_path, backbone="resnet18", freeze=("0", "1-4"), images=8, task="segmentation")
    assert all(row["peak memory, MiB"] > 100 for row in result["rows"])


@pytest.mark.slow
def test_backbones(tmp_path: Path) -> None:
    result = _run("backbones", tmp_path, backbones=("resnet18", "resnet34"), images=8, epochs=1)
    # torchvision's table: 11.7 M and 21.8 M parameters with their classifiers of 0.5 M
    assert [round(row["parameters, M"], 1) for row in result["rows"]] == [11.2, 21.3]
