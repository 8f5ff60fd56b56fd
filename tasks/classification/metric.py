"""top1, top5 and the confusion matrix over a whole split."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from tasks.data import Batch, Indexed, LabelledSample

_FIVE = 5
_ABSENT = -1.0
_COLUMNS = ("index", "truth", "found", "rank")


class ClassificationMetric:
    """The true class, the found one and the rank of the true one, of each image.

    Images are known by their position in `samples`, so one that comes twice counts once.

    Args:
        samples: what is to be evaluated.
        classes: the names.
    """

    def __init__(self, samples: Indexed[LabelledSample], classes: Sequence[str]) -> None:
        self.samples = samples
        self.classes = tuple(classes)
        self._seen: dict[int, tuple[int, int, int]] = {}

    def update(self, batch: Batch, predictions: Sequence[Tensor]) -> None:
        """Add probabilities (classes,), one an image; the truth is the batch's."""
        for index, target, found in zip(batch.indices, batch.targets, predictions, strict=True):
            scores, truth = found.cpu().numpy(), int(target["label"])
            # Of equal scores the lower label comes first, as in argmax; what is no number is below all.
            order = np.argsort(-np.nan_to_num(scores, nan=-np.inf), kind="stable")
            self._seen.setdefault(index, (truth, int(order[0]), int(np.flatnonzero(order == truth)[0])))

    def arrays(self) -> dict[str, NDArray[np.int64]]:
        """What this process has seen, for the others."""
        rows = np.array([(index, *row) for index, row in sorted(self._seen.items())], np.int64).reshape(-1, 4)
        return dict(zip(_COLUMNS, rows.T, strict=True))

    def merge(self, arrays: Mapping[str, NDArray[np.int64]]) -> None:
        """Add what another process has seen."""
        for index, *row in zip(*(arrays[name].tolist() for name in _COLUMNS), strict=True):
            self._seen.setdefault(index, tuple(row))

    def compute(self) -> dict[str, float]:
        """top1 and top5, the shares of images whose class is the best, or among the best five; recall/<class>, the
        share of the class's images, -1 where there is none; and `images`, how many were evaluated.

        Raises:
            RuntimeError: an image of the split was not predicted.
        """
        missing = len(self.samples) - len(self._seen)
        if missing:
            raise RuntimeError(f"{missing} of {len(self.samples)} images were not predicted")
        ranks = self.arrays()["rank"]
        matrix = self.confusion()
        of_class = matrix.sum(axis=1)
        recall = np.where(of_class > 0, matrix.diagonal() / np.maximum(of_class, 1), _ABSENT)
        metrics = {
            "top1": float((ranks < 1).mean()) if len(ranks) else _ABSENT,
            "top5": float((ranks < _FIVE).mean()) if len(ranks) else _ABSENT,
            "images": len(self.samples),
        }
        return metrics | {f"recall/{name}": float(value) for name, value in zip(self.classes, recall, strict=True)}

    def confusion(self) -> NDArray[np.int64]:
        """(classes, classes): images by true class (rows) and found class (columns)."""
        matrix = np.zeros((len(self.classes),) * 2, np.int64)
        seen = self.arrays()
        np.add.at(matrix, (seen["truth"], seen["found"]), 1)
        return matrix

    def as_json(self) -> dict[str, Any]:
        """Every image with its class and the found one, and the confusion matrix, rows by true class."""
        seen, names = self.arrays(), [sample.name for sample in self.samples]
        rows = zip(seen["index"].tolist(), seen["truth"].tolist(), seen["found"].tolist(), strict=True)
        return {
            "classes": list(self.classes),
            "confusion": self.confusion().tolist(),
            "images": [
                {"file_name": names[index], "class": self.classes[truth], "found": self.classes[found]}
                for index, truth, found in rows
            ],
        }

    def confusions(self) -> list[tuple[str, str, int]]:
        """(class, found as, how often), the most frequent first."""
        matrix = self.confusion()
        np.fill_diagonal(matrix, 0)
        pairs = [(int(matrix[row, column]), row, column) for row, column in zip(*np.nonzero(matrix), strict=True)]
        pairs.sort(key=lambda pair: (-pair[0], pair[1:]))
        return [(self.classes[row], self.classes[column], count) for count, row, column in pairs]
