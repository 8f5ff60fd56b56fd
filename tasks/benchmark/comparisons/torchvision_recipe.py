"""torchvision's reference training of a detector, written again: `python -m ... JSON` trains an epoch and prints its
metrics. Its source: references/detection of the torchvision repository, train.py, engine.py and coco_eval.py.

Two things are left out, both in its favour: it evaluates on one thread, and groups images of like proportions, of which
there is one kind here.
"""

import contextlib
import io
import json
import math
import random
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset
from torchvision.transforms.functional import pil_to_tensor

from backbones import read_state_dict
from tasks.benchmark.comparisons.torchvision_detectors import torchvision_detector

_RATE = 0.02 / 16  # its learning rate for each image of a step
_WARM_UP, _WARM_UP_FACTOR = 1000, 1e-3
_FLIPPED = 0.5

Example = tuple[Tensor, dict[str, Any]]


class VocImages(Dataset[Example]):
    """A split of a Pascal VOC folder, as its users write one."""

    def __init__(self, folder: Path, split: str, classes: list[str], train: bool) -> None:
        self.folder, self.classes, self.train = folder, classes, train
        self.names = (folder / "ImageSets/Main" / f"{split}.txt").read_text().split()

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Example:
        name = self.names[index]
        found = [
            (one.findtext("name"), [float(one.findtext(f"bndbox/{side}") or 0) for side in _SIDES])
            for one in ElementTree.parse(self.folder / "Annotations" / f"{name}.xml").iter("object")
        ]
        found = [(label, box) for label, box in found if box[2] > box[0] and box[3] > box[1]]
        boxes = torch.tensor([box for _, box in found]).reshape(-1, 4)
        labels = torch.tensor([self.classes.index(str(label)) + 1 for label, _ in found], dtype=torch.int64)
        file = next((self.folder / "JPEGImages").glob(f"{name}.*"))
        image = pil_to_tensor(Image.open(file).convert("RGB"))
        if self.train and random.random() < _FLIPPED:
            image = image.flip(-1)
            boxes[:, [0, 2]] = image.shape[2] - boxes[:, [2, 0]]
        return image.float() / 255, {"boxes": boxes, "labels": labels, "image_id": index + 1}


_SIDES = ("xmin", "ymin", "xmax", "ymax")


def class_names(folder: Path) -> list[str]:
    """Of the objects of all annotation files, in alphabetical order."""
    files = sorted((folder / "Annotations").glob("*.xml"))
    return sorted({str(one.findtext("name")) for file in files for one in ElementTree.parse(file).iter("object")})


def main(asked: dict[str, Any]) -> dict[str, float]:
    """Train an epoch, validating after it, and test."""
    torch.manual_seed(asked["seed"])
    random.seed(asked["seed"])
    folder, device = Path(asked["folder"]), torch.device(asked["device"])
    classes, side = class_names(folder), asked["side"]
    model = torchvision_detector(
        "faster_rcnn", asked["backbone"], len(classes), frozen_stages=3, min_size=side, max_size=side * 3 // 2
    )
    if asked["weights"]:
        _load_body(model.backbone.body, Path(asked["weights"]), asked["stride_in_1x1"])  # type: ignore[union-attr,arg-type]
    model.to(device)
    _train_one_epoch(model, _loader(VocImages(folder, "train", classes, True), asked["batch_size"]), device)
    return {
        split: _evaluate(model, VocImages(folder, split, classes, False), classes, device)
        for split in ("val", "test")
        if (folder / "ImageSets/Main" / f"{split}.txt").is_file()
    }


def _load_body(body: nn.Module, file: Path, stride_in_1x1: bool) -> None:
    state = {key: value.float() for key, value in read_state_dict(file).items() if not key.startswith("fc.")}
    body.load_state_dict(state)
    if stride_in_1x1:
        for stage in (2, 3, 4):
            first: Any = body.get_submodule(f"layer{stage}.0")
            first.conv1.stride, first.conv2.stride = first.conv2.stride, first.conv1.stride


def _loader(images: VocImages, batch_size: int) -> DataLoader[Example]:
    return DataLoader(images, batch_size, shuffle=images.train, num_workers=1, collate_fn=_collate)


def _collate(examples: list[Example]) -> tuple[Any, ...]:
    return tuple(zip(*examples, strict=True))


def _train_one_epoch(model: nn.Module, loader: DataLoader[Example], device: torch.device) -> None:
    model.train()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=_RATE * (loader.batch_size or 1), momentum=0.9, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.LinearLR(
        optimizer, start_factor=_WARM_UP_FACTOR, total_iters=max(1, min(_WARM_UP, len(loader) - 1))
    )
    for images, targets in loader:
        images = [image.to(device) for image in images]
        targets = [{key: target[key].to(device) for key in ("boxes", "labels")} for target in targets]
        total = sum(model(images, targets).values())
        if not math.isfinite(total.item()):
            raise RuntimeError("the loss is not finite")
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
        schedule.step()


@torch.inference_mode()
def _evaluate(model: nn.Module, images: VocImages, classes: list[str], device: torch.device) -> float:
    model.eval()
    truth = _coco_of(images, classes)
    found = []
    for batch, targets in _loader(images, 1):
        for target, output in zip(targets, model([image.to(device) for image in batch]), strict=True):
            boxes = output["boxes"].cpu()
            boxes[:, 2:] -= boxes[:, :2]
            rows = zip(boxes.tolist(), output["scores"].tolist(), output["labels"].tolist(), strict=True)
            found += [
                {"image_id": target["image_id"], "category_id": label, "bbox": box, "score": score}
                for box, score, label in rows
            ]
    if not found:
        return 0.0
    evaluator = COCOeval(truth, truth.loadRes(found), "bbox")
    evaluator.evaluate()
    evaluator.accumulate()
    evaluator.summarize()
    return float(evaluator.stats[0])


def _coco_of(images: VocImages, classes: list[str]) -> COCO:
    """It goes through the data set, images and all."""
    truth = COCO()
    truth.dataset = {
        "images": [],
        "annotations": [],
        "categories": [{"id": label, "name": name} for label, name in enumerate(classes, start=1)],
    }
    for image, target in (images[index] for index in range(len(images))):
        height, width = image.shape[1:]
        truth.dataset["images"].append({"id": target["image_id"], "height": height, "width": width})
        boxes = target["boxes"].clone()
        boxes[:, 2:] -= boxes[:, :2]
        for box, label in zip(boxes.tolist(), target["labels"].tolist(), strict=True):
            truth.dataset["annotations"].append(
                {
                    "id": len(truth.dataset["annotations"]) + 1,
                    "image_id": target["image_id"],
                    "category_id": label,
                    "bbox": box,
                    "area": box[2] * box[3],
                    "iscrowd": 0,
                }
            )
    truth.createIndex()
    return truth


if __name__ == "__main__":
    with contextlib.redirect_stdout(io.StringIO()):
        metrics = main(json.loads(sys.argv[1]))
    print(json.dumps(metrics))
