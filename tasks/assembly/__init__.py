"""Tasks put together: from settings, with the weights that a run begins with, and from checkpoints."""

from tasks.assembly.checkpoints import describe, task_from_checkpoint
from tasks.assembly.settings import task_from_settings
from tasks.assembly.task import create_task, find_task

__all__ = ["create_task", "describe", "find_task", "task_from_checkpoint", "task_from_settings"]
