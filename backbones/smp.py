"""The registered backbones as encoders of segmentation-models-pytorch: `smp.Unet("vertebra-resnet50")`."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import segmentation_models_pytorch as smp
from torch import Tensor, nn

from backbones.errors import InputError
from backbones.features import check_for_pyramids
from backbones.freezing import FreezeReport
from backbones.hub import hub_repository
from backbones.registry import create_backbone, list_backbones, load_weights
from backbones.weights import stem_statistics

PREFIX = "vertebra-"
_RGB = 3


def register_encoders() -> list[str]:
    """Make every registered backbone known to segmentation-models-pytorch.

    They go into every decoder that takes a CNN encoder. `encoder_weights="imagenet"` downloads, for a file
    `model.encoder.load_weights(path)` takes it; `model.encoder.freeze(3)` freezes, and `model.encoder.mean` and
    `.std` are what the images are to be normalised with.

    Returns:
        The encoders' names, "vertebra-<backbone>".
    """
    for name in list_backbones():
        repository = hub_repository(name)
        smp.encoders.encoders[PREFIX + name] = {
            "encoder": SmpEncoder,
            "params": {"name": name},
            "pretrained_settings": {"imagenet": {"repo_id": repository, "revision": "main"}} if repository else {},
        }
    return [PREFIX + name for name in list_backbones()]


class SmpEncoder(nn.Module):
    """What segmentation-models-pytorch asks of an encoder, around a backbone.

    Args:
        name: a registered backbone with the levels c1..c5.
        depth: how many of them are handed out, 3 to 5.
        output_stride: 32, or 16 or 8 for a dilated backbone.

    Raises:
        InputError: a backbone for small images or without a level, or one that cannot be dilated.
    """

    _is_torch_scriptable = False
    _is_torch_exportable = True
    _is_torch_compilable = True

    def __init__(self, name: str, depth: int = 5, output_stride: int = 32) -> None:
        super().__init__()
        if depth not in (3, 4, 5):
            raise InputError(f"encoder depth {depth} is not possible (possible: 3, 4, 5)")
        self.name = name
        self._depth = depth
        self._options: dict[str, Any] = {} if output_stride == 32 else {"output_stride": output_stride}
        self.backbone = self._build()

    def _build(self) -> Any:
        try:
            backbone = create_backbone(self.name, **self._options)
        except TypeError as error:
            raise InputError(f"{self.name!r} cannot be an encoder with {self._options}: {error}") from error
        check_for_pyramids(backbone)
        have = [info.name for info in backbone.features]
        if have != ["c1", "c2", "c3", "c4", "c5"]:
            raise InputError(f"{self.name!r} cannot be an encoder: it hands out {', '.join(have)}, not c1..c5")
        backbone.use_levels(have[: self._depth])
        return backbone

    @property
    def out_channels(self) -> list[int]:
        """Channels of the images and of each level."""
        levels = [info.channels for info in self.backbone.features]
        return [self._options.get("in_channels", 3), *levels[: self._depth]]

    @property
    def output_stride(self) -> int:
        return self.backbone.features[self._depth - 1].stride

    @property
    def mean(self) -> tuple[float, ...]:
        return self.backbone.mean

    @property
    def std(self) -> tuple[float, ...]:
        return self.backbone.std

    def set_in_channels(self, in_channels: int, pretrained: bool = True) -> None:
        """Adapt the stem, as `create_backbone` does; called by segmentation-models-pytorch."""
        if in_channels == self.out_channels[0]:
            return
        before = self.backbone
        if before.frozen_stages or len(before.mean) != _RGB:
            raise InputError(f"{self.name!r}: the stem is adapted once, before anything is frozen; make another model")
        self._options["in_channels"] = in_channels
        self.backbone = self._build().to(next(before.parameters()).device)
        if pretrained:
            self.backbone.load_checkpoint(before.state_dict())
            self.backbone.load_report = before.load_report
            self.backbone.mean = stem_statistics(before.mean, in_channels)
            self.backbone.std = stem_statistics(before.std, in_channels)

    def make_dilated(self, output_stride: int) -> None:
        """Called by segmentation-models-pytorch after creation; the backbone was made with the output stride."""
        coarsest = self.backbone.features[-1].stride  # which may be deeper than what is handed out
        if coarsest != output_stride:
            raise InputError(f"{self.name!r} cannot be dilated to output_stride {output_stride}")

    def load_weights(self, weights: str | Path) -> None:
        """Take "imagenet" or a .safetensors or .pth file, as `create_backbone` does."""
        load_weights(self.backbone, self.name, weights)

    def load_state_dict(self, state_dict: Mapping[str, Any], strict: bool = True, assign: bool = False) -> Any:
        """The encoder's own, or the published checkpoint that segmentation-models-pytorch downloaded."""
        if any(key.startswith("backbone.") for key in state_dict):
            return super().load_state_dict(state_dict, strict, assign)
        return self.backbone.load_checkpoint(state_dict)

    def freeze(self, stages: int | str | Iterable[int]) -> FreezeReport:
        """See `Backbone.freeze`."""
        return self.backbone.freeze(stages)

    def unfreeze(self) -> None:
        self.backbone.unfreeze()

    def forward(self, images: Tensor) -> list[Tensor]:
        """(N, C, H, W) -> the images themselves and c1, c2, ... up to the depth."""
        return [images, *self.backbone(images).values()]
