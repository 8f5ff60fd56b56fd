"""A torch device without hardware: CPU data that say they are elsewhere, and an account of what a host asks of it.

torch lets a device be made in Python alone. Its tensors here hold CPU data: mixing devices raises as on CUDA, results
are the CPU's, and whatever makes a host wait for a CUDA device is counted with the line that asks for it. Where CUDA
waits is read from torch's and torchvision's sources; `torch.cuda.set_sync_debug_mode` warns at the same places.

The hook is a private one of torch (seen to work with torch 2.15), so nothing but tests and benchmarks should use this.
"""

from typing import Any

import torch
from torch import Tensor
from torch.optim.optimizer import _foreach_supported_types as _types_of_optimizers
from torch.utils import backend_registration
from torch.utils._foreach_utils import _foreach_supported_types as _types_of_clipping
from torch.utils._pytree import tree_leaves, tree_map

from backbones import PLAIN_TENSORS
from tasks.benchmark.pretend_account import NAME, note_operator
from tasks.benchmark.pretend_autocast import register_autocast
from tasks.benchmark.pretend_waits import INDEXING, note_tolist, note_transfer, note_waits

_COPYING = ("copy_", "_to_copy")
_LISTS = ("cat", "stack")  # take no CPU scalars, unlike arithmetic
_QUESTION = "_has_compatible_shallow_copy_type"  # that the setting of `data` asks; it computes nothing

_libraries: list[torch.library.Library] = []  # what is registered lasts as long as these


def pretend_device() -> torch.device:
    """The device; the first call registers it with torch, for as long as the process lives.

    From here on backward passes run in the thread that calls this, as they do on a CPU.

    Raises:
        RuntimeError: the process has another device of this kind.
    """
    if not _libraries:
        _register()
    # torch starts its threads for devices at the first backward pass of all; there is none for a device made later.
    torch.autograd.set_multithreading_enabled(False)
    return torch.device(NAME, 0)


class PretendTensor(Tensor):
    """A tensor on the pretend device.

    Attributes:
        raw: the CPU tensor with its data, of the same shape and strides.
        is_number: made of a Python number on the way to an operator, where CUDA still has it on the host.
    """

    raw: Tensor
    is_number = False

    @staticmethod
    def __new__(cls, raw: Tensor) -> "PretendTensor":
        # In inference mode a view of an ordinary tensor is an ordinary one, as `raw` is.
        with torch.inference_mode(raw.is_inference()):
            tensor: PretendTensor = Tensor._make_wrapper_subclass(
                cls,
                raw.size(),
                strides=raw.stride(),
                storage_offset=raw.storage_offset(),
                dtype=raw.dtype,
                device=torch.device(NAME, 0),
            )
        tensor.raw = raw
        return tensor

    @property
    def data(self) -> Tensor:
        return Tensor.data.__get__(self)  # type: ignore[attr-defined]

    @data.setter
    def data(self, other: Tensor) -> None:
        # torch.nn.Module.to sets this; torch changes shape and strides alone, and knows of no `raw`.
        Tensor.data.__set__(self, other)  # type: ignore[attr-defined]
        assert isinstance(other, PretendTensor)
        self.raw = other.raw

    def __repr__(self) -> str:  # type: ignore[override]
        return f"PretendTensor({self.raw!r})"

    def __reduce_ex__(self, protocol: Any) -> Any:
        # As torch saves tensors of a device that has no storage it knows.
        arguments = (self.detach().cpu(), self.dtype, str(self.device), self.requires_grad)
        return torch._utils._rebuild_device_tensor_from_cpu_tensor, arguments

    def tolist(self) -> Any:
        note_tolist(self)
        return self.raw.tolist()

    def numpy(self, *_: Any, **__: Any) -> Any:
        raise TypeError(f"can't convert {NAME}:0 device type tensor to numpy; use .cpu() first")

    __array__ = numpy

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        # Without autograd torch does not take apart what is made of other operators; here each of them counts.
        if torch._C._dispatch_has_kernel_for_dispatch_key(func.name(), "CompositeImplicitAutograd"):
            return func.decompose(*args, **kwargs or {})
        return _run(func, args, kwargs or {})


def _run(func: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """An operator's work, done by the CPU on the raw tensors."""
    leaves = tree_leaves((args, kwargs))
    ours = [leaf for leaf in leaves if isinstance(leaf, PretendTensor)]
    others = [leaf for leaf in leaves if isinstance(leaf, Tensor) and not isinstance(leaf, PretendTensor)]
    name, target = func._schema.name.rpartition("::")[-1], kwargs.get("device")
    if name == _QUESTION:
        return func(*(leaf.raw if isinstance(leaf, PretendTensor) else leaf for leaf in args))
    note_operator()
    if ours and others:
        _check_mixture(name, args, others)
    note_waits(name, args, kwargs)

    raw_args, raw_kwargs = tree_map(lambda leaf: leaf.raw if isinstance(leaf, PretendTensor) else leaf, (args, kwargs))
    if _is_ours(target):
        raw_kwargs["device"] = torch.device("cpu")
    if "pin_memory" in raw_kwargs:
        raw_kwargs["pin_memory"] = None
    result = func(*raw_args, **raw_kwargs)

    if name == "copy_":
        return args[0]
    if target is not None and not _is_ours(target):
        return result
    known = {id(tensor.raw): tensor for tensor in ours}
    return tree_map(lambda leaf: _wrap(leaf, known) if isinstance(leaf, Tensor) else leaf, result)


def _wrap(raw: Tensor, known: dict[int, PretendTensor]) -> PretendTensor:
    tensor = known.get(id(raw))
    if tensor is None:
        return PretendTensor(raw)
    if tensor.shape != raw.shape or tensor.stride() != raw.stride():  # an out= that was resized, unsqueeze_, ...
        Tensor.data.__set__(tensor, PretendTensor(raw))  # type: ignore[attr-defined]
    return tensor


def _is_ours(device: Any) -> bool:
    return device is not None and torch.device(device).type == NAME


def _check_mixture(name: str, args: tuple[Any, ...], others: list[Tensor]) -> None:
    """Raise where CUDA would: but for copies, indices from the host, and scalars of the CPU in arithmetic."""
    if name in _COPYING:
        return
    if name in INDEXING and isinstance(args[0], PretendTensor):
        others = [value for value in args[2:3] if not isinstance(value, PretendTensor)]
    foreign = [tensor for tensor in others if tensor.dim() or name in _LISTS]
    if foreign:
        shapes = ", ".join(str(tuple(tensor.shape)) for tensor in foreign)
        raise RuntimeError(
            f"Expected all tensors to be on the same device, but found {NAME}:0 and cpu in {name}: {shapes}"
        )


class _Module:
    """What torch asks of a device's module. Random numbers are the CPU's."""

    def is_available(self) -> bool:
        return True

    def is_initialized(self) -> bool:
        return True

    def device_count(self) -> int:
        return 1

    def current_device(self) -> int:
        return 0

    def set_device(self, device: Any) -> None:
        pass

    def synchronize(self, device: Any = None) -> None:
        pass

    def _is_in_bad_fork(self) -> bool:
        return False

    def manual_seed_all(self, seed: int) -> None:
        pass

    manual_seed = manual_seed_all

    def get_rng_state(self, device: Any = None) -> Tensor:
        return torch.get_rng_state()

    def set_rng_state(self, state: Tensor, device: Any = None) -> None:
        pass

    def get_amp_supported_dtype(self) -> list[torch.dtype]:
        return [torch.bfloat16, torch.float16]


def _empty(size: Any, *, dtype: Any = None, memory_format: Any = None, **_: Any) -> PretendTensor:
    return PretendTensor(torch.empty(size, dtype=dtype, memory_format=memory_format or torch.contiguous_format))


def _scalar_tensor(number: Any, *, dtype: Any = None, **_: Any) -> PretendTensor:
    tensor = PretendTensor(torch.scalar_tensor(number, dtype=dtype))
    tensor.is_number = True
    return tensor


def _empty_strided(size: Any, stride: Any, *, dtype: Any = None, **_: Any) -> PretendTensor:
    return PretendTensor(torch.empty_strided(size, stride, dtype=dtype))


def _copy_from(source: Tensor, target: Tensor, non_blocking: bool = False) -> Tensor:
    # How torch.tensor(..., device=...) brings its numbers: it passes __torch_dispatch__ by.
    note_transfer(source, target, non_blocking)
    raw_source, raw_target = (one.raw if isinstance(one, PretendTensor) else one for one in (source, target))
    raw_target.copy_(raw_source)
    return target


def _register() -> None:
    backend_registration._setup_privateuseone_for_python_backend(NAME, backend_module=_Module())
    aten, others = torch.library.Library("aten", "IMPL"), torch.library.Library("_", "IMPL")
    aten.impl("empty.memory_format", _empty, "PrivateUse1")
    aten.impl("scalar_tensor", _scalar_tensor, "PrivateUse1")
    aten.impl("empty_strided", _empty_strided, "PrivateUse1")
    aten.impl("_copy_from", _copy_from, "PrivateUse1")
    others.fallback(lambda func, *args, **kwargs: _run(func, args, kwargs), "PrivateUse1")
    _libraries.extend((aten, others, *register_autocast(NAME)))
    # Optimizers and the clipping of gradients go over all tensors in one call on CUDA, and frozen stages run folded,
    # but by the exact type.
    for types in (_types_of_optimizers, _types_of_clipping, PLAIN_TENSORS):
        types.append(PretendTensor)  # type: ignore[arg-type]
