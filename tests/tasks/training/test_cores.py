import os
import subprocess
import sys
from pathlib import Path

import pytest

from tasks.training import cores

STEPS = """
import resource, sys, torch
from tasks.training import keep_freed_memory
if sys.argv[1] == "kept":
    keep_freed_memory()
def step():
    return sum(torch.ones(4_000_000).mul_(2).sum() for _ in range(10))
step()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    step()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


def _pages_asked_for(how: str, **variables: str) -> int:
    """Pages that five steps ask the system for."""
    environment = {name: value for name, value in os.environ.items() if name not in cores._MEMORY} | variables
    command = [sys.executable, "-c", STEPS, how]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return int(done.stdout)


@pytest.mark.skipif(sys.platform != "linux", reason="it is glibc's")
def test_freed_memory_is_kept() -> None:
    assert _pages_asked_for("kept") < 10_000


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="it is glibc's")
def test_the_environment_has_the_say_on_memory() -> None:
    assert _pages_asked_for("kept", MALLOC_TRIM_THRESHOLD_="0") > 100_000  # 16 MB are 3,906 pages


def test_threads_spin_briefly(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in cores._WAITING:
        monkeypatch.delenv(name, raising=False)
    cores.wait_briefly()
    assert os.environ.pop("GOMP_SPINCOUNT") == "1000"
    monkeypatch.setenv("OMP_WAIT_POLICY", "active")
    cores.wait_briefly()
    assert "GOMP_SPINCOUNT" not in os.environ


def test_a_process_that_is_not_ours_has_the_environment_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in cores._WAITING:
        monkeypatch.delenv(name, raising=False)
    before = dict(os.environ)
    cores.wait_briefly()
    assert cores.as_it_was() == before != dict(os.environ)
    monkeypatch.setenv("GOMP_SPINCOUNT", "7")  # the user's own
    assert cores.as_it_was() == dict(os.environ)
    monkeypatch.delenv("GOMP_SPINCOUNT")


@pytest.mark.parametrize(
    ("text", "cores_of_it"),
    [("150000 100000", 2), ("max 100000", sys.maxsize), ("", sys.maxsize), ("100000 100000\n", 1), ("10000 100000", 1)],
)
def test_a_containers_quota(tmp_path: Path, text: str, cores_of_it: int) -> None:
    file = tmp_path / "cpu.max"
    assert cores._quota(file) == sys.maxsize
    file.write_text(text)
    assert cores._quota(file) == cores_of_it


@pytest.mark.parametrize(
    ("wanted", "device", "processes", "workers"),
    [
        (None, "cpu", 1, 1),
        (None, "cuda", 1, 8),
        (None, "cuda", 4, 3),
        (None, "cuda", 16, 1),
        (0, "cuda", 1, 0),
        (3, "cpu", 1, 3),
    ],
)
def test_workers_by_the_cores_that_there_are(
    monkeypatch: pytest.MonkeyPatch, wanted: int | None, device: str, processes: int, workers: int
) -> None:
    monkeypatch.setattr(cores, "available_cores", lambda: 16)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", str(processes))
    assert cores.loader_workers(wanted, device) == workers


def test_no_more_threads_than_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr("torch.set_num_threads", asked.append)
    monkeypatch.setattr("torch.get_num_threads", lambda: 64)
    monkeypatch.setattr(cores, "available_cores", lambda: 4)
    for name in cores._THREADS:
        monkeypatch.delenv(name, raising=False)
    cores.settle_threads()
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    cores.settle_threads()
    assert asked == [4]
