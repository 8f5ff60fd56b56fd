"""Each side of a line in a process of its own, as its users run it: neither has the other's threads and memory."""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection
from typing import Any

import torch
from torch.multiprocessing import get_context

from tasks.benchmark.comparisons.line import Agreement, Conditions, Pair
from tasks.benchmark.comparisons.table import find_lines
from tasks.training import as_it_was, keep_freed_memory, settle_threads

SIDES = ("ours", "peer")


class Side:
    """A process that has built one side of a line and waits for its turns.

    Args:
        name: ours, which begins as `train` does, or peer.
        line: by name.
    """

    def __init__(self, name: str, line: str, conditions: Conditions) -> None:
        spawn = get_context("spawn")
        self._here, there = spawn.Pipe()
        self._process = spawn.Process(target=_serve, args=(there, name, line, conditions), daemon=True)
        with _environment(as_it_was() if name == "peer" else dict(os.environ)):
            self._process.start()
        there.close()
        self.agreements: list[Agreement] = self._receive()

    def seconds(self, numbers: range) -> float:
        """Of a step, the mean of these."""
        self._here.send(numbers)
        taken: float = self._receive()
        return taken

    def close(self) -> None:
        self._here.close()
        self._process.join()

    def _receive(self) -> Any:
        try:
            return self._here.recv()
        except EOFError:
            self._process.join()
            raise RuntimeError(f"a side of a comparison has ended with {self._process.exitcode}") from None


def step_of(pair: Pair, side: str) -> Callable[[int], object]:
    return pair.ours if side == "ours" else pair.peer


def mean_seconds(step: Callable[[int], object], numbers: range, conditions: Conditions) -> float:
    """Of a step; the device has done everything before and after."""
    _wait(conditions)
    started = time.perf_counter()
    for number in numbers:
        step(number)
    _wait(conditions)
    return (time.perf_counter() - started) / len(numbers)


def _serve(connection: Connection, side: str, line: str, conditions: Conditions) -> None:
    if side == "ours":
        settle_threads()
        if conditions.device == "cpu":
            keep_freed_memory()
    pair = find_lines((line,))[0].make(conditions)
    agreements = pair.check()  # which both sides ask for: it also puts them into their layout
    step = step_of(pair, side)
    for number in range(pair.warm_up):
        step(number)
    connection.send(agreements)  # ready: the other side's turn is not disturbed
    try:
        while True:
            connection.send(mean_seconds(step, connection.recv(), conditions))
    except EOFError:
        pass


def _wait(conditions: Conditions) -> None:
    if conditions.is_gpu:
        torch.cuda.synchronize(conditions.device)


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)
