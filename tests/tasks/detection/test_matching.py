"""Objects are matched as torchvision matches them, image by image, however many there are at once."""

from typing import Any

import pytest
import torch
from torch import Tensor
from torchvision.models.detection import FCOS
from torchvision.models.detection._utils import Matcher
from torchvision.models.detection.roi_heads import project_masks_on_boxes
from torchvision.ops import box_iou

from tasks.detection import matching
from tasks.detection.fcos_detector import cells_on_objects
from tasks.detection.mask_targets import mask_targets
from tasks.detection.objects import Objects

CPU = torch.device("cpu")
NONE = torch.zeros(0, 4)


def _boxes(count: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    corner = torch.rand(count, 2, generator=generator) * 200
    return torch.cat([corner, corner + torch.rand(count, 2, generator=generator) * 60 + 2], 1).round()


def _objects(*boxes: Tensor) -> Objects:
    return Objects.of(
        [{"boxes": one, "labels": torch.ones(len(one)).long(), "crowd_boxes": NONE} for one in boxes], CPU
    )


@pytest.fixture(params=[2**18, 1], ids=["together", "one by one"])
def _split(request: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(matching, "_PAIRS_ON_CPU", request.param)


@pytest.mark.usefixtures("_split")
@pytest.mark.parametrize("low_quality", [True, False])
def test_as_torchvisions_matcher(low_quality: bool) -> None:
    anchors = _boxes(500)
    anchors = torch.cat([anchors, anchors[:50]])  # ties
    nowhere = torch.tensor([[9e3, 9e3, 9.1e3, 9.1e3]])
    images = [torch.cat([anchors[:3] + 1, _boxes(9, 1), anchors[:3] + 1]), NONE, nowhere, _boxes(2, 2)]
    found, best = matching.match(_objects(*images), anchors, 0.5, 0.3, low_quality=low_quality)
    matcher = Matcher(0.5, 0.3, allow_low_quality_matches=low_quality)
    for own, mine, overlap in zip(images, found, best, strict=True):
        if len(own):
            assert torch.equal(mine, matcher(box_iou(own, anchors)))
            assert torch.equal(overlap, box_iou(own, anchors).amax(0))
        else:
            assert mine.tolist() == [matching.BACKGROUND] * len(anchors)
    # Each image's own boxes, as the proposals are.
    own = torch.stack([anchors, anchors.flip(0), anchors, anchors.flip(0)])
    again, _ = matching.match(_objects(*images), own, 0.5, 0.3, low_quality=low_quality)
    assert torch.equal(again[1::2], found[1::2].flip(1))


@pytest.mark.usefixtures("_split")
def test_as_torchvisions_fcos() -> None:
    class Head(torch.nn.Module):
        def compute_loss(self, *arguments: Any) -> Any:
            return arguments[-1]

    counts = [400, 100, 25]
    cells = []
    for count, stride in zip(counts, (8, 16, 32), strict=True):
        place = torch.arange(int(count**0.5)) * float(stride)
        y, x = torch.meshgrid(place, place, indexing="ij")
        cells.append(torch.stack([x, y, x, y], -1).view(-1, 4) + torch.tensor([-0.5, -0.5, 0.5, 0.5]) * stride)
    anchors = torch.cat(cells)
    images = [torch.cat([_boxes(12), _boxes(12)[:2]]), NONE, _boxes(3, 1)]
    reference: Any = FCOS.__new__(FCOS)
    torch.nn.Module.__init__(reference)
    reference.center_sampling_radius, reference.head = 1.5, Head()
    expected = reference.compute_loss([{"boxes": own} for own in images], {}, [anchors] * 3, counts)
    found = cells_on_objects(_objects(*images), anchors, counts, 1.5)
    assert torch.equal(found, torch.stack(expected))
    assert (found >= 0).any(1).tolist() == [True, False, True]


def test_a_box_without_a_side_is_no_object() -> None:
    objects = _objects(torch.tensor([[5.0, 5, 5, 9], [0, 0, 10, 10]]))
    assert objects.valid.tolist() == [[False, True]]
    assert matching.match(objects, torch.tensor([[0.0, 0, 10, 10]]), 0.5, 0.3)[0].tolist() == [[1]]


@pytest.mark.parametrize("sizes", [[(40, 60), (40, 60)], [(40, 60), (33, 71)]], ids=["one size", "two sizes"])
def test_masks_as_torchvision_projects_them(sizes: list[tuple[int, int]]) -> None:
    generator = torch.Generator().manual_seed(0)
    masks = [torch.randint(2, (3, *size), generator=generator, dtype=torch.uint8) for size in sizes]
    boxes = []
    for height, width in sizes:
        corner = torch.rand(8, 2, generator=generator) * 20
        inner = torch.cat([corner, corner + torch.rand(8, 2, generator=generator) * 12], 1)
        boxes.append(torch.cat([inner, torch.tensor([[3.0, 2, width, height]])]))
    matches = torch.arange(9) % 3
    expected = [project_masks_on_boxes(own, one, matches, 7) for own, one in zip(masks, boxes, strict=True)]
    images = torch.arange(2).repeat_interleave(9)
    found = mask_targets(masks, torch.cat(boxes), images, matches.repeat(2), 7)
    torch.testing.assert_close(found, torch.cat(expected), rtol=0, atol=1e-6)
