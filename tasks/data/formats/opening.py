"""From a setting to a data set: each format is asked whether a folder is its own."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

from backbones import InputError, nearest
from tasks.config import Annotations, DataSettings, attributes_by_name, refuse_unused
from tasks.data.dataset.choosing import choose_classes
from tasks.data.dataset.learnable import report_nothing_to_learn
from tasks.data.dataset.merging import merge, report_partial
from tasks.data.dataset.splits import DataSet, with_split, with_val
from tasks.data.findings import Findings
from tasks.data.folders.tree import LayoutError, Tree
from tasks.data.formats.format import Format
from tasks.data.formats.shapes import labelled_shapes_data, masked_shapes_data, shapes_data
from tasks.data.masks.labels import IGNORE


def open_data(
    settings: DataSettings,
    annotations: Annotations = "boxes",
    *,
    findings: Findings | None = None,
    split_val: bool = True,
) -> DataSet[Any]:
    """Read the data set that the settings name.

    Args:
        annotations: what is to be learnt from.
        findings: takes what is found, and may keep errors.
        split_val: whether a share of train becomes the val split where there is none.

    Raises:
        LayoutError: the folder is missing, empty, of no known layout, or has no such annotations.
        InputError: its content is wrong; or an object has no polygon where they are wanted.
    """
    if settings.are_shapes:
        if settings.also:
            raise LayoutError("data.also: shapes cannot be merged with folders")
        _check_use(settings, annotations, ())
        if annotations == "labels":
            return labelled_shapes_data(settings.count, settings.image_size)
        make = masked_shapes_data if annotations == "masks" else shapes_data
        return make(settings.count, settings.image_size)
    findings = findings or Findings()
    data, formats = _read(settings, annotations, findings, split_val)
    if annotations == "masks" and len(data.classes) > IGNORE:
        raise InputError(f"{settings.path}: {len(data.classes)} classes; masks hold at most {IGNORE}")
    if settings.keep or settings.rename:
        alphabetical = all(one.alphabetical for one in formats)
        data = choose_classes(data, settings.keep, settings.renamed, alphabetical=alphabetical)
    report_nothing_to_learn(data, settings.path, findings)
    return replace(data, findings=tuple(findings.found))


def _read(
    settings: DataSettings, annotations: Annotations, findings: Findings, split_val: bool
) -> tuple[DataSet[Any], list[Format]]:
    trees = [_tree(settings), *(Tree.of(Path(path)) for path in settings.also)]
    for tree in trees:
        tree.check_splits()
    formats = [format_of(trees[0], annotations, settings.format)]
    formats += [format_of(tree, annotations) for tree in trees[1:]]
    _check_use(settings, annotations, formats)
    parts = [one.open(tree, settings, annotations, findings) for one, tree in zip(formats, trees, strict=True)]
    given = settings.given_splits
    has_val = "val" in {split for split, *_ in given} or any("val" in part.splits for part in parts)
    if split_val and not has_val:
        # Of each folder by itself, so that merging in another one moves no image between train and val.
        parts = [_with_val(part, settings, findings) for part in parts]
    if settings.also and annotations != "labels":  # an image of one class is none of the others
        report_partial(parts, (settings.path, *settings.also), settings.keep, settings.renamed, findings)
    data = merge(parts)
    for split, images, places in given:
        tree = Tree.of_parts(Path(images), Path(places), one_split=True)
        part = format_of(tree, annotations, settings.format).open(tree, settings, annotations, findings)
        data = with_split(data, split, part, places)
    return data, formats


def _tree(settings: DataSettings) -> Tree:
    if settings.annotations is None:
        return Tree.of(Path(settings.path))
    images = Path(settings.images or settings.path)
    return Tree.of_parts(images, Path(settings.annotations), one_split=bool(settings.given_splits))


def _with_val(data: DataSet[Any], settings: DataSettings, findings: Findings) -> DataSet[Any]:
    try:
        return with_val(data, settings.val_fraction, settings.split_seed)
    except InputError as error:
        findings.add("split-impossible", f"{settings.path}: {error}")
        return replace(data, findings=tuple(findings.found))


def _check_use(settings: DataSettings, annotations: Annotations, formats: Sequence[Format]) -> None:
    """Raise where a setting is for formats that none of the folders has."""
    owners: dict[str, list[Format]] = {}
    for one in all_formats():
        for name in one.settings if one.gives(annotations) else ():
            owners.setdefault(name, []).append(one)
    found = " and ".join(dict.fromkeys(other.name for other in formats)) or "made on the fly"
    for name, fitting in owners.items():
        if name in type(settings).model_fields and not any(one in formats for one in fitting):
            names = " and ".join(one.name for one in fitting)
            refuse_unused(settings, name, f"is for {names}; {settings.path} is {found}")


def format_of(tree: Tree, annotations: Annotations, key: str | None = None) -> Format:
    """The format that recognises a folder, or the one that was asked for.

    Raises:
        LayoutError: there is none, or it does not hold such annotations.
    """
    folder = tree.folder
    if key is not None:
        return _format_named(key, annotations)
    if not any(tree.files.values()):
        raise LayoutError(f"{folder}: the data folder is empty")
    able = [one for one in all_formats() if one.gives(annotations)]
    for one in able:
        if one.recognise(tree):
            return one
    for other in all_formats():
        # Any folders of images may be class folders: what the wanted formats lack is more likely.
        is_guess = other.annotations == ("labels",) and any(one.near_miss(tree) for one in able)
        if other not in able and not is_guess and other.recognise(tree):
            names = _either([one.name for one in able])
            held = " and ".join(other.annotations)
            raise LayoutError(
                f"{folder}: this is {other.name}, with {held} and no {annotations}; take {names} for them"
            )
    raise LayoutError(f"{folder}: found {tree.counts()}: {_lacking(tree, able, annotations)}")


def _lacking(tree: Tree, able: Sequence[Format], annotations: Annotations) -> str:
    """What would make a folder one of these formats."""
    if reasons := [reason for one in able if (reason := one.near_miss(tree))]:
        return "; ".join(reasons)
    if likely := [one for one in able if any(True for _ in tree.paths(one.suffixes))]:
        layouts = _either([f"{one.layout} ({one.name})" for one in likely])
        return f"no layout of {annotations} that is known here; wanted are {layouts}"
    return f"no annotations that are known here; wanted are {annotations} as {_either([one.name for one in able])}"


def _format_named(key: str, annotations: Annotations) -> Format:
    able = {one.key: one for one in all_formats() if one.gives(annotations)}
    if key not in able:
        raise LayoutError(
            f"data.format: {key!r} is no format of {annotations}{nearest(key, able)} (there are {', '.join(able)})"
        )
    return able[key]


@cache
def all_formats() -> tuple[Format, ...]:
    found: list[Format] = list(attributes_by_name("tasks.data.formats", "FORMAT").values())
    return tuple(sorted(found, key=lambda one: one.precedence))


def _either(names: Sequence[str]) -> str:
    return ", ".join(names[:-1]) + f" or {names[-1]}" if len(names) > 1 else names[0]
