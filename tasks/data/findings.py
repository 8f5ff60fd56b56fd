"""What can be found in a data set. A training stops at the first error; the doctor goes on and keeps them all."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from backbones import InputError

# error: training would fail. dropped: training goes on without it. warning: training goes on with it.
Level = Literal["error", "dropped", "warning", "note"]
LEVELS: tuple[Level, ...] = ("error", "dropped", "warning", "note")


@dataclass(frozen=True)
class Check:
    """A kind of finding.

    Attributes:
        level: what becomes of it.
        what: what is found, as a heading says it.
        cure: what to do.
    """

    level: Level
    what: str
    cure: str


CHECKS: dict[str, Check] = {
    "image-missing": Check("error", "missing images", "restore them or remove their annotations"),
    "image-unreadable": Check("error", "unreadable images", "replace them or remove their annotations"),
    "image-truncated": Check("error", "images cut short", "copy them again"),
    "image-size": Check("error", "images of another size than annotated", "annotate the images as they are"),
    "image-unclear": Check("error", "names of several images, or of none", "keep one image of a name"),
    "image-outside": Check("error", "images outside the data folder", "copy them into it, or --data.allow-outside"),
    "image-channels": Check("error", "images of other channels than the backbone takes", "--backbone.in-channels"),
    "image-listed-twice": Check("error", "images listed twice", "keep one entry of each"),
    "annotation-unreadable": Check("error", "unreadable annotations", "correct or remove them"),
    "data-unusable": Check("error", "what keeps the data set from being read", "see what it says"),
    "class-empty": Check("error", "class folders without an image to train on", "fill or remove them"),
    "split-impossible": Check("error", "no val split, and train too small to give one", "add images, or a val split"),
    "annotation-orphan": Check("error", "annotations of images that are not listed", "list the images, or --fix"),
    "class-unknown": Check("error", "objects of a class that train lacks", "correct the name, or label it in train"),
    "class-twice": Check("error", "classes that share an id or a name", "give each its own"),
    "box-not-a-number": Check("error", "boxes with coordinates that are no numbers", "correct or remove them"),
    "polygon-broken": Check("error", "polygons and run lengths that are broken", "correct or remove them"),
    "mask-missing": Check("error", "missing masks", "restore them or remove their images"),
    "mask-unreadable": Check("error", "unreadable masks", "replace them"),
    "mask-size": Check("error", "masks of another size than their images", "make the masks again"),
    "mask-stray": Check("error", "masks with values that are no class", "correct the masks, or name the class"),
    "box-no-area": Check("dropped", "boxes without area", "remove them, or --fix"),
    "image-unlabelled": Check(
        "dropped", "images in no class of a split", "move them into their class's folder in train, val or test"
    ),
    "shape-unlabelled": Check("dropped", "shapes without a label", "label or remove them"),
    "shape-no-area": Check("dropped", "shapes that enclose nothing: points and lines", "draw boxes or polygons"),
    "box-outside": Check("dropped", "boxes outside their images", "correct them, or --fix removes them"),
    "box-clipped": Check("warning", "boxes that reach outside their images", "training clips them"),
    "box-twice": Check("warning", "objects annotated twice", "remove one of each, or --fix"),
    "box-two-classes": Check("warning", "boxes with two classes", "keep the right one"),
    "box-whole-image": Check("warning", "boxes around the whole image", "is it one object? otherwise remove them"),
    "box-tiny": Check("warning", "images with objects too small to be found", "a larger --image-size"),
    "objects-many": Check(
        "warning", "images with more objects than are detected", "a larger --head.detections-per-image"
    ),
    "area-odd": Check("warning", "objects whose area does not fit their box", "AP by size will be wrong: correct it"),
    "polygon-missing": Check("error", "objects without a polygon", "annotate them, or take a head for boxes"),
    "polygon-off-box": Check("warning", "polygons that are not in their boxes", "make the boxes again from them"),
    "annotation-id-twice": Check("warning", "annotation ids used twice", "other tools lose objects: --fix"),
    "annotation-id-zero": Check("warning", "annotations with the id 0", "pycocotools never matches them: --fix"),
    "image-leaked": Check("warning", "the same image in two splits", "val and test must not have been trained on"),
    "image-twice": Check("warning", "the same image twice in a split", "remove one of them"),
    "image-two-classes": Check("warning", "the same image in two classes", "keep it in the right one"),
    "split-missing": Check("warning", "splits that are named and are not there", "name them as they are"),
    "class-none": Check("error", "nothing to learn in train", "label some objects"),
    "split-without-objects": Check("warning", "splits with nothing to evaluate with", "label some objects of them"),
    "class-unused": Check("warning", "classes without objects", "remove them from the list, or label some"),
    "class-not-in-train": Check("warning", "classes that train has nothing of", "they cannot be learnt"),
    "class-partial": Check("warning", "folders that lack a class of another", "label it there, or leave it out"),
    "class-names-alike": Check("warning", "classes with nearly the same name", "make them one, if they are"),
    "mask-lossy": Check("warning", "masks saved as JPEG", "compression invents values: save them as PNG"),
    "mask-ignored": Check("warning", "masks in which everything is ignored", "nothing is learnt from them"),
    "class-not-in-split": Check("note", "classes that val or test has nothing of", "they are not evaluated there"),
    "class-rare": Check("note", "classes with few objects to train on", "label more"),
    "class-balance": Check("note", "classes far more frequent than others", "weigh or sample the rare ones more often"),
    "image-empty": Check("note", "images without objects", "they train as background"),
    "annotated-again": Check("warning", "images annotated several times", "keep one annotation of each"),
    "image-unlisted": Check("note", "images in the folders that no split lists", "they are not used"),
    "label-unlisted": Check("note", "annotations that belong to no image", "they are not used"),
    "image-turned": Check("note", "images turned by their EXIF orientation", "they are read upright"),
    "image-grey": Check("note", "grey images among coloured ones", "they become three equal channels"),
    "image-palette": Check("note", "images with a palette", "their colours are looked up"),
    "image-alpha": Check("note", "images with an alpha channel", "it is dropped"),
    "image-deep": Check("note", "images of more than 8 bits", "--data.intensity says how they become 8"),
    "image-cmyk": Check("note", "images in CMYK", "their colours are converted roughly"),
    "crowd": Check("note", "images with crowd regions", "they are ignored, neither objects nor background"),
    "mask-one-class": Check("note", "masks of one class alone", "nothing, if they are right"),
}


@dataclass(frozen=True)
class Place:
    """Where an object is written.

    Attributes:
        text: as messages call it.
        file: the annotation file, where it can be corrected.
        position: of the object in it, from 0; a line in text files.
    """

    text: str
    file: Path | None = None
    position: int = 0


@dataclass(frozen=True)
class Finding:
    """Something found.

    Attributes:
        check: a key of `CHECKS`.
        message: one line that names the file.
        image: the image that it is about, if it is one.
        box: x_min, y_min, x_max, y_max in its pixels.
        place: of the object that it is about.
    """

    check: str
    message: str
    image: Path | None = None
    box: tuple[float, ...] | None = None
    place: Place | None = None

    @property
    def level(self) -> Level:
        return CHECKS[self.check].level


class DataError(InputError):
    """A finding that ends a training."""

    def __init__(self, finding: Finding) -> None:
        super().__init__(finding)  # its argument: worker processes send it pickled
        self.finding = finding

    def __str__(self) -> str:
        return self.finding.message


class Findings:
    """What was found so far.

    Args:
        going_on: keep errors too, instead of raising them.
    """

    def __init__(self, going_on: bool = False) -> None:
        self.going_on = going_on
        self.found: list[Finding] = []

    def add(self, check: str, message: str, **details: Any) -> None:
        """Args:
            details: of the `Finding`.

        Raises:
            DataError: it is an error, and a training is reading.
        """
        finding = Finding(check, message, **details)
        if finding.level == "error" and not self.going_on:
            raise DataError(finding)
        self.found.append(finding)

    @property
    def left_out(self) -> str:
        """What has been left out so far, for a message; empty where nothing has."""
        dropped = [finding.message for finding in self.found if finding.level == "dropped"]
        return f" ({len(dropped)} were left out, the first: {dropped[0]})" if dropped else ""

    @contextmanager
    def skipping(self) -> Iterator[None]:
        """Leave the block at an error in it: for good in a training, otherwise with the error kept."""
        try:
            yield
        except DataError as error:
            if not self.going_on:
                raise
            self.found.append(error.finding)
