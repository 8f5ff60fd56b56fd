"""A comparison is of two sides that come to the same numbers; where they do not, nothing is timed."""

import json
import math
from dataclasses import replace
from io import StringIO
from pathlib import Path

import pytest
import torch
from rich.console import Console

from tasks.benchmark.comparisons import detectors, segmenters
from tasks.benchmark.comparisons.checks import detections_agree, losses_agree, relative
from tasks.benchmark.comparisons.detectors import detector_pair
from tasks.benchmark.comparisons.images import make_batches
from tasks.benchmark.comparisons.line import Agreement, Conditions, Line, Pair, Sizes
from tasks.benchmark.comparisons.running import Asked, compare
from tasks.benchmark.comparisons.table import LINES, find_lines
from tasks.benchmark.comparisons.timing import Timed, time_line
from tests.heads import head

SIZES = Sizes(64, 64, 1)
TINY = Conditions("cpu", SIZES, "resnet18", batches=1)


def _line(differences: list[float], calls: list[str]) -> Line:
    def make(_conditions: Conditions) -> Pair:
        return Pair(
            lambda: [Agreement("the loss", difference, 1e-3) for difference in differences],
            lambda number: calls.append(f"ours {number}"),
            lambda number: calls.append(f"peer {number}"),
        )

    return Line("name", "work", "a peer", make, SIZES, SIZES, goal=0.5)


def test_pairs_are_timed_in_turn() -> None:
    calls: list[str] = []
    timed = time_line(_line([0.0], calls), TINY, rounds=2, steps=2)
    once = ["ours 0", "peer 0"]
    assert calls == [*once, "ours 0", "ours 1", "peer 0", "peer 1", "ours 2", "ours 3", "peer 2", "peer 3"]
    assert len(timed.ours) == len(timed.peer) == len(timed.ratios) == 2


def test_a_wrong_answer_is_not_timed(tmp_path: Path) -> None:
    calls: list[str] = []
    file, output = tmp_path / "out.json", StringIO()
    line = _line([0.0, 0.1, math.nan], calls)
    assert compare(Console(file=output), [line], Asked(device="cpu", json=file)) == 1
    assert not calls
    assert "name: WRONG, not timed: the loss" in output.getvalue()
    content = json.loads(file.read_text())["lines"][0]
    assert (content["right"], content["ratio"], content["met"]) == (False, None, None)


def test_a_peer_that_was_broken_is_not_timed(monkeypatch: pytest.MonkeyPatch) -> None:
    class Broken(segmenters.Unet):  # type: ignore[misc]
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            logits: torch.Tensor = super().forward(images)
            return logits * 1.001

    monkeypatch.setattr(segmenters, "Unet", Broken)
    (line,) = find_lines(("unet-frozen",))
    timed = time_line(line, TINY, rounds=1, steps=1)
    assert not timed.is_right
    assert (timed.ours, timed.peer, timed.ratio) == ([], [], None)


def test_a_goal_is_met_or_missed_at_its_own_sizes() -> None:
    timed = Timed(_line([0.0], []), TINY, [])
    faster, slower = (replace(timed, ours=[ours] * 3, peer=[1.0] * 3) for ours in (0.4, 0.6))
    assert (faster.met, slower.met) == (True, False)
    assert (faster.ratio, replace(faster, measured_as_meant=False).met) == (0.4, None)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["faster_rcnn", "retinanet", "mask_rcnn", "fcos"])
def test_detectors_agree_with_torchvisions(name: str) -> None:
    found = detector_pair(TINY, head=name, frozen_stages=3, expert=False).check()
    assert all(one.holds for one in found), [str(one) for one in found]
    assert len(found) >= 4


@pytest.mark.slow
def test_a_detector_that_was_broken_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    build = detectors.torchvision_detector

    def broken(*args: object, **options: object) -> torch.nn.Module:
        model = build(*args, **options)  # type: ignore[arg-type]
        model.backbone.fpn.layer_blocks[0][0].register_forward_hook(lambda *call: call[-1] * 1.02)  # type: ignore[union-attr,index]
        return model

    monkeypatch.setattr(detectors, "torchvision_detector", broken)
    # FCOS's group norms would make up for it
    found = detector_pair(TINY, head="retinanet", frozen_stages=3, expert=False).check()
    assert not all(one.holds for one in found)


def test_what_differs_is_found() -> None:
    one = torch.tensor([1.0, 2.0])
    assert relative("", one, one, 0.0).holds
    assert not relative("", one, one[:1], 1.0).holds
    assert relative("", one * 1.01, one, 1.0).difference == pytest.approx(0.01)
    assert not all(one.holds for one in losses_agree({"a": one}, {"b": one}, 1.0))


def test_detections_are_compared_in_any_order() -> None:
    boxes = torch.tensor([[0.0, 0, 10, 10], [5.0, 5, 20, 20]])
    labels, scores = torch.tensor([1, 2]), torch.tensor([0.9, 0.8])
    same = (boxes.flip(0), labels.flip(0), scores.flip(0))
    assert detections_agree([(boxes, labels, scores)], [same], 0.0).difference == 0
    for other in ((boxes + 1, labels, scores), (boxes, labels + 1, scores), (boxes, labels, scores - 0.01)):
        assert detections_agree([(boxes, labels, scores)], [other], 0.0).difference == 1
    assert not detections_agree([(boxes[:0], labels[:0], scores[:0])], [(boxes[:0], labels[:0], scores[:0])], 1.0).holds


def test_images_that_are_wider_than_high() -> None:
    (batch,) = make_batches(head("mask_rcnn"), replace(TINY, sizes=Sizes(64, 96, 2)))
    assert [tuple(image.shape) for image in batch.images] == [(3, 64, 96)] * 2
    for target in batch.targets:
        assert len(target["boxes"]) == len(target["labels"]) == len(target["masks"])
        assert (target["boxes"][:, 3] <= 64).all()
        assert target["masks"].shape[1:] == (64, 96)


def test_the_table() -> None:
    names = [line.name for line in LINES]
    assert len(set(names)) == len(names)
    assert [line.name for line in find_lines(("unet-free", "faster-rcnn-free"))] == ["faster-rcnn-free", "unet-free"]
