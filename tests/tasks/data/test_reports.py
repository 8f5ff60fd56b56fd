"""What people report of such tools: see `tests/tasks/data/reports`."""

import re
from pathlib import Path
from typing import Any

import pytest

from backbones import InputError
from tasks.data import open_data
from tasks.doctor import examine
from tests.heads import data_for
from tests.tasks.data.reports.base import wrong
from tests.tasks.data.reports.table import REPORTS


def test_there_are_enough() -> None:
    assert len(REPORTS) >= 200


@pytest.mark.parametrize("name", REPORTS)
def test_it_is_as_it_should_be(name: str, tmp_path: Path) -> None:
    assert wrong(REPORTS[name], tmp_path / "data") is None


@pytest.mark.parametrize("name", [name for name, report in REPORTS.items() if report.refused is not None])
def test_the_doctor_says_it_in_the_words_of_a_training(name: str, tmp_path: Path) -> None:
    report = REPORTS[name]
    report.make(tmp_path / "data")
    kind: Any = report.kind
    settings = data_for(kind, path=str(tmp_path / "data"), **report.settings)
    with pytest.raises(InputError) as error:
        open_data(settings, kind)
    said = _said_by_the_doctor(settings, kind)
    assert str(error.value) in said
    assert any(re.search(report.refused or "", message) for message in said)


def _said_by_the_doctor(settings: Any, kind: Any) -> list[str]:
    try:
        found = examine(settings, kind)
    except InputError as error:
        return [str(error)]
    assert found.fails
    return [finding.message for group in found.groups for finding in group.findings if group.check.level == "error"]
