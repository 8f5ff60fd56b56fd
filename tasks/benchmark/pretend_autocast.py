"""Autocast on the pretend device: operators that CUDA computes in the lower precision, in float32, or in the widest.

The lists are CUDA's: ATen/autocast_mode.h of torch 2.15, documented as "CUDA Op-Specific Behavior" of torch.amp. CUDA
also keeps the cast of a weight until the context ends; here it is cast at each use.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

_KEY = "AutocastPrivateUse1"
LOWER = """
    _convolution _convolution.deprecated conv1d conv2d conv3d conv_tbc conv_transpose1d conv_transpose2d.input
    conv_transpose3d.input convolution prelu addmm addmv addr matmul einsum mm mv linalg_vecdot linear addbmm
    baddbmm bmm chain_matmul linalg_multi_dot _thnn_fused_lstm_cell _thnn_fused_gru_cell lstm_cell gru_cell
    rnn_tanh_cell rnn_relu_cell _scaled_dot_product_flash_attention scaled_dot_product_attention
"""
FLOAT32 = """
    acos asin cosh erfinv exp expm1 log log10 log2 log1p reciprocal rsqrt sinh tan pow.Tensor_Scalar
    pow.Tensor_Tensor pow.Scalar softplus layer_norm native_layer_norm rms_norm group_norm frobenius_norm.dim
    nuclear_norm nuclear_norm.dim cosine_similarity poisson_nll_loss cosine_embedding_loss nll_loss nll_loss2d
    hinge_embedding_loss kl_div l1_loss smooth_l1_loss huber_loss mse_loss margin_ranking_loss
    multilabel_margin_loss soft_margin_loss triplet_margin_loss multi_margin_loss binary_cross_entropy_with_logits
    dist pdist cdist renorm logsumexp upsample_nearest1d _upsample_nearest_exact1d upsample_nearest2d
    _upsample_nearest_exact2d upsample_nearest3d _upsample_nearest_exact3d upsample_linear1d upsample_bilinear2d
    _upsample_bilinear2d_aa upsample_trilinear3d upsample_bicubic2d _upsample_bicubic2d_aa prod prod.dim_int
    softmax.int log_softmax.int cumprod cumsum linalg_vector_norm linalg_matrix_norm linalg_matrix_norm.str_ord sum
    sum.dim_IntList norm.Scalar norm.ScalarOpt_dim
"""
WIDEST = """
    addcdiv addcmul atan2 bilinear cross dot vdot grid_sampler index_put tensordot scatter_add stack cat
"""
# torchvision computes these in float32 and gives back what came in.
_TORCHVISION = ("roi_align", "roi_pool", "ps_roi_align", "ps_roi_pool", "deform_conv2d", "nms")

_Choice = Callable[[list[Tensor]], torch.dtype]


def register_autocast(device: str) -> list[torch.library.Library]:
    """Make `torch.autocast(device)` cast as CUDA's does.

    Returns:
        What has to be kept for as long as it should.
    """
    import torchvision  # noqa: F401  defines its operators

    def lower(_: list[Tensor]) -> torch.dtype:
        return torch.get_autocast_dtype(device)

    def float32(_: list[Tensor]) -> torch.dtype:
        return torch.float32

    def widest(tensors: list[Tensor]) -> torch.dtype:
        return torch.float32 if any(tensor.dtype == torch.float32 for tensor in tensors) else lower(tensors)

    others, aten, vision = (torch.library.Library(name, "IMPL") for name in ("_", "aten", "torchvision"))
    others.fallback(torch.library.fallthrough_kernel, _KEY)
    for names, choice in ((LOWER, lower), (FLOAT32, float32), (WIDEST, widest)):
        for name in names.split():
            aten.impl(name, _casting(_operator("aten", name), choice, device), _KEY)
    aten.impl("binary_cross_entropy", _refused, _KEY)
    for name in _TORCHVISION:
        vision.impl(name, _restoring(_casting(_operator("torchvision", name), float32, device)), _KEY)
    return [others, aten, vision]


def _operator(namespace: str, name: str) -> Any:
    packet, _, overload = name.partition(".")
    return getattr(getattr(getattr(torch.ops, namespace), packet), overload or "default")


def _casting(operator: Any, choice: _Choice, device: str) -> Callable[..., Any]:
    def eligible(value: Any) -> bool:
        on_device = isinstance(value, Tensor) and value.device.type == device
        return on_device and value.is_floating_point() and value.dtype != torch.float64

    keys = torch._C.DispatchKeySet(getattr(torch._C.DispatchKey, _KEY))

    def kernel(*args: Any, **kwargs: Any) -> Any:
        dtype = choice([leaf for leaf in tree_leaves((args, kwargs)) if eligible(leaf)])
        with torch._C._ExcludeDispatchKeyGuard(keys):
            args, kwargs = tree_map(lambda leaf: leaf.to(dtype) if eligible(leaf) else leaf, (args, kwargs))
            return operator(*args, **kwargs)

    return kernel


def _restoring(kernel: Callable[..., Any]) -> Callable[..., Any]:
    def restored(first: Tensor, *args: Any, **kwargs: Any) -> Any:
        result = kernel(first, *args, **kwargs)
        return tree_map(lambda leaf: leaf.to(first.dtype) if leaf.is_floating_point() else leaf, result)

    return restored


def _refused(*_: Any, **__: Any) -> Any:
    raise RuntimeError("binary_cross_entropy is unsafe to autocast; use binary_cross_entropy_with_logits")
