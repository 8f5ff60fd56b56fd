import pytest

from backbones import InputError, create_backbone, list_backbones, register_backbone
from backbones.resnet import VARIANTS


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
