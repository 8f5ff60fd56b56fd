"""Tasks put together: from settings, with the weights that a run begins with, and from checkpoints."""

from tasks.assembly.create import create_task, find_task
from tasks.assembly.from_checkpoint import data_of, describe, task_from_checkpoint
from tasks.assembly.from_settings import task_from_settings

__all__ = ["create_task", "data_of", "describe", "find_task", "task_from_checkpoint", "task_from_settings"]
