"""The network under the head."""

from typing import Annotated, Literal, Self

import tyro
from pydantic import Field, field_validator, model_validator

from backbones import InputError, parse_stages
from tasks.config.group import Group, SettingsError, UserText, refuse_unused


class BackboneSettings(Group):
    """The network under the head."""

    path_prefix = "backbone."

    name: Annotated[str, tyro.conf.arg(aliases=["--backbone"])] = "resnet50"
    """A registered name, such as resnet18, or timm/<model>; `vertebra describe --all` lists them."""
    weights: Annotated[UserText | None, tyro.conf.arg(aliases=["--weights"])] = None
    """`imagenet` (the backbone's) or a torchvision detector's name (fasterrcnn_resnet50_fpn, ...), both downloaded; a
    .safetensors or .pth file of either; or a run. None trains from scratch."""
    freeze: Annotated[str, tyro.conf.arg(aliases=["--freeze"])] = "0"
    """Stages held still, from the stem on: 3 or 1-3."""
    norm: Annotated[str, tyro.conf.arg(aliases=["--norm"])] = "batch"
    """batch | sync | group | instance | frozen."""
    in_channels: int = Field(3, ge=1)
    """Of the images: 3 is RGB, 1 grey, 4 RGB with opacity; 4 and any other number are also the bands of TIFF files."""
    drop_path: float = Field(0.0, ge=0, lt=1)
    """Stochastic depth: the chance of dropping the last block, rising linearly from 0."""
    output_stride: Literal[8, 16, 32] | None = None
    """Dilate the last stages instead of striding. None: as the head needs it."""
    deformable_stages: tuple[int, ...] = ()
    """Of 2, 3 and 4: stages whose bottlenecks learn where their 3x3 convolutions look."""
    grad_checkpointing: bool = False
    """Compute activations again in the backward pass instead of keeping them: less memory, more time."""
    compile_frozen: bool = False
    """Compile the frozen stages (torch.compile): some seconds at the beginning, less time a step."""
    stride_in_1x1: bool = False
    """The original bottleneck (caffe, detectron2): the stride on the first 1x1, not on the 3x3."""
    hold_norms: bool | None = None
    """Keep the running statistics of trainable stages too. None: in detection, where pretrained weights are given."""
    init: Literal["he", "residual_scaled", "zero_last"] = "he"
    """Initialisation from scratch; zero_last starts every residual branch at zero."""

    @field_validator("freeze")
    @classmethod
    def _check_freeze(cls, value: str) -> str:
        try:
            parse_stages(value)
        except InputError as error:
            raise SettingsError(f"backbone.{error}") from None
        return value

    @model_validator(mode="after")
    def _check_unused(self) -> Self:
        if not parse_stages(self.freeze):
            refuse_unused(self, "compile_frozen", "there are no frozen stages; give backbone.freeze")
        if self.weights is not None:
            refuse_unused(self, "init", "is for training from scratch; backbone.weights take its place")
        return self
