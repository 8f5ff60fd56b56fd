"""Augmentations: pipelines of albumentations in YAML, by name or from a file."""

import inspect
import os
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")  # it looks for a newer release when imported

import albumentations as A
import cv2
from albumentations.augmentations.dropout.transforms import BaseDropout

from backbones import InputError, nearest

# Plain INTER_NEAREST moves masks by half a pixel of the result: away from their images where these are enlarged.
MASK_INTERPOLATION = cv2.INTER_NEAREST_EXACT
_FOLDER = Path(__file__).with_name("augmentations")
_GROUPS = ("OneOf", "Sequential")
_KEEP_LABELS = (cv2.INTER_NEAREST, MASK_INTERPOLATION)


class _Fill(NamedTuple):
    """Of masks; see `load_augmentation`."""

    outside: int
    hidden: int | None


def list_augmentations() -> list[str]:
    return sorted(path.stem for path in _FOLDER.glob("*.yaml"))


def load_augmentation(name: str, side: int, outside: int = 0, hidden: int | None = None) -> list[A.BasicTransform]:
    """The transforms of an augmentation.

    Args:
        name: one of `list_augmentations`, or a YAML file: a list of `Transform: {argument: value}` in albumentations'
            names; `OneOf` and `Sequential` hold such a list and perhaps p.
        side: what `side` means in it, in pixels.
        outside: what a mask is filled with where no image is.
        hidden: and where a hole hides the image (CoarseDropout, GridDropout, ...); None: it stays.

    Raises:
        InputError: there is no such augmentation, transform or argument.
    """
    path = _FOLDER / f"{name}.yaml"
    if not path.is_file():
        path = Path(name)
        if path.suffix not in (".yaml", ".yml") or not path.is_file():
            known = list_augmentations()
            raise InputError(
                f"data.augment: {name!r} is neither an augmentation{nearest(name, known)} (known: {', '.join(known)}) "
                "nor a YAML file of one"
            )
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise InputError(f"{path}: not readable YAML: {' '.join(str(error).split())}") from None
    return _build(content, {"side": side}, _Fill(outside, hidden), path)


def _build(steps: Any, words: dict[str, int], fill: _Fill, path: Path) -> list[Any]:
    if not isinstance(steps, list):
        raise InputError(f"{path}: wanted is a list of 'Transform: {{argument: value}}'")
    return [_step(step, words, fill, path) for step in steps]


def _step(step: Any, words: dict[str, int], fill: _Fill, path: Path) -> Any:
    if not isinstance(step, dict) or not step:
        raise InputError(f"{path}: {step!r} is no 'Transform: {{argument: value}}'")
    (name, arguments), *more = step.items()
    if name in _GROUPS:
        inner = _build(arguments, words, fill, path)
        return _made(getattr(A, name), {**dict(more), "transforms": inner}, str(name), path)
    kind = getattr(A, str(name), None)
    if more or not (isinstance(kind, type) and issubclass(kind, A.BasicTransform)):
        raise InputError(f"{path}: albumentations has no transform {name!r}{nearest(str(name), _transforms())}")
    if not isinstance(arguments or {}, dict):
        raise InputError(f"{path}: {name}: {arguments!r} is no {{argument: value}}, such as {{p: 0.5}}")
    given = {key: _filled(value, words) for key, value in (arguments or {}).items()}
    if kind.__module__.endswith(".resize"):
        given.setdefault("mask_interpolation", MASK_INTERPOLATION)
    if "fill_mask" in inspect.signature(kind).parameters:
        given.setdefault("fill_mask", fill.hidden if issubclass(kind, BaseDropout) else fill.outside)
    if given.get("mask_interpolation", MASK_INTERPOLATION) not in _KEEP_LABELS:
        raise InputError(
            f"{path}: {name}: mask_interpolation {given['mask_interpolation']} mixes labels into others; leave it out"
        )
    return _made(kind, given, str(name), path)


def _made(kind: Any, given: dict[str, Any], name: str, path: Path) -> Any:
    probability = given.get("p", 1.0)
    if isinstance(probability, bool) or not isinstance(probability, int | float) or not 0 <= probability <= 1:
        raise InputError(f"{path}: {name}: p is {probability!r}, not a probability from 0 to 1")
    try:
        with strictly():
            return kind(**given)
    except (TypeError, ValueError, UserWarning) as error:  # albumentations only warns of an argument it does not know
        raise InputError(f"{path}: {name}: {' '.join(str(error).split())}") from None


@cache
def _transforms() -> list[str]:
    return [name for name, kind in vars(A).items() if isinstance(kind, type) and issubclass(kind, A.BasicTransform)]


def _filled(value: Any, words: dict[str, int]) -> Any:
    if isinstance(value, list):
        return tuple(_filled(item, words) for item in value)
    return words.get(value, value) if isinstance(value, str) else value


@contextmanager
def strictly() -> Iterator[None]:
    """albumentations only warns of an argument that it does not know, and goes on without it: here it raises."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield
