"""What to train on: for every task, and what one task adds."""

import math
from typing import Annotated, ClassVar, Literal, Self

import tyro
from pydantic import Field, field_validator, model_validator

from tasks.config.group import Group, SettingsError, UserText, refuse_unused

SHAPES = "shapes"
Share = Annotated[float, Field(gt=0, le=1)]
DATA_HELP = (
    "`shapes` (images made on the fly), or a folder, recognised by its layout: Pascal VOC, COCO, YOLO, masks, class "
    "folders."
)


class DataSettings(Group):
    """What to train on."""

    path_prefix = "data."
    # What decides how a training goes through the images; reading and looking at them needs none of it.
    of_training: ClassVar[tuple[str, ...]] = ("sampling", "repeat_threshold", "batch_size", "workers")

    # What says where the data lies.
    of_place: ClassVar[tuple[str, ...]] = ("path", "images", "annotations", "format", "val_images", "val_annotations")
    of_place += ("test_images", "test_annotations", "also")

    path: Annotated[UserText, tyro.conf.arg(aliases=["--data"], help=DATA_HELP)] = SHAPES
    images: UserText | None = None
    """The folder of the images, where the layout cannot be guessed. None: data.path."""
    annotations: UserText | None = None
    """The folder or the file of their annotations, or masks."""
    format: str | None = None
    """What these are: coco, voc, yolo, masks, labelme, cvat and so on. None: it is recognised."""
    val_images: UserText | None = None
    """The same of the val split."""
    val_annotations: UserText | None = None
    """The same of the val split."""
    test_images: UserText | None = None
    """The same of the test split."""
    test_annotations: UserText | None = None
    """The same of the test split."""
    also: tuple[UserText, ...] = ()
    """More folders, of any known layout, merged with path's under one class map."""
    allow_outside: bool = False
    """Take images that annotation files name by paths which lead out of the data folder."""
    keep: tuple[str, ...] = ()
    """Classes to learn; objects of others are none, pixels of others are ignored. None named: all."""
    rename: str = ""
    """New names of classes, "a=b,c=b": those that come to share a name are one."""
    sampling: Literal["each", "repeat", "weighted"] = "each"
    """`each` image once an epoch; `repeat` images of rare classes (LVIS's repeat factors); `weighted`: as many as
    there are, chosen so that rare classes come more nearly as often as frequent ones."""
    repeat_threshold: float = Field(0.1, gt=0, le=1)
    """With `repeat`: classes on less than this share of the images are repeated. LVIS, with 100,000, has 0.001."""
    image_size: Annotated[int, tyro.conf.arg(aliases=["--image-size"])] = Field(320, ge=32)
    """The side of the images in pixels."""
    intensity: str = "auto"
    """How images of more than 8 bits become 8: full (the range of their type), percentile (each between its outer
    ones), LOW,HIGH, or auto, which finds such a range in train and keeps it with the model."""
    batch_size: Annotated[int, tyro.conf.arg(aliases=["--batch-size"])] = Field(4, ge=1)
    """Images a step, of all processes together."""
    workers: int | None = Field(None, ge=0)
    """Processes that read images; any number gives the same run. None: one where a CPU trains; where a GPU does, one
    for each core but one, at most 8."""
    augment: UserText = "light"
    """none, light (mirrors), flips (upside down as well), strong (colours, blur, scale), shift (by 4 px, for
    images of 32); or a YAML file of albumentations transforms."""
    val_fraction: float = Field(0.2, gt=0, lt=1)
    """The share of train that becomes val where the folder has none."""
    split_seed: int = Field(0, ge=0)
    """Which images those are."""
    count: int = Field(700, ge=1)
    """How many images of shapes to train on; a tenth as many validate."""

    @field_validator("intensity")
    @classmethod
    def _check_intensity(cls, value: str) -> str:
        if value in ("auto", "full", "percentile"):
            return value
        try:
            low, high = map(float, value.split(","))
        except ValueError:
            low, high = 0.0, 0.0
        if not -math.inf < low < high < math.inf:
            raise SettingsError(f"data.intensity: {value!r} is neither auto, full, percentile nor LOW,HIGH")
        return value

    @property
    def are_shapes(self) -> bool:
        """Whether it is the built-in images."""
        return self.path == SHAPES and self.annotations is None

    @property
    def given_splits(self) -> list[tuple[str, str, str]]:
        """(split, images, annotations) of those whose places are given."""
        places = (("val", self.val_images, self.val_annotations), ("test", self.test_images, self.test_annotations))
        return [(split, images, annotations) for split, images, annotations in places if images and annotations]

    @model_validator(mode="after")
    def _check_places(self) -> Self:
        for split in ("", "val_", "test_"):
            images, annotations = (getattr(self, f"{split}{name}") for name in ("images", "annotations"))
            if images and not annotations:
                raise SettingsError(f"data.{split}images: give data.{split}annotations too")
            if split and annotations and not images:
                raise SettingsError(f"data.{split}annotations: give data.{split}images too")
            if split and annotations and not self.annotations and self.path == SHAPES:
                raise SettingsError(f"data.{split}annotations: give data.annotations too, or data.path")
        if self.annotations and not self.images and self.path == SHAPES:
            raise SettingsError("data.annotations: give data.images too, or data.path")
        if self.path == SHAPES and not self.annotations:
            refuse_unused(self, "format", "is of folders; these are the built-in shapes")
        return self

    @property
    def renamed(self) -> dict[str, str]:
        """New names by old."""
        return dict(pair.split("=") for pair in self.rename.split(",") if pair)

    @model_validator(mode="after")
    def _check_rename(self) -> Self:
        for pair in self.rename.split(",") if self.rename else ():
            old, _, new = pair.partition("=")
            if not old or not new or "=" in new:
                raise SettingsError(f"data.rename: {pair!r}: wanted is old=new, and commas between several")
        return self

    @model_validator(mode="after")
    def _check_use(self) -> Self:
        if self.sampling != "repeat":
            refuse_unused(self, "repeat_threshold", f"is of data.sampling repeat; here it is {self.sampling}")
        if self.are_shapes:
            for name in ("val_fraction", "split_seed"):
                refuse_unused(self, name, "is of folders; the built-in shapes have a val split")
            for name in ("keep", "rename", "allow_outside"):
                refuse_unused(self, name, "is of folders; the built-in shapes have the classes that they have")
        else:
            refuse_unused(self, "count", f"is of the built-in shapes; here data is {self.images or self.path}")
        return self


class DetectionData(DataSettings):
    """What to train on."""

    image_size: Annotated[int, tyro.conf.arg(aliases=["--image-size"])] = Field(320, ge=32)
    """The short side of the images in pixels; the long side has at most 1.5 times that."""
    augment: UserText = "light"
    """none, light (mirrors), flips (upside down as well), strong (colours, blur, scale), jitter (large-scale), mosaic;
    or a YAML file of albumentations transforms."""
    voc_one_based: bool = False
    """Pascal VOC coordinates count from 1, as in the original challenge; labelImg's count from 0."""


class SegmentationData(DataSettings):
    """What to train on."""

    image_size: Annotated[int, tyro.conf.arg(aliases=["--image-size"])] = Field(320, ge=32)
    """The side of the square crops in pixels."""
    fit: Literal["crop", "resize"] = "crop"
    """`crop` leaves images at their scale, `resize` scales their short side to image_size first."""
    balanced_crops: bool = False
    """Centre crops on the classes in turn, so that rare ones are seen."""
    classes: tuple[str, ...] = ()
    """Folders of masks: the names of the values 0, 1, ... Without: those of classes.txt, or the values found."""
    ignore_index: int | None = Field(None, ge=0, le=65535)
    """Folders of masks: a value that counts nowhere, besides 255."""
    mask_threshold: int | None = Field(None, ge=1, le=255)
    """Folders of masks: grey levels from here on are class 1, all others 0; for soft edges and JPEG's noise."""


class ClassificationData(DataSettings):
    """What to train on."""

    image_size: Annotated[int, tyro.conf.arg(aliases=["--image-size"])] = Field(224, ge=16)
    """The side of the square images in pixels."""
    fit: Literal["crop", "resize"] = "crop"
    """`crop`: in training a random part of the image, in evaluation its middle (torchvision's recipe). `resize`: the
    whole image, whatever its proportions; for images that are small or square."""
    crop_scale: tuple[Share, Share] = (0.08, 1.0)
    """With `crop`: the least and the largest share of the image's area that a random part has."""
    crop_ratio: float = Field(0.875, gt=0, le=1)
    """With `crop`: the side of the middle over the short side; 0.875 is 224 of 256 pixels."""
    classes: tuple[str, ...] = ()
    """idx files and CIFAR: the names of the labels 0, 1, ... Without: those of classes.txt, or the labels found."""

    @model_validator(mode="after")
    def _check_crop(self) -> Self:
        if self.fit != "crop":
            for name in ("crop_scale", "crop_ratio"):
                refuse_unused(self, name, "is of data.fit crop; here images are resized")
        if self.crop_scale[0] > self.crop_scale[1]:
            raise SettingsError(f"data.crop_scale: {self.crop_scale}: the least share is above the largest")
        return self
