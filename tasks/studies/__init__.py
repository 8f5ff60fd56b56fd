"""Small, seeded, repeatable experiments about residual networks: a file a study, found by its name.

What needs torch or matplotlib is imported when a study runs.
"""

from tasks.studies._lookup import find_study, list_studies
from tasks.studies.running import run_study
from tasks.studies.study import Curve, Finding, Measured, StudySettings

__all__ = ["Curve", "Finding", "Measured", "StudySettings", "find_study", "list_studies", "run_study"]
