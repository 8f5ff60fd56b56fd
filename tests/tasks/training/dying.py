"""`python -m tests.tasks.training.dying WHERE STEP ARGUMENTS...`: a training that dies at a certain place."""

import os
import signal
import sys
from typing import Any

from tasks.commands.train import main
from tasks.training import checkpoint, trainer
from tasks.training.step import Stepper

PLACES = ("epoch", "validation", "saving", "term", "term-group")


def _die(number: int) -> None:
    os.kill(os.getpid(), number)


def _at_step(wanted: int, number: int, group: bool) -> None:
    call = Stepper.__call__

    def stepping(self: Stepper, batch: Any, step: int, *rest: Any) -> Any:
        if step == wanted:
            os.killpg(0, number) if group else _die(number)
        return call(self, batch, step, *rest)

    Stepper.__call__ = stepping  # type: ignore[method-assign]


def _in_validation(epoch: int) -> None:
    evaluate, calls = trainer.evaluate, []

    def dying(task: Any, *rest: Any) -> Any:
        calls.append(1)
        if len(calls) == epoch:
            predict, seen = task.predict, []

            def predicting(*arguments: Any) -> Any:
                seen.append(1)
                if len(seen) > 1:
                    _die(signal.SIGKILL)
                return predict(*arguments)

            task.predict = predicting
        return evaluate(task, *rest)

    trainer.evaluate = dying


def _while_saving(call: int) -> None:
    replace, calls = checkpoint.os.replace, []

    def dying(old: Any, new: Any) -> None:
        if str(old).endswith(("last", "best")):  # the old one is moved away, and the new one is not there yet
            calls.append(1)
            replace(old, new)
            if len(calls) == call:
                _die(signal.SIGKILL)
            return
        replace(old, new)

    checkpoint.os.replace = dying  # type: ignore[assignment]


def set_up(place: str, number: int) -> None:
    """Die at this step, in this validation, or at this writing over of a checkpoint."""
    if place == "validation":
        _in_validation(number)
    elif place == "saving":
        _while_saving(number)
    else:
        _at_step(number, signal.SIGKILL if place == "epoch" else signal.SIGTERM, group=place == "term-group")


if __name__ == "__main__":
    which = os.environ.get("DYING_RANK", "0")
    if os.environ.get("RANK", "0") == which:
        set_up(sys.argv[1], int(sys.argv[2]))
    sys.exit(main(sys.argv[3:]))
