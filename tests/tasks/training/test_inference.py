"""A model made ready to predict finds what the trained one does, compiled or not."""

from typing import Any

import pytest
import torch
from torch import Tensor

from backbones import compiling
from tasks import create_task
from tasks.data import Batch
from tasks.training.inference import ready_to_predict
from tests.backbones.settling import settled
from tests.heads import head as make_head

CPU = torch.device("cpu")
HEADS = ("unet", "retinanet", "fcos", "faster_rcnn", "mask_rcnn", "linear")
SIZES = ((64, 64), (64, 96))
# Of smaller maps torch convolves some by another library, and what is compiled knows that.
MORE_SIZES = ((256, 256), (256, 320), (320, 288), (352, 256), (256, 352), (384, 320))


def _task(name: str) -> Any:
    torch.manual_seed(0)
    options: dict[str, Any] = {"score_threshold": 0.0} if make_head(name).task == "detection" else {}
    head = make_head(name, **options)
    return create_task(head.task, settled("resnet18"), ["a", "b"], head=head)


def _batch(size: tuple[int, int]) -> Batch:
    images = [torch.randint(0, 256, (3, *size), dtype=torch.uint8) for _ in range(2)]
    return Batch(images=images, targets=[], indices=[0, 1], names=["a", "b"], original_sizes=[size, size])


def _numbers(found: Any) -> Tensor:
    """Scores of the best objects, labels of pixels or probabilities."""
    return torch.cat([one.scores[:20] if hasattr(one, "scores") else one.float().flatten() for one in found])


@pytest.mark.parametrize("backend", ["aot_eager", pytest.param("inductor", marks=pytest.mark.slow)])
@pytest.mark.parametrize("name", [HEADS[0], *(pytest.param(one, marks=pytest.mark.slow) for one in HEADS[1:])])
def test_compiled_parts_find_the_same(name: str, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.compiler.reset()
    if backend != "inductor":
        monkeypatch.setattr(compiling, "_HOW", {"backend": backend})
    task = _task(name)
    assert task.dense
    models = [ready_to_predict(task, CPU, compiled) for compiled in (False, True)]
    for size in SIZES:
        batch = _batch(size)
        with torch.inference_mode():
            plain, found = (_numbers(task.predict(model.eval(), batch)) for model in models)
        torch.testing.assert_close(found, plain, rtol=1e-3, atol=1e-4)


@pytest.mark.slow
def test_many_sizes_compile_a_few_times(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.compiler.reset()
    graphs = []

    def counting(graph: Any, _inputs: Any) -> Any:
        graphs.append(graph)
        return graph.forward

    monkeypatch.setattr(compiling, "_HOW", {"backend": counting})
    task = _task("unet")
    model = ready_to_predict(task, CPU, compiled=True)
    counts = []
    for size in MORE_SIZES:
        with torch.inference_mode():
            task.predict(model, _batch(size))
        counts.append(len(graphs))
    assert counts[-1] == counts[2] == 4  # of these one is to try it
