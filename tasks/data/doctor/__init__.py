"""Everything that is wrong or odd with a data set, before an hour of training is lost."""

from tasks.data.doctor.examine import Examination, Finding, examine, quick_faults

__all__ = ["Examination", "Finding", "examine", "quick_faults"]
