import math

import pytest
import torch
from torch import Tensor, nn

from tasks.segmentation.inference import mirrored, windowed


@pytest.mark.parametrize("size", [(50, 70), (64, 64), (20, 200), (65, 64)])
@pytest.mark.parametrize("overlap", [0.0, 0.5, 0.75])
def test_windows_of_a_pointwise_network_are_the_whole_image(size: tuple[int, int], overlap: float) -> None:
    """Every pixel is covered and the weights cancel out."""
    layer = nn.Conv2d(3, 4, 1)
    images = torch.randn(2, 3, *size)
    with torch.inference_mode():
        torch.testing.assert_close(windowed(layer, images, 32, overlap), layer(images), rtol=1e-4, atol=1e-5)


def test_windows_of_a_network_with_a_small_field_differ_only_at_their_borders() -> None:
    """Three 3x3 convolutions see 3 pixels: inside a window nothing changes, and its borders weigh little."""
    layers = nn.Sequential(*(nn.Conv2d(3, 3, 3, padding=1) for _ in range(3)))
    images = torch.randn(1, 3, 96, 96)
    with torch.inference_mode():
        whole, parts = layers(images), windowed(layers, images, 64, 0.5)
    assert (whole - parts).abs().mean() < 0.01 * whole.abs().mean()


def test_mirror_images_are_averaged() -> None:
    def left_is_one(images: Tensor) -> Tensor:
        logits = images.new_zeros(len(images), 2, *images.shape[2:])
        logits[:, 1, :, : images.shape[3] // 2] = 4.0
        return logits

    averaged = mirrored(left_is_one, torch.zeros(1, 3, 2, 4)).exp()
    torch.testing.assert_close(averaged, averaged.flip(-1))
    torch.testing.assert_close(averaged.sum(1), torch.ones(1, 2, 4))


def test_mirror_images_are_averaged_where_a_probability_is_too_small_for_a_float() -> None:
    """log((e^-200 + e^-300) / 2) = -200 - log 2: e^-200 itself is 0 in float32, and its logarithm was -inf."""

    def logits(images: Tensor) -> Tensor:
        gap = images.new_zeros(len(images), 2, *images.shape[2:])
        gap[:, 1] = -200.0 if images.any() else -300.0
        return gap

    image = torch.zeros(1, 1, 2, 4)
    image[..., 0] = 1.0
    averaged = mirrored(lambda images: logits(images[..., :1]).expand(-1, -1, 2, 4), image)
    torch.testing.assert_close(averaged[:, 1], torch.full((1, 2, 4), -200 - math.log(2)))
    resized = nn.functional.interpolate(averaged, (5, 9), mode="bilinear")
    assert resized.isfinite().all()
