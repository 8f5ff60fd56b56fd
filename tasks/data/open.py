"""From a setting to a data set: which reader a folder needs."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from backbones.errors import InputError
from tasks.config import SHAPES, DataSettings
from tasks.data.coco import is_coco, read_coco, read_coco_masks
from tasks.data.faults import Faults
from tasks.data.mask_folders import is_mask_folders, read_mask_folders
from tasks.data.masks import IGNORE
from tasks.data.mix import mixed
from tasks.data.samples import DataSet, with_val
from tasks.data.shapes import masked_shapes_data, shapes_data
from tasks.data.voc import is_voc, read_voc
from tasks.data.yolo import is_yolo, read_yolo

_MASK_LAYOUTS = (
    "train/images and train/masks, images/train and masks/train, images and masks, train and trainannot (CamVid), "
    "JPEGImages, SegmentationClass and ImageSets/Segmentation (VOC), or annotations/instances_train*.json (COCO)"
)
_BOX_LAYOUTS = (
    "annotations/instances_train*.json or train/_annotations.coco.json (COCO), data.yaml (YOLO), "
    "or Annotations/, JPEGImages/ and ImageSets/Main/ (Pascal VOC)"
)


class LayoutError(InputError):
    """What was asked for is not a data set of a known layout, or not one for this task."""


def open_data(
    settings: DataSettings, task: str = "detection", *, outlines: bool = False, faults: Faults | None = None
) -> DataSet[Any]:
    """Read the data set that the settings name, with what the task learns from: boxes or masks.

    Where there is no val split, a share of train becomes it.

    Args:
        outlines: keep the objects' outlines too, which masks are made from.
        faults: takes what is found, and may keep errors.

    Raises:
        LayoutError: the folder is missing, empty, of no known layout, or not for this task.
        InputError: its content is wrong; or an object has no outline where they are wanted.
    """
    if settings.path == SHAPES:
        if settings.also:
            raise LayoutError("data.also: shapes cannot be mixed with folders")
        make = shapes_data if task == "detection" else masked_shapes_data
        return make(settings.count, settings.image_size)
    faults = faults or Faults()
    parts = [_read(Path(path), settings, task, outlines, faults) for path in (settings.path, *settings.also)]
    if not any("val" in part.splits for part in parts):
        # Of each folder by itself, so that mixing in another one moves no picture between train and val.
        parts = [_with_val(part, settings, faults) for part in parts]
    data = mixed(parts)
    if task == "segmentation" and len(data.classes) > IGNORE:
        raise InputError(f"{settings.path}: {len(data.classes)} classes; masks tell at most {IGNORE} apart")
    return data


def _with_val(data: DataSet[Any], settings: DataSettings, faults: Faults) -> DataSet[Any]:
    try:
        return with_val(data, settings.val_fraction, settings.split_seed)
    except InputError as error:
        faults.add("split-impossible", f"{settings.path}: {error}")
        return replace(data, faults=tuple(faults.found))


def _read(folder: Path, settings: DataSettings, task: str, outlines: bool, faults: Faults) -> DataSet[Any]:
    if not folder.is_dir():
        raise LayoutError(f"{folder}: there is no such data folder")
    if not any(folder.iterdir()):
        raise LayoutError(f"{folder}: the data folder is empty")
    return _masks(folder, settings, faults) if task == "segmentation" else _boxes(folder, settings, outlines, faults)


def _masks(folder: Path, settings: DataSettings, faults: Faults) -> DataSet[Any]:
    if _has_masks(folder):
        return read_mask_folders(folder, classes=settings.classes, ignore_index=settings.ignore_index, faults=faults)
    if settings.classes or settings.ignore_index is not None:
        raise LayoutError(
            f"{folder}: data.classes and data.ignore_index are for folders of masks; here the file names them"
        )
    if is_coco(folder):
        return read_coco_masks(folder, faults=faults)
    raise LayoutError(f"{folder}: no layout of masks that is known here; wanted are {_MASK_LAYOUTS}")


def _has_masks(folder: Path) -> bool:
    try:
        return is_mask_folders(folder)
    except InputError:  # images/ and annotations/ without a picture in it
        if is_coco(folder):
            return False
        raise


def _boxes(folder: Path, settings: DataSettings, outlines: bool, faults: Faults) -> DataSet[Any]:
    if is_coco(folder):
        return read_coco(folder, outlines=outlines, faults=faults)
    if is_yolo(folder):
        return read_yolo(folder, outlines=outlines, faults=faults)
    if is_voc(folder):
        if outlines:
            raise LayoutError(f"{folder}: Pascal VOC has boxes and no outlines; mask_rcnn needs COCO or YOLO polygons")
        return read_voc(folder, one_based=settings.voc_one_based, faults=faults)
    raise LayoutError(f"{folder}: no layout that is known here; wanted are {_BOX_LAYOUTS}")
