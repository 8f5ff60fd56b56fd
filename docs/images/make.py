"""Makes the README's images from the built-in shapes: `uv run docs/images/make.py`, two minutes on 2 cores."""

import json
import re
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from tasks.commands.summary import metrics_table

from tasks import load_predictor
from tasks.commands import main
from tasks.config import DetectionData
from tasks.data import open_data
from tasks.drawing import contact_sheet, draw_objects

FOLDER = Path(__file__).parent
ENLARGED = 3
ROWS, COLUMNS = 2, 5


def predictions(run: Path) -> Image.Image:
    """What the run finds on the first images of val."""
    predictor = load_predictor(run)
    samples = open_data(DetectionData(image_size=64)).splits["val"]
    images = []
    for position in range(ROWS * COLUMNS):
        image = samples[position].read()
        found = predictor([image])[0].above(predictor.thresholds)
        large = np.kron(image, np.ones((ENLARGED, ENLARGED, 1), np.uint8))
        boxes, labels, scores = found.boxes.numpy() * ENLARGED, found.labels.numpy(), found.scores.numpy()
        images.append(draw_objects(large, boxes, labels, scores, predictor.classes))
    return contact_sheet([images[row * COLUMNS : (row + 1) * COLUMNS] for row in range(ROWS)], side=64 * ENLARGED)


def table(run: Path) -> str:
    """The table that a training ends with, as an SVG that needs no font from elsewhere."""
    summary = json.loads((run / "run.json").read_text())
    console = Console(record=True, markup=False, width=40, file=(run / "table.txt").open("w"))
    console.print(metrics_table({"val": summary["metrics"]}, f"best checkpoint (epoch {summary['best']['epoch']})"))
    template = re.sub(r"@font-face \{\{.*?\}\}|<!--.*?-->", "", CONSOLE_SVG_FORMAT, flags=re.DOTALL)
    return console.export_svg(title="vertebra train", code_format=template)


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        assert main(["train", "--output", str(run)]) == 0
        predictions(run).save(FOLDER / "predictions.jpg", quality=80)
        (FOLDER / "table.svg").write_text(table(run), encoding="utf-8")
