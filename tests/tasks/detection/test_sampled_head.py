"""The outputs of some anchors, and their gradients, are those of the pass over all places."""

import torch
from torch import Tensor
from torchvision.models.detection.rpn import RPNHead, concat_box_prediction_layers

from tasks.detection.sampled_head import at_anchors, is_sampled, without_gradients

SIZES = ((7, 5), (4, 3), (2, 2), (1, 1))  # most places are at a border


def _outputs(head: RPNHead, levels: list[Tensor], rows: Tensor) -> tuple[Tensor, Tensor]:
    """As torchvision has them."""
    logits, codes = concat_box_prediction_layers(*head(levels))
    logits, codes = logits.view(len(rows), -1), codes.view(len(rows), -1, 4)
    return logits.gather(1, rows), codes.gather(1, rows[..., None].expand(-1, -1, 4))


def test_outputs_and_gradients() -> None:
    torch.manual_seed(0)
    head = RPNHead(6, 3).double()
    for parameter in head.parameters():
        torch.nn.init.normal_(parameter)
    levels = [torch.randn(2, 6, *size, dtype=torch.float64, requires_grad=True) for size in SIZES]
    every = 3 * sum(height * width for height, width in SIZES)
    rows = torch.stack([torch.randperm(every)[:100], torch.randint(every, (100,))])  # some of them twice
    weights = torch.randn(2, 100, 5, dtype=torch.float64)
    seen = []
    for outputs in (at_anchors, _outputs):
        logits, codes = outputs(head, levels, rows)
        total = (torch.cat([logits[..., None], codes], 2) * weights).sum()
        seen.append((logits.double(), codes.double(), torch.autograd.grad(total, [*levels, *head.parameters()])))
    (logits, codes, gradients), (all_logits, all_codes, all_gradients) = seen
    torch.testing.assert_close((logits, codes), (all_logits, all_codes), rtol=1e-6, atol=1e-6)  # given in float32
    torch.testing.assert_close(gradients, all_gradients, rtol=1e-6, atol=1e-6)


def test_under_autocast_the_weights_still_get_their_gradients() -> None:
    torch.manual_seed(0)
    head, levels = RPNHead(8, 3), [torch.randn(1, 8, 4, 4)]
    with torch.autocast("cpu", torch.bfloat16):
        with without_gradients(levels[0].device):
            assert not head(levels)[0][0].requires_grad
        logits, codes = at_anchors(head, levels, torch.arange(48)[None])
    (logits.square().sum() + codes.square().sum()).backward()
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in head.parameters())


def test_convolutions_behind_each_other_need_more_than_a_patch() -> None:
    assert is_sampled(RPNHead(8, 3))
    assert not is_sampled(RPNHead(8, 3, conv_depth=2))
