"""One suppression for all images keeps what torchvision keeps of each, on a CPU and elsewhere."""

import pytest
import torch
from torch import Tensor
from torchvision.ops import nms

from tasks.benchmark.pretend_account import counted
from tasks.benchmark.pretend_device import pretend_device
from tasks.detection import suppression


def _detections() -> tuple[Tensor, ...]:
    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(3, 300, 2, generator=generator) * 900
    boxes = torch.cat([corner, corner + torch.rand(3, 300, 2, generator=generator) * 200 + 1], -1)
    groups = torch.randint(80, (3, 300), generator=generator) % 4 * 20
    scores, valid = torch.rand(3, 300, generator=generator), torch.rand(3, 300, generator=generator) > 0.2
    return boxes, scores, groups, valid


def _expected() -> list[set[int]]:
    sets = []
    for boxes, scores, groups, valid in zip(*_detections(), strict=True):
        own = [(valid & (groups == group)).nonzero()[:, 0] for group in groups.unique()]
        sets.append({row for one in own for row in one[nms(boxes[one], scores[one], 0.3)].tolist()})
    return sets


@pytest.mark.parametrize("device", ["cpu", "elsewhere"])
def test_what_torchvision_keeps(device: str) -> None:
    there = pretend_device() if device == "elsewhere" else torch.device(device)
    with counted() as account:
        found = suppression.kept(*(one.to(there, non_blocking=True) for one in _detections()), 0.3)
    assert account.waits == (device == "elsewhere")
    assert [set(one.nonzero()[:, 0].tolist()) for one in found.cpu()] == _expected()


def test_many_boxes_take_several_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(suppression, "_TOGETHER", 600)
    found = suppression.kept(*(one.to(pretend_device()) for one in _detections()), 0.3)
    assert [set(one.nonzero()[:, 0].tolist()) for one in found.cpu()] == _expected()


@pytest.mark.parametrize("device", ["cpu", "elsewhere"])
def test_where_there_are_none(device: str) -> None:
    there = pretend_device() if device == "elsewhere" else torch.device(device)
    nothing = [one[:, :0].to(there) for one in _detections()]
    assert [len(one["boxes"]) for one in suppression.best_detections(*nothing, 0.3, 20)] == [0, 0, 0]


def test_the_best_detections_of_each_image() -> None:
    boxes, scores, groups, valid = _detections()
    valid[1] = False
    found = suppression.best_detections(boxes, scores, groups, valid, 0.3, 20)
    assert [len(one["scores"]) for one in found] == [20, 0, 20]
    kept = sorted(_expected()[0], key=lambda row: -scores[0, row])[:20]
    assert torch.equal(found[0]["scores"], scores[0, kept])
    assert torch.equal(found[0]["boxes"], boxes[0, kept])
    assert torch.equal(found[0]["labels"], groups[0, kept])
