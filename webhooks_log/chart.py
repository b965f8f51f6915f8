"""Columns of counts as one SVG picture: drawn on the server, nothing to load, readable without colours.

On the home page, above a table with the same numbers.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from webhooks_log.figures import Column, Span

WIDTH, HEIGHT, LEFT, BOTTOM = 1100, 250, 64, 40
LABELS = 6
PARTS = ("delivered", "skipped", "failed")
WORDS = {
    "received": "received",
    "delivered": "accepted",
    "skipped": "skipped",
    "failed": "failed",
    "waiting": "had to wait",
}
FORMATS = {"hour": "%H:%M", "day": "%b %-d", "month": "%b %Y"}


@dataclass(frozen=True, slots=True)
class Part:
    outcome: str
    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True, slots=True)
class Bar:
    """One column: its coloured parts, the words under it (some are left out), and the words when pointed at."""

    parts: list[Part]
    x: float
    label: str
    title: str


@dataclass(frozen=True, slots=True)
class Chart:
    bars: list[Bar]
    lines: list[tuple[float, int]]  # y, and the number that stands there
    width: int = WIDTH
    height: int = HEIGHT
    left: int = LEFT


def draw(columns: Sequence[Column], span: Span) -> Chart:
    """The chart of these columns; its scale ends at a round number."""
    top = _round_up(max((column.total for column in columns), default=0))
    step = (WIDTH - LEFT) / max(len(columns), 1)
    every = max(1, len(columns) // LABELS)
    bars = [_bar(column, LEFT + i * step, step, top, span, i % every == 0) for i, column in enumerate(columns)]
    return Chart(bars, [(_y(share * top / 2, top), round(share * top / 2)) for share in range(3)])


def _bar(column: Column, x: float, step: float, top: int, span: Span, is_labelled: bool) -> Bar:
    parts, below = [], 0
    for outcome in PARTS:
        count = column.counts[outcome]
        if count:
            upper = _y(below + count, top)
            parts.append(Part(outcome, x + step * 0.14, upper, step * 0.72, max(_y(below, top) - upper, 1)))
        below += count
    when = column.at.strftime(FORMATS[span.unit])
    told = (f"{column.counts[outcome]} {words}" for outcome, words in WORDS.items() if column.counts[outcome])
    title = f"{when}: {', '.join(told) or 'nothing'}"
    return Bar(parts, x + step / 2, when if is_labelled else "", title)


def _y(value: float, top: int) -> float:
    return round(HEIGHT - BOTTOM - value / top * (HEIGHT - BOTTOM - 28), 1)


def _round_up(value: int) -> int:
    """The next even number of at most two digits, times a power of ten, that is not below the value."""
    scale = 1
    while True:
        for digit in range(2, 20, 2):
            if digit * scale >= value:
                return digit * scale
        scale *= 10
