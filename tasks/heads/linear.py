"""Global average pooling and one linear layer (Lin et al. 2014, "Network in network"; He et al. 2016)."""

from typing import TYPE_CHECKING

from pydantic import Field

from tasks.config import ClassifierSettings, HeadName

if TYPE_CHECKING:
    from torch import nn

    from backbones import Backbone


class Head(ClassifierSettings):
    """The mean over all places of the coarsest level, and a linear layer."""

    name: HeadName = "linear"
    dropout: float = Field(0.0, ge=0, lt=1)
    """Before the linear layer."""

    def build(self, backbone: "Backbone", num_classes: int, norm: str) -> "nn.Module":
        from tasks.classification import LinearClassifier

        return LinearClassifier(backbone, num_classes, dropout=self.dropout)
