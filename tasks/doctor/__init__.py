"""Everything that is wrong or odd with a data set, before an hour of training is lost."""

from tasks.doctor.examination import Examination, examine, quick_findings
from tasks.doctor.fixing import fix, is_correctable, is_corrected
from tasks.doctor.page import augmentation_sheet, worst_images

__all__ = [
    "Examination",
    "augmentation_sheet",
    "examine",
    "fix",
    "is_correctable",
    "is_corrected",
    "quick_findings",
    "worst_images",
]
