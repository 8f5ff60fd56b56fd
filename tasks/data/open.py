"""From a setting to a data set: which reader a folder needs."""

from pathlib import Path
from typing import Any

from backbones.errors import InputError
from tasks.config import SHAPES, DataSettings
from tasks.data.coco import is_coco, read_coco
from tasks.data.mask_folders import is_mask_folders, read_mask_folders
from tasks.data.samples import DataSet
from tasks.data.shapes import masked_shapes_data, shapes_data
from tasks.data.voc import is_voc, read_voc


def open_data(settings: DataSettings, task: str = "detection") -> DataSet[Any]:
    """Read the data set that the settings name, with what the task learns from: boxes or masks.

    Raises:
        InputError: the folder is missing, empty or of no known layout, or its content is wrong.
    """
    if settings.path == SHAPES:
        make = shapes_data if task == "detection" else masked_shapes_data
        return make(settings.count, settings.image_size)
    folder = Path(settings.path)
    if not folder.is_dir():
        raise InputError(f"{folder}: there is no such data folder")
    if not any(folder.iterdir()):
        raise InputError(f"{folder}: the data folder is empty")
    if task == "segmentation":
        if is_mask_folders(folder):
            return read_mask_folders(folder)
        raise InputError(
            f"{folder}: no layout of masks that is known here; wanted are train/images and train/masks, images/train "
            "and masks/train, train and trainannot (CamVid), or JPEGImages, SegmentationClass and "
            "ImageSets/Segmentation (VOC)"
        )
    if is_coco(folder):
        return read_coco(folder)
    if is_voc(folder):
        return read_voc(folder, one_based=settings.voc_one_based)
    raise InputError(
        f"{folder}: no layout that is known here; wanted are annotations/instances_train*.json (COCO) "
        "or Annotations/, JPEGImages/ and ImageSets/Main/ (Pascal VOC)"
    )
