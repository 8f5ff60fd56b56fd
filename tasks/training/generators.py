"""The state of torch's generators, which dropout and stochastic depth draw from."""

from typing import Any

import torch

from tasks.data import sample_seed
from tasks.processes import gathered, rank


def seed_generators(seed: int) -> None:
    """Each process by itself: with the same draws their images would lose the same features."""
    torch.manual_seed(seed if rank() == 0 else sample_seed(seed, rank(), 0))


def generators_state() -> list[dict[str, Any]]:
    """Of every process, by rank."""
    cuda = torch.cuda.get_rng_state_all() if torch.cuda.is_available() else []
    return gathered({"cpu": torch.get_rng_state(), "cuda": cuda})


def restore_generators(states: list[dict[str, Any]]) -> None:
    """This process's own; where there were fewer processes, it keeps the state that its seed gave it."""
    if rank() >= len(states):
        return
    state = states[rank()]
    torch.set_rng_state(state["cpu"])
    for number, generator in enumerate(state["cuda"][: torch.cuda.device_count()]):  # there may be fewer than before
        torch.cuda.set_rng_state(generator, number)
