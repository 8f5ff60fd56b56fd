"""What a run starts from: nothing, a backbone's weights, or those of a whole model."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torchvision
from torch import Tensor, nn

from backbones import Backbone, InputError
from backbones.errors import nearest
from backbones.weights import read_state_dict
from tasks.config import PUBLISHED_DETECTORS, BackboneSettings, HeadSettings
from tasks.training.checkpoint import DESCRIPTION, WEIGHTS, checkpoint_folder, read_description

# Those whose norms divide by sqrt(var), not by sqrt(var + eps): torchvision's overwrite_eps.
_WITHOUT_EPS = ("fasterrcnn_resnet50_fpn", "maskrcnn_resnet50_fpn", "retinanet_resnet50_fpn")
_EPS = 1e-5  # of torch's BatchNorm2d
# Layers with a row for every class.
_OF_CLASSES = re.compile(
    r"\b(box_predictor|mask_fcn_logits|classification_head\.cls_logits|segmentation_head|aux_heads)\."
)
_BODIES = ("backbone.body.", "net.backbone.")  # where a detector and a segmenter keep their backbone
_COUNTER = ".num_batches_tracked"


@dataclass(frozen=True)
class Start:
    """Weights to start from that are more than a backbone file.

    Attributes:
        told: what they are.
        state: the tensors of a model, or of a backbone alone.
        whole: whether it is a model's.
        classes: that the model was trained on; None where that is not known.
        mean, std: of the pictures; None for ImageNet's.
    """

    told: str
    state: dict[str, Tensor]
    whole: bool = True
    classes: tuple[str, ...] | None = None
    mean: tuple[float, ...] | None = None
    std: tuple[float, ...] | None = None


def find_start(backbone: BackboneSettings, head: HeadSettings) -> Start | None:
    """What `backbone.weights` names, if it is a run, a torchvision detector's name, or a file of one; None where it is
    something for a backbone.

    A run with another head gives the weights of its backbone alone.

    Raises:
        InputError: there is no such thing, it cannot be read, it is of another backbone, or it is a detector that takes
            another head.
    """
    name = backbone.weights
    if name is None or name == "imagenet":
        return None
    if name in PUBLISHED_DETECTORS:
        return _of_torchvision(name, backbone, head)
    path = Path(name)
    if path.is_dir() or (path.name == WEIGHTS and path.with_name(DESCRIPTION).is_file()):
        return _of_run(checkpoint_folder(path if path.is_dir() else path.parent), backbone, head)
    if path.is_file():
        state = read_state_dict(path)
        if not any(key.startswith(_BODIES[0]) for key in state):
            return None
        exact = path.name in map(_published_file, _WITHOUT_EPS)
        return Start(f"the detector in {path}", _with_eps(state) if exact else state)
    if path.suffix:
        raise InputError(f"{name}: there is no such weights file")
    known = ["imagenet", *PUBLISHED_DETECTORS]
    raise InputError(
        f"weights {name!r}: neither a file, nor a run, nor a name{nearest(name, known)} (names: {', '.join(known)})"
    )


def load_start(model: nn.Module, start: Start, classes: Sequence[str]) -> str:
    """Put a whole model's weights into another, strictly; layers with a row for every class are left as they are where
    the classes differ.

    Returns:
        What was taken.

    Raises:
        InputError: a tensor is missing, left over or of another shape.
    """
    own = model.state_dict()
    state, left = dict(start.state), []
    for key in start.state:
        differs = key in own and own[key].shape != state[key].shape
        if _OF_CLASSES.search(key) and (differs or start.classes not in (None, tuple(classes))):
            left.append(key)
            del state[key]
    try:
        result = model.load_state_dict(state, strict=False)
    except RuntimeError as error:
        reason = str(error).splitlines()[1:2]
        raise InputError(f"{start.told}: does not fit this model: {' '.join(reason).strip()}") from None
    missing = [key for key in result.missing_keys if not key.endswith(_COUNTER) and key not in left]
    for keys, what in ((missing, "lacks"), (result.unexpected_keys, "has, and this model has not,")):
        if keys:
            raise InputError(f"{start.told}: does not fit this model: it {what} {keys[0]} ({len(keys)} tensors)")
    told = f"{start.told}: {len(state)} tensors taken"
    return f"{told}; other classes: {len(left)} start anew ({left[0]}, ...)" if left else told


def load_body(backbone: Backbone, start: Start) -> str:
    """Put a backbone's weights into another, strictly."""
    return f"{start.told}: {backbone.load_checkpoint(start.state, source=start.told)}"


def _of_run(folder: Path, backbone: BackboneSettings, head: HeadSettings) -> Start:
    description = read_description(folder)
    try:
        trained, its_head = BackboneSettings(**description["backbone"]), HeadSettings(**description["head"])
        start = Start(
            told=f"the model in {folder}",
            state=read_state_dict(folder / WEIGHTS),
            classes=tuple(description["classes"]),
            mean=tuple(description["mean"]),
            std=tuple(description["std"]),
        )
    except (KeyError, TypeError) as error:
        raise InputError(f"{folder / DESCRIPTION}: not a description of a model: {error}") from None
    for setting in ("name", "stride_in_1x1", "deformable_stages"):
        if getattr(trained, setting) != getattr(backbone, setting):
            raise InputError(
                f"{folder}: was trained with backbone.{setting} {getattr(trained, setting)}, here it is "
                f"{getattr(backbone, setting)}"
            )
    if its_head.name == head.name:
        if its_head.anchor_scale == head.anchor_scale:
            return start
        return replace(start, told=f"{start.told} (whose anchor_scale is {its_head.anchor_scale})")
    body = next(prefix for prefix in _BODIES if any(key.startswith(prefix) for key in start.state))
    kept = {key.removeprefix(body): value for key, value in start.state.items() if key.startswith(body)}
    return replace(start, told=f"the {trained.name} of the model in {folder}", state=kept, whole=False)


def _of_torchvision(name: str, backbone: BackboneSettings, head: HeadSettings) -> Start:
    kind, v2 = PUBLISHED_DETECTORS[name]
    if (head.name, head.v2, backbone.name) != (kind, v2, "resnet50"):
        flags = f"--head {kind}{' --head.v2' if v2 else ''} --backbone resnet50"
        raise InputError(f"weights {name!r}: torchvision's detector of this name wants {flags}")
    weights = torchvision.models.get_model_weights(name).DEFAULT
    try:
        state = dict(weights.get_state_dict(progress=True, check_hash=True))
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(f"weights {name!r}: could not be downloaded ({reason}); give a file") from error
    return Start(
        told=f"torchvision's {name} ({weights.name})",
        state=_with_eps(state) if name in _WITHOUT_EPS else state,
        classes=tuple(weights.meta["categories"][1:]),
    )


def _published_file(name: str) -> str:
    return str(torchvision.models.get_model_weights(name).DEFAULT.url.rsplit("/", 1)[-1])


def _with_eps(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """With variances that are right for norms that add eps to them."""
    return {
        key: (value.double() - _EPS).to(value.dtype) if key.endswith("running_var") else value
        for key, value in state.items()
    }
