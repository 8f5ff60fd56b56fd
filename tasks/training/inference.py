"""A model that has been trained, made ready to predict."""

import torch
from torch import nn

from backbones import compile_for_inference, fold
from tasks.task import Task


def ready_to_predict(task: Task, device: torch.device, compiled: bool = False) -> nn.Module:
    """A folded copy of a task's model, in channels-last, for `Task.predict`.

    Args:
        device: that the copy goes to.
        compiled: its dense parts too; they take some seconds when they are first called.

    Raises:
        InputError: it is to be compiled, which this machine cannot.
    """
    model: nn.Module = fold(task.model).to(device=device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    for name in task.dense if compiled else ():
        compile_for_inference(model.get_submodule(name), device)
    return model
