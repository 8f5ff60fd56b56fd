"""Global average pooling and a linear layer on a backbone's coarsest level."""

from torch import Tensor, nn

from backbones import Backbone


class LinearClassifier(nn.Module):
    """The mean of a backbone's coarsest level over all places, and a linear layer (He et al. 2016, section 3.3).

    Args:
        backbone: of which the coarsest level is taken.
        num_classes: how many logits.
        dropout: the chance of dropping one of the layer's inputs, in training.
    """

    def __init__(self, backbone: Backbone, num_classes: int, dropout: float = 0.0) -> None:
        super().__init__()
        coarsest = backbone.features[-1]
        self.backbone = backbone
        self.level = coarsest.name
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(coarsest.channels, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        """Normalised floats (N, C, H, W) -> logits (N, classes)."""
        return self.fc(self.dropout(self.backbone(images)[self.level].mean((2, 3))))
