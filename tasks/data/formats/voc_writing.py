"""A data set as Pascal VOC: Annotations/, JPEGImages/ and ImageSets/Main/."""

import xml.etree.ElementTree as ElementTree
from pathlib import Path, PurePosixPath
from typing import Any

from tasks.data.dataset.splits import DataSet
from tasks.data.folders.writing import Lost, free_name, image_name, put_image, rings


def write_voc(data: DataSet[Any], folder: Path, lost: Lost) -> None:
    """Boxes alone; classes come in alphabetical order when it is read, and those without an object in train do not."""
    for place in ("Annotations", "JPEGImages", "ImageSets/Main"):
        (folder / place).mkdir(parents=True)
    taken: set[PurePosixPath] = set()  # one folder for all
    for split, samples in data.splits.items():
        listed = []
        for sample in samples:
            name = free_name(PurePosixPath(PurePosixPath(image_name(sample)).name), taken)
            listed.append(f"{name.stem}\n")
            put_image(sample, folder / "JPEGImages" / name)
            tree = ElementTree.ElementTree(_annotation(sample, data.classes, name.name, lost))
            ElementTree.indent(tree)
            tree.write(folder / "Annotations" / f"{name.stem}.xml", encoding="utf-8")
        (folder / "ImageSets/Main" / f"{split}.txt").write_text("".join(listed), encoding="utf-8")
    lost.add("classes that train has nothing of", len(data.classes_without_objects()))
    if list(data.classes) != sorted(data.classes):
        lost.add("classes, whose order becomes that of the alphabet", len(data.classes))


def _annotation(sample: Any, classes: tuple[str, ...], file: str, lost: Lost) -> ElementTree.Element:
    root = ElementTree.Element("annotation")
    ElementTree.SubElement(root, "filename").text = file
    size = ElementTree.SubElement(root, "size")
    for name, value in zip(("width", "height", "depth"), (*sample.size, 3), strict=True):
        ElementTree.SubElement(size, name).text = str(value)
    for number, (box, label) in enumerate(zip(sample.boxes.tolist(), sample.labels.tolist(), strict=True)):
        if sample.crowd[number]:
            lost.add("crowd regions")
            continue
        if sample.segmentations and rings(sample.segmentations[number]) != []:
            lost.add("polygons and masks, of which the boxes are left")
        item = ElementTree.SubElement(root, "object")
        ElementTree.SubElement(item, "name").text = classes[label]
        corners = ElementTree.SubElement(item, "bndbox")
        for name, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True):
            ElementTree.SubElement(corners, name).text = f"{value:g}" if value == round(value) else repr(value)
    return root
