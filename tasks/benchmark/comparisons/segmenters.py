"""U-Net against segmentation-models-pytorch's of the same weights, in the plain loop that its users write."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from segmentation_models_pytorch import Unet
from segmentation_models_pytorch.losses import DiceLoss
from torch import Tensor, nn

from backbones import IMAGENET_MEAN, IMAGENET_STD
from tasks.benchmark.comparisons.checks import gradients_agree, relative
from tasks.benchmark.comparisons.images import CLASSES, as_floats
from tasks.benchmark.comparisons.line import Agreement, Conditions, Pair
from tasks.benchmark.comparisons.ours import LEARNING_RATE, Ours, prepare
from tasks.data import Batch
from tasks.training import autocast

_LOGITS, _LOSS, _GRADIENTS = 1e-4, 1e-4, 1e-2
_OURS, _THEIRS = "net.backbone.", "encoder."


def segmenter_pair(conditions: Conditions, *, frozen_stages: int, expert: bool, by_hand: bool = False) -> Pair:
    """Training steps of both.

    Args:
        frozen_stages: ours; segmentation-models-pytorch freezes its whole encoder or nothing.
        expert: the peer too computes in bfloat16 and channels-last, not in float32.
        by_hand: the peer's user has frozen the same stages of its encoder, norms among them, by a loop of their own.
    """
    freeze = f"1-{frozen_stages}" if frozen_stages else "0"
    ours = prepare("unet", conditions, freeze=freeze, optimizer="adamw")
    device = torch.device(conditions.device)
    peer = Unet(conditions.backbone, encoder_weights=None, classes=len(CLASSES["segmentation"]))
    names = {name: _their_name(name) for name in ours.task.model.state_dict() if "aux_heads" not in name}
    state = ours.task.model.state_dict()
    peer.load_state_dict({other: state[name] for name, other in names.items()})
    held = _stages(peer, frozen_stages)
    if by_hand:
        for module in held:
            module.requires_grad_(False)
    for model in (ours.task.model, peer):
        model.to(device)
    batches = [_normalised(batch, expert) for batch in ours.batches]

    def check() -> list[Agreement]:
        ours.task.model.to(memory_format=torch.channels_last)
        agreements = _agreements(ours, peer, held, batches[0], names, device)
        if expert:
            peer.to(memory_format=torch.channels_last)
        return agreements

    step = _plain_step(peer, batches, device, "bf16" if expert else "fp32", held if by_hand else ())
    return Pair(check, ours.stepper(device), step)


def _their_name(name: str) -> str:
    return _THEIRS + name.removeprefix(_OURS) if name.startswith(_OURS) else name.removeprefix("net.")


def _stages(peer: nn.Module, count: int) -> list[nn.Module]:
    encoder: Any = peer.encoder
    names = ["conv1", "bn1", *(f"layer{number}" for number in range(1, count + 1))] if count else []
    return [encoder.get_submodule(name) for name in names]


def _normalised(batch: Batch, channels_last: bool) -> tuple[Tensor, Tensor]:
    """As the transforms of its users give them, and so before the clock starts."""
    mean, std = (torch.tensor(values)[:, None, None] for values in (IMAGENET_MEAN, IMAGENET_STD))
    images = (torch.stack(as_floats(batch)) - mean) / std
    masks = torch.stack([target["mask"] for target in batch.targets]).long()
    return images.contiguous(memory_format=torch.channels_last) if channels_last else images, masks


class _Loss:
    """The library's Dice and torch's cross-entropy."""

    def __init__(self) -> None:
        self.dice, self.cross_entropy = DiceLoss("multiclass"), nn.CrossEntropyLoss()

    def __call__(self, logits: Tensor, masks: Tensor) -> Tensor:
        total: Tensor = self.dice(logits, masks) + self.cross_entropy(logits, masks)
        return total


def _plain_step(
    peer: nn.Module,
    batches: Sequence[tuple[Tensor, Tensor]],
    device: torch.device,
    precision: str,
    held: Sequence[nn.Module],
) -> Callable[[int], object]:
    trained = [parameter for parameter in peer.parameters() if parameter.requires_grad]
    optimizer, loss = torch.optim.AdamW(trained, lr=LEARNING_RATE), _Loss()

    def step(number: int) -> object:
        _train(peer, held)
        images, masks = (tensor.to(device) for tensor in batches[number % len(batches)])
        optimizer.zero_grad()
        with autocast(device, precision):
            total = loss(peer(images), masks)
        total.backward()
        optimizer.step()
        return total.item()  # which its users log

    return step


def _train(peer: nn.Module, held: Sequence[nn.Module]) -> None:
    peer.train()
    for module in held:
        module.eval()


def _agreements(
    ours: Ours,
    peer: nn.Module,
    held: Sequence[nn.Module],
    batch: tuple[Tensor, Tensor],
    names: dict[str, str],
    device: torch.device,
) -> list[Agreement]:
    """The losses with the same stages held in both: where they are not, the statistics differ on purpose."""
    images, masks = (tensor.to(device) for tensor in batch)
    model = ours.task.model
    with torch.inference_mode():
        found, wanted = model.eval()(torch.stack(ours.batches[0].images).to(device))[0], peer.eval()(images)
    agreements = [relative("logits", found, wanted, _LOGITS)]
    kept = {key: value.clone() for key, value in model.state_dict().items()}
    their_kept = {key: value.clone() for key, value in peer.state_dict().items()}
    _train(peer, held)
    total = torch.stack(list(ours.loss(ours.batches[0]).values())).sum()
    other = _Loss()(peer(images), masks)
    total.backward()
    other.backward()
    agreements += [relative("loss", total, other, _LOSS), gradients_agree(model, peer, names, _GRADIENTS)]
    for one, state in ((model, kept), (peer, their_kept)):
        one.zero_grad()
        one.load_state_dict(state)  # the running statistics have moved
    return agreements
