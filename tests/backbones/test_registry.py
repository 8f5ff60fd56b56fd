from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import backbones
from backbones import InputError, create_backbone, list_backbones, register_backbone, registry
from backbones.resnet.variants import VARIANTS


def test_every_variant_is_listed() -> None:
    assert set(VARIANTS) <= set(list_backbones())
    assert list_backbones() == sorted(list_backbones())


def test_unknown_names_get_the_nearest() -> None:
    with pytest.raises(InputError, match=r"'resnet5' is not known; did you mean .*'resnet50'"):
        create_backbone("resnet5")


def test_unknown_options_are_not_swallowed() -> None:
    with pytest.raises(TypeError, match="frozen_stage"):
        create_backbone("resnet18", frozen_stage=3)
    with pytest.raises(InputError, match=r"norm 'bach' is not known; did you mean 'batch'"):
        create_backbone("resnet18", norm="bach")
    with pytest.raises(InputError, match="init"):
        create_backbone("resnet18", init="xavier")


def test_a_clash_of_names_raises() -> None:
    with pytest.raises(ValueError, match="registered already"):
        register_backbone("resnet18", lambda **options: create_backbone("resnet34", **options))


@pytest.fixture
def third_party(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """An installed package with one backbone that works and one that cannot be imported."""
    (tmp_path / "tiny_nets.py").write_text(
        "from backbones import create_backbone\n"
        "def build(**options):\n"
        "    return create_backbone('resnet34', **options)\n"
        "def fail(**options):\n"
        "    raise ValueError('no such thing')\n"
    )
    info = tmp_path / "tiny_nets-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: tiny-nets\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(
        "[vertebra.backbones]\ntiny = tiny_nets:build\nbroken = absent_module:build\nodd = builtins:dict\n"
        "failing = tiny_nets:fail\nresnet18 = tiny_nets:build\n"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(registry, "_builders", dict(registry._builders))
    registry._discover.cache_clear()
    yield
    registry._discover.cache_clear()


@pytest.mark.usefixtures("third_party")
def test_third_party_backbones_are_found() -> None:
    assert {"tiny", "broken", "resnet50"} <= set(list_backbones())
    backbone = create_backbone("tiny", norm="frozen")
    assert backbone(torch.zeros(1, 3, 32, 32))["c5"].shape == (1, 512, 1, 1)
    assert create_backbone("resnet34").features


@pytest.mark.usefixtures("third_party")
@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("broken", "backbone 'broken': absent_module:build cannot be imported: ModuleNotFoundError: No module named"),
        ("odd", "backbone 'odd': builtins:dict gives a dict, no Backbone"),
        ("failing", "backbone 'failing': tiny_nets:fail cannot be built: ValueError: no such thing"),
        ("resnet18", r"backbone 'resnet18' is in several packages \(vertebra, tiny_nets:build\)"),
    ],
)
def test_a_broken_package_is_named_when_its_backbone_is_asked_for(name: str, message: str) -> None:
    list_backbones()
    with pytest.raises(InputError, match=message):
        create_backbone(name)


def test_everything_that_is_handed_out_is_there() -> None:
    assert set(backbones.__all__) <= set(dir(backbones))
    for name in backbones.__all__:
        assert getattr(backbones, name) is not None
    assert backbones.conformance.check_backbone
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        _ = backbones.nothing
