"""The published ImageNet checkpoints, by a backbone's name: torchvision's, else timm's."""

from dataclasses import dataclass

import torchvision
from torch import Tensor

from backbones.errors import InputError

IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)

# The gated networks start as the plain ones.
_SAME_WEIGHTS = {"dyresnet18": "resnet18", "dyresnet50": "resnet50"}


@dataclass(frozen=True)
class HubWeights:
    """A checkpoint's tensors, and what it expects of the images."""

    state: dict[str, Tensor]
    mean: tuple[float, ...]
    std: tuple[float, ...]


def hub_weights(name: str) -> HubWeights:
    """The best ImageNet checkpoint of this name, downloaded with a progress bar or taken from the hub's cache.

    Args:
        name: a registered backbone, or "timm/<model>" for timm's own.

    Raises:
        InputError: none was published, or it cannot be downloaded.
    """
    published = _SAME_WEIGHTS.get(name, name)
    try:
        if published in torchvision.models.list_models(torchvision.models):
            weights = torchvision.models.get_model_weights(published).DEFAULT
            state = dict(weights.get_state_dict(progress=True, check_hash=True))
            return HubWeights(state, IMAGENET_MEAN, IMAGENET_STD)
        return _from_timm(published.removeprefix("timm/"), name)
    except (OSError, RuntimeError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"weights 'imagenet': {name}'s could not be downloaded ({reason}); give a .safetensors or .pth file"
        ) from error


def _from_timm(model: str, name: str) -> HubWeights:
    import timm  # late: see registry._builder

    if not timm.is_model_pretrained(model):
        raise InputError(f"weights 'imagenet': none were published for {name!r}; give a file")
    config = timm.get_pretrained_cfg(model)
    whole = timm.create_model(model, pretrained=True)
    return HubWeights(dict(whole.state_dict()), tuple(config.mean), tuple(config.std))


def hub_repository(name: str) -> str | None:
    """Where timm's hub keeps the checkpoint of a registered backbone, torchvision's where it has that; or None."""
    import timm

    published = _SAME_WEIGHTS.get(name, name)
    tagged = [f"{published}.tv2_in1k", f"{published}.tv_in1k", published]
    found = [timm.get_pretrained_cfg(model) for model in tagged if timm.is_model_pretrained(model)]
    return found[0].hf_hub_id if found else None
