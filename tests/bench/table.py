"""What a benchmark prints: one table of figures with their aims, a line that sums up, and the exit status."""

from collections.abc import Iterable
from dataclasses import dataclass

NO_AIM = "no aim"


@dataclass(frozen=True, slots=True)
class Line:
    """One row of the table: what was measured, the figure, and its aim."""

    what: str
    figure: str
    aim: str
    met: bool


def at_least(what: str, figure: float, aim: float, form: str = ".3f") -> Line:
    return Line(what, format(figure, form), f">= {aim}", figure >= aim)


def below(what: str, figure: float, aim: float, form: str = ".0f") -> Line:
    return Line(what, format(figure, form), f"< {aim}", figure < aim)


def at_most(what: str, figure: float, aim: float, form: str = ".2f") -> Line:
    return Line(what, format(figure, form), f"<= {aim}", figure <= aim)


def without_aim(what: str, figure: float, form: str = ".0f") -> Line:
    return Line(what, format(figure, form), NO_AIM, met=True)


def none(what: str, count: int) -> Line:
    return Line(what, str(count), "0", count == 0)


def told(lines: Iterable[Line]) -> int:
    """Print the table; 1 where an aim is missed."""
    lines = list(lines)
    width = max(len(line.what) for line in lines)
    print(f"\n{'measure':<{width}}  {'figure':>10}  aim")
    for line in lines:
        print(f"{line.what:<{width}}  {line.figure:>10}  {line.aim}{'' if line.met else '   MISSED'}")
    missed, aims = sum(not line.met for line in lines), sum(line.aim != NO_AIM for line in lines)
    print(f"\n{aims - missed} of {aims} aims met" + (f", {missed} missed" if missed else ""))
    return 1 if missed else 0
