"""What is said of a claim follows from the numbers: rows by hand, for and against."""

from typing import Any

import pytest

from tasks.studies import find_study

Rows = list[dict[str, Any]]


def _gradients(plain: float, residual: float, depth: int = 110, init: str = "he") -> Rows:
    first = {
        ("plain", "none"): plain,
        ("plain", "batch"): 3.0,
        ("residual", "none"): 5.0,
        ("residual", "batch"): residual,
    }
    return [
        {"init": init, "network": network, "norm": norm, "depth": depth, "first": value}
        for (network, norm), value in first.items()
    ]


def _errors(*values: float) -> Rows:
    kinds = [("plain", 20), ("plain", 56), ("residual", 20), ("residual", 56)]
    return [
        {"network": network, "depth": depth, "training error": value, "images": 9, "epochs": 2}
        for (network, depth), value in zip(kinds, values, strict=True)
    ]


def _branches(**ratios: float) -> Rows:
    rows = []
    for network, ratio in ratios.items():
        name = network.replace("_then", ",").replace("__", " ")
        for identity, value in ((True, ratio), (False, 7.0), (True, ratio)):
            rows.append({"network": name, "identity shortcut": identity, "branch / shortcut": value})
    return rows


def _arms(he: float, zero_last: float, zero_at_first: float = 0.0) -> Rows:
    return [
        {"network": network, "identity shortcut": True, "branch / shortcut": ratio}
        for network, ratio in {
            "he, untrained": 1.0,
            "he, trained": he,
            "zero_last, untrained": zero_at_first,
            "zero_last, trained": zero_last,
        }.items()
    ]


def _top1(batch: tuple[float | None, float], group: tuple[float, float]) -> Rows:
    return [
        {"norm": norm, "batch": size, "top1": value}
        for norm, values in (("batch", batch), ("group", group))
        for size, value in zip((1, 32), values, strict=True)
    ]


def _ious(gains: tuple[float, ...]) -> Rows:
    return [
        {"deep supervision": name, "seed": seed, "early mIoU": 0.3 + own, "last mIoU": 0.5 + own}
        for seed, gain in enumerate(gains)
        for name, own in (("off", 0.0), ("on", gain))
    ]


def _frozen(seconds: tuple[float, ...], metric: tuple[float, ...], weights: str = "given") -> Rows:
    return [
        {"frozen": frozen, "seconds an epoch": time, "peak memory, MiB": 900 + time, "AP": value, "weights": weights}
        for frozen, time, value in zip(("0", "1", "1-4"), seconds, metric, strict=True)
    ]


def _times(*latencies: float) -> Rows:
    return [
        {"backbone": name, "weights": "random", "MACs, G": macs, "latency, ms": latency, "mIoU": macs / 10}
        for name, macs, latency in zip(("a", "b"), (1.0, 2.0), latencies, strict=True)
    ]


@pytest.mark.parametrize(
    ("study", "rows", "holds", "said"),
    [
        ("gradient-flow", _gradients(1e-20, 1e-2), True, "at 110 layers, with he"),
        ("gradient-flow", _gradients(2.5e-3, 7.0), False, "2.5e-03 in the plain network without norms"),
        ("gradient-flow", _gradients(1e-20, 1e-20), False, "1.0e-20 in the residual one"),
        ("gradient-flow", _gradients(1e-20, 1e-2, depth=56), None, "at 56 layers"),
        ("gradient-flow", _gradients(1e-3, 7.0) + _gradients(1e-19, 7.0, init="xavier"), False, "It holds with xavier"),
        ("degradation", _errors(0.10, 0.14, 0.09, 0.07), True, "(+0.040) and from 0.090 to 0.070 with them (-0.020)"),
        ("degradation", _errors(0.10, 0.20, 0.09, 0.12), False, "shortcuts make it less"),
        ("degradation", _errors(0.10, 0.12, 0.09, 0.20), False, "shortcuts do not help yet"),
        ("degradation", _errors(0.10, 0.08, 0.09, 0.07), False, "without shortcuts (-0.020)"),
        ("degradation", _errors(0.80, 0.90, 0.80, 0.70), None, "too short"),
        ("identity", _arms(0.6, 0.2), True, "begin at zero and end nearer to the identity"),
        ("identity", _arms(0.2, 0.6), True, "end further from the identity"),
        ("identity", _arms(1.6, 0.2), False, "1.6 (he, trained)"),
        ("identity", _arms(0.6, 0.2, zero_at_first=0.1), False, "do not begin at zero"),
        ("identity", _branches(weights=0.4), True, "0.4 (weights)"),
        ("identity", _branches(weights=2.0), False, "2 (weights)"),
        ("norms", _top1((0.5, 0.9), (0.88, 0.9)), True, "batch norm 0.900 at 32 and 0.500 at 1"),
        ("norms", _top1((0.9, 0.9), (0.9, 0.9)), False, "0.900 at 1"),
        ("norms", _top1((0.5, 0.9), (0.5, 0.9)), False, "group norm 0.900 at 32 and 0.500 at 1"),
        ("norms", _top1((None, 0.9), (0.9, 0.9)), None, "batch norm, and refused at 1"),
        ("norms", _top1((0.2, 0.3), (0.3, 0.3)), None, "0.300 at 32"),
        ("deep-supervision", _ious((0.05, 0.06, 0.055)), True, "+0.055 at the end"),
        ("deep-supervision", _ious((-0.05, -0.06, -0.055)), False, "-0.055 at the end"),
        ("deep-supervision", _ious((0.05, -0.06, 0.02)), None, "within what seeds make"),
        ("deep-supervision", _ious((0.05,)), None, "over 1 pair of trainings"),
        ("freezing", _frozen((9.0, 8.0, 4.0), (0.5, 0.5, 0.3)), True, "from 9.0 to 4.0 s"),
        ("freezing", _frozen((9.0, 8.0, 4.0), (0.5, 0.3, 0.3)), False, "best, 0.500, with 0 frozen"),
        ("freezing", _frozen((9.0, 8.0, 4.0), (0.02, 0.01, 0.01)), None, "says nothing of the metric"),
        ("freezing", _frozen((9.0, 9.9, 4.0), (0.5, 0.5, 0.3)), False, "from 9.0 to 4.0 s"),
        ("freezing", _frozen((9.0, 8.0, 4.0), (0.5, 0.5, 0.3), "random"), None, "means nothing with random weights"),
        ("backbones", _times(5.0, 3.0), True, "by multiply-adds a < b, by latency b < a; b has the best mIoU, 0.200"),
        ("backbones", _times(3.0, 5.0), False, "by latency a < b"),
    ],
)
def test_findings(study: str, rows: Rows, holds: bool | None, said: str) -> None:
    required = {"data": "DIR"} if study == "degradation" else {}
    finding = find_study(study)(**required).finding(rows)
    assert finding.holds is holds
    assert said in finding.text
