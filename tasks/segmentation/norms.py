"""The decoder's norms, made what the encoder's are."""

from segmentation_models_pytorch.base.initialization import initialize_decoder
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm

from backbones import InputError, norm_layer

_GROUPS = 8  # divides every width that decoders usually have


class LenientBatchNorm(nn.BatchNorm2d):
    """Batch norm that takes one value per channel in training: there it uses its running statistics.

    Decoders that pool the whole image meet it whenever an epoch's last batch is a single image.
    """

    is_batch_norm_in_eval = True

    def forward(self, x: Tensor) -> Tensor:
        return _lenient(self, x)


class LenientSyncBatchNorm(nn.SyncBatchNorm):
    """The same over several processes. One alone needs no GPU."""

    is_batch_norm_in_eval = True

    def forward(self, x: Tensor) -> Tensor:
        several = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
        return super().forward(x) if several else _lenient(self, x)


def _lenient(norm: _BatchNorm, x: Tensor) -> Tensor:
    if norm.training and x.numel() == x.shape[1]:
        return functional.batch_norm(
            x, norm.running_mean, norm.running_var, norm.weight, norm.bias, False, 0.0, norm.eps
        )
    return _BatchNorm.forward(norm, x)


def prepare_decoder(decoder: nn.Module, norm: str) -> None:
    """Give a decoder of segmentation-models-pytorch the encoder's kind of norm, and its own library's initial weights.

    Raises:
        InputError: group norm's groups do not divide a width.
    """
    for name, module in list(decoder.named_modules()):
        if isinstance(module, nn.BatchNorm2d):
            parent, _, child = name.rpartition(".")
            setattr(decoder.get_submodule(parent), child, _norm(norm, module.num_features))
    initialize_decoder(decoder)


def _norm(norm: str, channels: int) -> nn.Module:
    if norm in ("batch", "frozen"):  # frozen norms would never have learnt anything here
        return LenientBatchNorm(channels)
    if norm == "sync":
        return LenientSyncBatchNorm(channels)
    if norm != "group":
        return norm_layer(norm)(channels)
    if channels % _GROUPS:
        raise InputError(
            f"norm 'group' makes {_GROUPS} groups in the decoder, which do not divide a width of {channels}; "
            "take another norm or head"
        )
    return nn.GroupNorm(_GROUPS, channels)
