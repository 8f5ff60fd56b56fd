"""All cases: `REPORTS`, by their names."""

from tests.tasks.data.reports import coco, masks, tools, voc, yolo
from tests.tasks.data.reports.base import REPORTS

__all__ = ["REPORTS", "coco", "masks", "tools", "voc", "yolo"]
