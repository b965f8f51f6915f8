"""Counts calls in Klaviyo's two fixed windows, one second and sixty, per account and endpoint family.

Asked after the scopes and before the contents, as the real service does; a refused call does not count.
"""

import math
import random
from dataclasses import dataclass, field

BURST_SECONDS, STEADY_SECONDS = 1.0, 60.0

# Endpoint family: calls per second, calls per minute. All keys of one account share them.
LIMITS = {
    "events": (350, 3500),
    "event": (10, 150),
    "bulk": (10, 150),
    "profiles": (75, 750),
    "lists": (75, 750),
    "metrics": (10, 150),
    "accounts": (1, 15),
    "privacy": (3, 60),
}


@dataclass(slots=True)
class Window:
    """One fixed window: `limit` calls in each stretch of `width` seconds, the stretches starting at `phase`."""

    limit: int
    width: float
    phase: float
    index: int = -1
    used: int = 0

    def turn(self, now: float) -> None:
        index = math.floor((now - self.phase) / self.width)
        if index != self.index:
            self.index, self.used = index, 0

    def seconds_left(self, now: float) -> float:
        return (self.index + 1) * self.width + self.phase - now


@dataclass(slots=True)
class Standing:
    """Where an account stands after one call; `retry_after` in whole seconds when it was refused, else None."""

    burst: Window
    steady: Window
    retry_after: int | None
    now: float

    def headers(self, described: str = "burst") -> dict[str, str]:
        """RateLimit-* of an admitted call (Remaining and Reset of the window named), Retry-After of a refused one."""
        if self.retry_after is not None:
            return {"Retry-After": str(self.retry_after)}
        window = self.burst if described == "burst" else self.steady
        burst, steady = self.burst.limit, self.steady.limit
        return {
            "RateLimit-Limit": f"{window.limit}, {burst};w=1, {steady};w=60",
            "RateLimit-Remaining": str(max(0, window.limit - window.used)),
            "RateLimit-Reset": str(int(window.seconds_left(self.now))),
        }


@dataclass(slots=True)
class Limits:
    """The windows of every account seen so far. `phase` None draws a phase for each window once."""

    phase: float | None = None
    chance: random.Random = field(default_factory=random.Random)
    _windows: dict[tuple[str, str], tuple[Window, Window]] = field(default_factory=dict)

    def admit(self, account: str, family: str, now: float, *, is_strict: bool = True) -> Standing:
        """Count one call at `now` (seconds of a steady clock) if both windows still have room."""
        pair = self._windows.get((account, family)) or self._open(account, family)
        for window in pair:
            window.turn(now)
        full = [window for window in pair if window.used >= window.limit] if is_strict else []
        if full:
            wait = max(window.seconds_left(now) for window in full)
            return Standing(*pair, retry_after=max(1, math.ceil(wait)), now=now)
        for window in pair:
            window.used += 1
        return Standing(*pair, retry_after=None, now=now)

    def forget(self, phase: float | None) -> None:
        """Start anew, with windows at this phase."""
        self.phase = phase
        self._windows.clear()

    def _open(self, account: str, family: str) -> tuple[Window, Window]:
        burst, steady = LIMITS[family]
        pair = (self._window(burst, BURST_SECONDS), self._window(steady, STEADY_SECONDS))
        self._windows[account, family] = pair
        return pair

    def _window(self, limit: int, width: float) -> Window:
        phase = self.chance.uniform(0, width) if self.phase is None else self.phase
        return Window(limit, width, phase)
