"""When a whole lane should pause: a sliding window of outcomes, and one probe at a time until Klaviyo recovers. Pure.

A lane reports each outcome and asks whether it may send. Times are seconds of the wall clock; the state goes to and
from JSON with the account's row.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import Any

WINDOW_SECONDS = 30.0
MINIMUM = 20  # outcomes in the window before it may open
SHARE = 0.5
PAUSES = (5.0, 10.0, 20.0, 40.0, 60.0)  # seconds until the next probe, growing with each failed one


@dataclass(slots=True)
class Breaker:
    """Closed: all goes. Open until a moment: nothing goes. Then half-open: one call at a time decides."""

    outcomes: deque[tuple[float, bool]] = field(default_factory=deque)  # (when, failed)
    failures: int = 0
    probes: int = 0  # failed probes in a row
    open_until: float | None = None

    @property
    def is_closed(self) -> bool:
        return self.open_until is None

    def may_send(self, now: float, in_flight: int) -> bool:
        if self.open_until is None:
            return True
        return now >= self.open_until and in_flight == 0

    def report(self, now: float, failed: bool) -> None:
        """Count an outcome; opens or closes the breaker."""
        if not self.is_closed:
            self._probed(now, failed)
            return
        self.outcomes.append((now, failed))
        self.failures += failed
        while self.outcomes and self.outcomes[0][0] < now - WINDOW_SECONDS:
            self.failures -= self.outcomes.popleft()[1]
        if failed and len(self.outcomes) >= MINIMUM and self.failures >= SHARE * len(self.outcomes):
            self._open(now)

    def state(self) -> dict[str, Any]:
        return {"probes": self.probes, "open_until": self.open_until}

    @classmethod
    def restored(cls, state: dict[str, Any], now: float) -> "Breaker":
        until = state.get("open_until")
        # A clock set back must not keep a lane shut longer than the longest pause.
        return cls(probes=state.get("probes", 0), open_until=None if until is None else min(until, now + PAUSES[-1]))

    def _probed(self, now: float, failed: bool) -> None:
        if self.open_until is not None and now < self.open_until:
            return  # sent before it opened: one success among many failures must not send everything out again
        if not failed:
            self.open_until, self.probes = None, 0
        else:
            self.probes += 1
            self.open_until = now + PAUSES[min(self.probes, len(PAUSES) - 1)]

    def _open(self, now: float) -> None:
        self.open_until, self.probes, self.failures = now + PAUSES[0], 0, 0
        self.outcomes.clear()
