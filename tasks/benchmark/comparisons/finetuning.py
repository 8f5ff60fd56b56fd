"""One epoch of finetuning on real data, each side in a process of its own, from that process's start to its metrics.

`python -m ... JSON` is our side.
"""

import contextlib
import io
import json
import os
import subprocess
import sys
import tempfile
from typing import Any

from tasks.benchmark.comparisons.detectors import detector_pair
from tasks.benchmark.comparisons.line import Conditions, Pair
from tasks.training import as_it_was

_PEER = "tasks.benchmark.comparisons.torchvision_recipe"
_MODULE = "tasks.benchmark.comparisons.finetuning"  # not __name__, which is another where this is our side


def finetuning_pair(conditions: Conditions) -> Pair:
    """The seed is the number of the pair; both evaluate on val and on test, where there is one."""
    data = conditions.data
    assert data is not None
    metrics: dict[str, list[dict[str, float]]] = {"ours": [], "peer": []}

    def run(side: str, module: str, number: int, environment: dict[str, str]) -> None:
        asked = {
            "folder": str(data.folder),
            "weights": None if data.weights is None else str(data.weights),
            "stride_in_1x1": data.stride_in_1x1,
            "backbone": conditions.backbone,
            "side": conditions.sizes.height,
            "batch_size": conditions.sizes.batch,
            "device": conditions.device,
            "seed": conditions.seed + number,
        }
        command = [sys.executable, "-m", module, json.dumps(asked)]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=environment)
        metrics[side].append(json.loads(done.stdout.splitlines()[-1]))

    same = detector_pair(conditions, head="faster_rcnn", frozen_stages=3, expert=False)
    return Pair(
        same.check,
        lambda number: run("ours", _MODULE, number, dict(os.environ)),
        lambda number: run("peer", _PEER, number, as_it_was()),
        warm_up=0,
        notes=lambda: {f"AP of {side}": values for side, values in metrics.items()},
    )


def main(asked: dict[str, Any]) -> dict[str, float]:
    """Train by the recipe that is ours for this."""
    from tasks.runs import train

    with tempfile.TemporaryDirectory() as folder:
        run = train(
            task="detection",
            config="detection/finetune",
            data=asked["folder"],
            backbone={
                "name": asked["backbone"],
                "weights": asked["weights"],
                "stride_in_1x1": asked["stride_in_1x1"],
                "freeze": "1-3",
            },
            image_size=asked["side"],
            batch_size=asked["batch_size"],
            epochs=1,
            seed=asked["seed"],
            device=asked["device"],
            output=f"{folder}/run",
        )
    return {"val": run.metrics["AP"]} | ({"test": run.test["AP"]} if run.test else {})


if __name__ == "__main__":
    with contextlib.redirect_stdout(io.StringIO()):
        metrics = main(json.loads(sys.argv[1]))
    print(json.dumps(metrics))
