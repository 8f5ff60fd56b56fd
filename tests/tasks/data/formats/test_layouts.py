"""Folders as people have them open as they are: recognised, counted, trained a step."""

from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import pytest
import torch

from tasks.assembly import task_from_settings
from tasks.config import Annotations
from tasks.data import DataSet, Loader, open_data
from tests.heads import data_for, run_settings
from tests.tasks.data.formats.examples import CLASSES, COUNTS, EXAMPLES, OBJECTS, clutter
from tests.tasks.data.formats.layouts import LAYOUTS

NAMES = {
    "voc": "Pascal VOC",
    "yolo": "YOLO",
    "coco": "COCO",
    "masks": "mask folders",
    "objects": "instance masks",
    "labelme": "LabelMe",
    "cvat": "CVAT",
    "label_studio": "Label Studio",
    "supervisely": "Supervisely",
    "open_images": "Open Images",
    "csv": "CSV",
}
# Layouts that do not say which images are val, or test.
UNSPLIT = {
    "voc_annotations_beside_images",
    "voc_annots_beside_images",
    "voc_all_in_one",
    "yolo_label_img",
    "coco_instances_default",
    "coco_result_beside_images",
    "masks_in_one_folder",
    "labelme_beside_images",
    "cvat_one_task",
    "cvat_video",
    "label_studio_of_uploads",
    "csv_as_simple_as_can_be",
}


def _annotations(layout: str) -> Annotations:
    kind = layout.partition("_")[0]
    return "masks" if kind == "masks" else "polygons" if kind == "objects" else "boxes"


def _open(layout: str, folder: Path) -> DataSet[object]:
    kind = _annotations(layout)
    return open_data(data_for(kind, path=str(folder)), kind)


def _expected_counts(layout: str) -> dict[str, int]:
    if layout in UNSPLIT:
        return {"train": 10, "val": 2}
    if layout == "voc_trainval":
        return {"train": 8, "val": 2, "test": 2}
    return {split: count for split, count in COUNTS.items() if not (split == "test" and "no_test" in layout)}


def test_there_are_enough() -> None:
    assert len(LAYOUTS) >= 25


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("cluttered", [False, True], ids=["clean", "cluttered"])
def test_a_layout_is_read_as_it_is(layout: str, cluttered: bool, tmp_path: Path) -> None:
    """The counts are those of what was written, the boxes the bright rectangles of the images themselves."""
    LAYOUTS[layout](tmp_path)
    if cluttered:
        clutter(tmp_path)
    data = _open(layout, tmp_path)
    assert data.layout.startswith(next(name for kind, name in NAMES.items() if layout.startswith(f"{kind}_")))
    assert {split: len(samples) for split, samples in data.splits.items()} == _expected_counts(layout)
    if layout.startswith("masks_"):
        assert data.classes == ("background", *CLASSES)
    elif layout.startswith("objects_"):
        assert data.classes == ("object",)
    else:
        assert data.classes == CLASSES
    objects: Counter[int] = Counter()
    for sample in (sample for samples in data.splits.values() for sample in samples):
        image = sample.read()  # type: ignore[attr-defined]
        bright = (image > 105).all(axis=2)
        if layout.startswith("masks_"):
            labels = sample.mask.labels()  # type: ignore[attr-defined]
            assert ((labels > 0) ^ bright).mean() < 0.02
            assert abs(image[labels == 1].mean() - 150) < 8 if (labels == 1).any() else True
            continue
        inside = np.zeros_like(bright)
        for box, label in zip(sample.boxes.round().astype(int), sample.labels, strict=True):  # type: ignore[attr-defined]
            inside[box[1] : box[3], box[0] : box[2]] = True
            if len(data.classes) > 1:
                level = image[box[1] + 2 : box[3] - 2, box[0] + 2 : box[2] - 2].mean()
                assert abs(level - (150 + 60 * label)) < 12
            objects[int(label)] += 1
        assert (inside ^ bright).mean() < 0.03
    if not layout.startswith("masks_"):
        wanted = {split for split in COUNTS if not (split == "test" and "no_test" in layout)}
        assert sum(objects.values()) == sum(OBJECTS[split] for split in wanted)
        if len(data.classes) > 1:
            labels = Counter(label for one in EXAMPLES if one.split in wanted for label, _ in one.objects)
            assert objects == labels


@pytest.mark.parametrize("layout", LAYOUTS)
def test_each_image_is_opened_once(layout: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    LAYOUTS[layout](tmp_path)
    opened: Counter[Path] = Counter()
    plainly = PIL.Image.open

    def counting(file: Any, *args: Any, **more: Any) -> Any:
        opened.update([Path(file)] if isinstance(file, str | Path) else [])
        return plainly(file, *args, **more)

    monkeypatch.setattr(PIL.Image, "open", counting)
    data: Any = _open(layout, tmp_path)
    files = [sample.file for samples in data.splits.values() for sample in samples]
    assert {opened[file] for file in files} == {1}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_a_layout_trains_a_step(layout: str, tmp_path: Path) -> None:
    LAYOUTS[layout](tmp_path)
    data = _open(layout, tmp_path)
    head = {"masks": "unet", "polygons": "mask_rcnn", "boxes": "faster_rcnn"}[_annotations(layout)]
    small: dict[str, Any] = {"representation": 8, "rois_per_image": 8, "channels": 8}
    if head == "unet":
        small = {"decoder_channels": [8, 8, 8]}
    settings = run_settings(
        head,
        data={"path": str(tmp_path), "image_size": 64},
        head={"name": head} | small,
        backbone={"name": "resnet18"},
    )
    task, _ = task_from_settings(settings, data.classes)
    train = data.splits["train"]
    transform = task.transform(settings.data, train=True, masks=settings.head.finds_masks, others=train)
    batch = next(Loader(train, transform, batch_size=2).batches())
    task.model.train()
    assert torch.stack(list(task.losses(task.model, batch).values())).sum().isfinite()
