"""The weights that a run begins with: none, a backbone's, or those of a whole model."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torchvision
from torch import Tensor

from backbones import InputError, load_weights, nearest, read_state_dict, stem_statistics
from tasks.classification import IMAGENET_CLASSES, are_imagenet
from tasks.config import BackboneSettings, DetectorSettings, HeadSettings, SettingsError
from tasks.heads import find_head, published_detectors
from tasks.task import Task
from tasks.training import DESCRIPTION, WEIGHTS, checkpoint_folder, read_description

_EPS = 1e-5  # of torch's BatchNorm2d
_PUBLISHED_BACKBONE = "resnet50"
_COUNTER = ".num_batches_tracked"
_STATISTICS = ("running_mean", "running_var", "num_batches_tracked")
# Settings of the backbone that decide what its tensors are, or mean.
_ARCHITECTURE = ("name", "stride_in_1x1", "deformable_stages")


@dataclass(frozen=True)
class InitialWeights:
    """Tensors of more than a backbone's file.

    Attributes:
        source: what they are, for messages.
        state: the tensors of a model, or of a backbone alone.
        whole: whether they are a model's.
        classes: that the model was trained on; None where that is not known.
        mean, std: of the images; None for the backbone's own.
    """

    source: str
    state: dict[str, Tensor]
    whole: bool = True
    classes: tuple[str, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


def find_initial_weights(backbone: BackboneSettings, head: HeadSettings) -> InitialWeights | None:
    """What `backbone.weights` names, if it is a run, a torchvision detector's name, or a file of one; None where it is
    something for a backbone, or nothing.

    A run with another head gives the weights of its backbone alone.

    Raises:
        InputError: there is no such thing, it cannot be read, it is of another backbone, or it is a detector that takes
            another head.
    """
    name = backbone.weights
    if name is None or name == "imagenet":
        return None
    if name in published_detectors():
        return _of_torchvision(name, backbone, head)
    path = Path(name)
    if path.is_dir() or (path.name == WEIGHTS and path.with_name(DESCRIPTION).is_file()):
        return _of_run(checkpoint_folder(path if path.is_dir() else path.parent), backbone, head)
    if path.is_file():
        state = read_state_dict(path)
        if not any(key.startswith(DetectorSettings.backbone_prefix) for key in state):
            return None
        zero_eps = path.name in [_published_file(name) for name in published_detectors() if _has_zero_eps(name)]
        return InitialWeights(f"the detector in {path}", _with_eps(state) if zero_eps else state)
    if path.suffix:
        raise InputError(f"{name}: there is no such weights file")
    known = ["imagenet", *published_detectors()]
    raise InputError(
        f"weights {name!r}: neither a file, nor a run, nor a name{nearest(name, known)} (names: {', '.join(known)})"
    )


def load_initial_weights(
    task: Task, backbone: BackboneSettings, head: HeadSettings, found: InitialWeights | None
) -> str:
    """Put the weights that the settings name into a task's model.

    Args:
        found: by `find_initial_weights`.

    Returns:
        A line about what was taken.

    Raises:
        InputError: they do not fit.
    """
    if backbone.weights is None and found is None:
        return "no pretrained weights, training from scratch"
    if found is None:
        state = load_weights(task.backbone, backbone.name, backbone.weights or "")
        line = f"the backbone in {backbone.weights}: {task.backbone.load_report}"
        return line if task.name != "classification" else f"{line}; {_load_classifier(task, head, state)}"
    channels = len(task.backbone.mean)
    if found.mean is not None and found.std is not None:
        task.backbone.mean, task.backbone.std = (
            values if len(values) == channels else stem_statistics(values, channels)
            for values in (found.mean, found.std)
        )
    if found.whole:
        return _load_model(task, found, head)
    return f"{found.source}: {task.backbone.load_checkpoint(found.state, source=found.source)}"


def _load_classifier(task: Task, head: HeadSettings, state: Mapping[str, Tensor]) -> str:
    """The published classifier of a backbone, where the classes are its own; a line about it."""
    found = task.backbone.classifier(state)
    if found is None:
        return "the classifier starts anew: there is none on the mean of the coarsest level"
    count = len(found[1])
    if count != len(task.classes) or (count == len(IMAGENET_CLASSES) and not are_imagenet(task.classes)):
        return f"the classifier starts anew: theirs is of {count} other classes"
    (prefix,) = head.class_layers
    tensors = {f"{prefix}{name}": tensor for name, tensor in zip(("weight", "bias"), found, strict=True)}
    result = task.model.load_state_dict(tensors, strict=False)
    assert not result.unexpected_keys, result.unexpected_keys
    if count == len(IMAGENET_CLASSES):
        return f"their classifier of {count} classes is taken"
    return f"their classifier is taken, for {', '.join(task.classes)} in this order, which the file does not say"


def _load_model(task: Task, weights: InitialWeights, head: HeadSettings) -> str:
    """Strictly; but layers with a row for every class stay as they are where the classes differ, and the first kernel
    is adapted to the channels of the images."""
    model, classes, own = task.model, task.classes, task.model.state_dict()
    state, left = dict(weights.state), []
    prefix = head.backbone_prefix
    inner = {key.removeprefix(prefix): value for key, value in state.items() if key.startswith(prefix)}
    tensors, report = task.backbone.match_checkpoint(inner, source=weights.source, min_matched=0.0)
    state |= {f"{prefix}{key}": tensors[key] for key in report.adapted}
    for key in [key for key in state if _is_kept_no_more(key, own)]:
        del state[key]
    for key in list(state):
        differs = key in own and own[key].shape != state[key].shape
        if key.startswith(head.class_layers) and (differs or weights.classes not in (None, tuple(classes))):
            left.append(key)
            del state[key]
    try:
        result = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        reason = str(error).splitlines()[1:2]
        raise InputError(f"{weights.source}: does not fit this model: {' '.join(reason).strip()}") from None
    missing = [key for key in result.missing_keys if not key.endswith(_COUNTER) and key not in left]
    for keys, what in ((missing, "lacks"), (result.unexpected_keys, "has, and this model has not,")):
        if keys:
            raise InputError(f"{weights.source}: does not fit this model: it {what} {keys[0]} ({len(keys)} tensors)")
    line = f"{weights.source}: {len(state)} tensors taken"
    return f"{line}; other classes: {len(left)} start anew ({left[0]}, ...)" if left else line


def _is_kept_no_more(key: str, own: Mapping[str, Tensor]) -> bool:
    """Whether it is a statistic of a norm that is another now, without statistics."""
    norm, _, name = key.rpartition(".")
    return key not in own and name in _STATISTICS and f"{norm}.weight" in own


def _of_run(folder: Path, backbone: BackboneSettings, head: HeadSettings) -> InitialWeights:
    description = read_description(folder)
    try:
        trained, its_head = BackboneSettings(**description["backbone"]), description["head"]
        weights = InitialWeights(
            source=f"the model in {folder}",
            state=read_state_dict(folder / WEIGHTS),
            classes=tuple(description["classes"]),
            mean=tuple(description["mean"]),
            std=tuple(description["std"]),
        )
        name, anchor_scale = its_head["name"], its_head.get("anchor_scale")
        prefix = find_head(name, description["task"]).backbone_prefix
    except (KeyError, TypeError, AttributeError, SettingsError) as error:
        raise InputError(f"{folder / DESCRIPTION}: not a description of a model: {error}") from None
    for setting in _ARCHITECTURE:
        if getattr(trained, setting) != getattr(backbone, setting):
            raise InputError(
                f"{folder}: was trained with backbone.{setting} {getattr(trained, setting)}, here it is "
                f"{getattr(backbone, setting)}"
            )
    if name == head.name:
        if anchor_scale == getattr(head, "anchor_scale", None):
            return weights
        return replace(weights, source=f"{weights.source} (whose anchor_scale is {anchor_scale})")
    state = {key.removeprefix(prefix): value for key, value in weights.state.items() if key.startswith(prefix)}
    return replace(weights, source=f"the {trained.name} of the model in {folder}", state=state, whole=False)


def _of_torchvision(name: str, backbone: BackboneSettings, head: HeadSettings) -> InitialWeights:
    _check_architecture(name, backbone, head)
    weights = torchvision.models.get_model_weights(name).DEFAULT
    try:
        state = dict(weights.get_state_dict(progress=True, check_hash=True))
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"weights {name!r}: could not be downloaded ({reason}); give a file") from error
    return InitialWeights(
        source=f"torchvision's {name} ({weights.name})",
        state=_with_eps(state) if _has_zero_eps(name) else state,
        classes=tuple(weights.meta["categories"][1:]),
    )


def _check_architecture(name: str, backbone: BackboneSettings, head: HeadSettings) -> None:
    kind = published_detectors()[name]
    wanted = kind(**kind.published[name].settings)
    settings = {key for other in kind.published.values() for key in other.settings}
    fits = head.name == wanted.name and all(getattr(head, key) == getattr(wanted, key) for key in settings)
    if not fits or backbone.name != _PUBLISHED_BACKBONE:
        flags = [f"--head {wanted.name}", *(f"--head.{key}" for key in kind.published[name].settings)]
        raise InputError(
            f"weights {name!r}: torchvision's detector of this name wants {' '.join(flags)} "
            f"--backbone {_PUBLISHED_BACKBONE}"
        )


def _has_zero_eps(name: str) -> bool:
    return published_detectors()[name].published[name].zero_eps


def _published_file(name: str) -> str:
    return str(torchvision.models.get_model_weights(name).DEFAULT.url.rsplit("/", 1)[-1])


def _with_eps(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """With variances that are right for norms that add eps to them."""
    return {
        key: (value.double() - _EPS).to(value.dtype) if key.endswith("running_var") else value
        for key, value in state.items()
    }
