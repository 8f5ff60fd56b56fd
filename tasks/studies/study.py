"""What a study is: a claim, settings, numbers, and what the numbers say of the claim. Imports no torch."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from tasks.config import Group

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Say = Callable[[str], None]


@dataclass(frozen=True)
class Curve:
    """One line of a figure.

    Attributes:
        name: what it is of.
        x, y: as long as each other.
    """

    name: str
    x: tuple[float, ...]
    y: tuple[float, ...]


@dataclass(frozen=True)
class Measured:
    """What a study has measured.

    Attributes:
        rows: the table, flat; each has the same keys.
        curves: what the figure needs besides.
    """

    rows: list[dict[str, Any]]
    curves: tuple[Curve, ...] = field(default=())


@dataclass(frozen=True)
class Finding:
    """What the numbers say of the claim.

    Attributes:
        holds: whether it holds here; None where these numbers cannot decide it.
        text: one or two sentences with the numbers.
    """

    holds: bool | None
    text: str

    def __str__(self) -> str:
        verdict = {True: "the claim holds here", False: "the claim does not hold here", None: "not decided here"}
        return f"{verdict[self.holds]}: {self.text}"


class StudySettings(Group):
    """A study is a subclass `Study` in a file of its own: its claim, its settings, and these three methods."""

    # With the paper and the section that it is from.
    claim: ClassVar[str] = ""

    seed: int = Field(0, ge=0, lt=2**31)
    """The same seed gives the same numbers, but for times."""

    def measure(self, say: Say, work: Path) -> Measured:
        """Do the experiment.

        Args:
            say: takes a line on how far it has come.
            work: a folder for what is gone afterwards.

        Raises:
            InputError, SettingsError: the data, the weights or a setting cannot be used.
        """
        raise NotImplementedError

    def finding(self, rows: list[dict[str, Any]]) -> Finding:
        """What the rows say of the claim, from their numbers alone."""
        raise NotImplementedError

    def draw(self, measured: Measured, figure: "Figure") -> None:
        """Draw the rows and the curves."""
        raise NotImplementedError
