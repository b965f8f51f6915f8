"""How much an account's limits still allow: pure arithmetic over times that the caller gives.

A lane asks `take` before each call. Klaviyo counts in fixed windows of one second and of one minute whose phase we
do not know, so we count in sliding ones, use 97 % of each, and spread the calls of a second evenly, since the
network may bunch what we sent evenly. Limits start from the documented figures and follow the `RateLimit-Limit`
header's `;w=` list. Times are seconds of the wall clock; state goes to and from JSON, so that budgets outlive
drains and processes.
"""

import re
from collections import deque
from dataclasses import dataclass, field
from math import ceil
from typing import Any

SHARE = 0.97
EVEN_SHARE = 0.962  # of a second's limit: what even spacing aims at, so that jitter stays below the limit itself
BUNCH = 34  # calls that may go at once before spacing begins: a tenth of a second of catching up
MOMENT = 0.001  # the shortest wait: below it floating point may stand still
SLOTS = 200  # how finely a window is counted: a slot is this share of it

EVENTS, BULK, PROFILES, LISTS, PRIVACY, OTHER = "events", "bulk", "profiles", "lists", "privacy", "other"

# Requests per window in seconds, by endpoint family, as Klaviyo documents them.
DOCUMENTED: dict[str, dict[int, int]] = {
    EVENTS: {1: 350, 60: 3500},
    BULK: {1: 10, 60: 150},
    PROFILES: {1: 75, 60: 750},
    LISTS: {1: 75, 60: 750},
    PRIVACY: {1: 3, 60: 60},
    OTHER: {1: 1, 60: 15},
}
_FAMILIES = (
    ("/api/event-bulk-create-jobs", BULK),
    ("/api/events", EVENTS),
    ("/api/profile", PROFILES),
    ("/api/lists", LISTS),
    ("/api/data-privacy-deletion-jobs", PRIVACY),
)


def family_of(path: str) -> str:
    """The endpoint family whose limits a path shares."""
    return next((family for prefix, family in _FAMILIES if path.startswith(prefix)), OTHER)


def parse_limits(header: str) -> dict[int, int]:
    """`350, 350;w=1, 3500;w=60` → {1: 350, 60: 3500}; {} when there is no such list."""
    return {int(window): int(limit) for limit, window in re.findall(r"(\d+)\s*;\s*w=(\d+)", header) if int(limit) > 0}


@dataclass(slots=True)
class Window:
    """A sliding count: at most `SHARE` of `limit` calls in any `seconds`."""

    limit: int
    seconds: int
    slots: deque[list[float]] = field(default_factory=deque)  # [start of slot, calls in it]
    count: int = 0

    @property
    def slot(self) -> float:
        return self.seconds / SLOTS

    @property
    def ceiling(self) -> int:
        return max(1, int(self.limit * SHARE))

    def wait(self, now: float) -> float:
        """Seconds until one more call fits; 0 if it fits now. Never negative, never above the window and a slot."""
        self._forget(now)
        if self.count < self.ceiling:
            return 0.0
        return max(MOMENT, self.slots[0][0] + self.slot + self.seconds - now) if self.slots else float(self.seconds)

    def add(self, now: float, calls: int = 1) -> None:
        if self.slots and now - self.slots[-1][0] < self.slot:
            self.slots[-1][1] += calls
        else:
            self.slots.append([now, calls])
        self.count += calls

    def _forget(self, now: float) -> None:
        # A slot counts until its youngest possible call has left the window.
        while self.slots and self.slots[0][0] <= now - self.seconds - self.slot:
            self.count -= int(self.slots.popleft()[1])
        if self.slots and self.slots[-1][0] > now:  # the clock was set back: neither freeze the lane nor forget
            for slot in self.slots:
                slot[0] = min(slot[0], now)


@dataclass(slots=True)
class FamilyBudget:
    """The windows of one endpoint family, and the even spacing inside a second."""

    windows: dict[int, Window]
    next_at: float = 0.0  # when the evenly spaced next call is due

    def wait(self, now: float) -> float:
        self.next_at = min(self.next_at, now + 1.0)  # after a clock set back it would stop the lane until then
        spaced = self.next_at - now - (BUNCH - 1) * self.spacing
        waits = [window.wait(now) for window in self.windows.values()]
        return max(*waits, max(MOMENT, spaced) if spaced > 0 else 0.0)

    def spend(self, now: float) -> None:
        for window in self.windows.values():
            window.add(now)
        self.next_at = max(self.next_at, now) + self.spacing

    @property
    def spacing(self) -> float:
        per_second = self.windows[1].limit if 1 in self.windows else 1
        return 1.0 / max(1.0, per_second * EVEN_SHARE)


class Budget:
    """All families of one account. Not thread-safe: one drain holds it."""

    def __init__(self, state: dict[str, Any] | None = None, *, now: float, enabled: bool = True) -> None:
        self.enabled = enabled
        self._families: dict[str, FamilyBudget] = {}
        self._learnt: dict[str, str] = {}  # the last header of each family, which is nearly always the next one's
        for family, saved in (state or {}).items():
            self._families[family] = _restored(saved, now)

    def wait(self, family: str, now: float) -> float:
        """Seconds until a call of this family may go: 0 means now."""
        return self._family(family).wait(now) if self.enabled else 0.0

    def take(self, family: str, now: float) -> bool:
        """Spend one call if it may go now."""
        if not self.enabled:
            return True
        budget = self._family(family)
        if budget.wait(now) > 0:
            return False
        budget.spend(now)
        return True

    def learn(self, family: str, header: str) -> None:
        """Follow the limits that an answer names."""
        if header == self._learnt.get(family, ""):
            return
        self._learnt[family] = header
        budget = self._family(family)
        for seconds, limit in parse_limits(header).items():
            if seconds in budget.windows:
                budget.windows[seconds].limit = limit

    def refused(self, family: str, now: float) -> None:
        """A 429: somebody else spends too, or our count is behind. Count the current second as used up."""
        budget = self._family(family)
        budget.next_at = max(budget.next_at, now + 1.0)

    def assume(self, calls: int, now: float) -> None:
        """Count calls that a dead drain may have made after its last save."""
        for family in {EVENTS, PROFILES, *self._families}:
            budget = self._family(family)
            for window in budget.windows.values():
                window.add(now, calls)
            budget.next_at = now + 1.0

    def state(self, now: float) -> dict[str, Any]:
        """What to save: limits, and the counts of windows still open, seconds rounded up to milliseconds."""
        return {family: _saved(budget, now) for family, budget in self._families.items()}

    def used(self, family: str, now: float) -> dict[int, tuple[int, int]]:
        """Per window in seconds: calls counted, and the limit."""
        budget = self._family(family)
        for window in budget.windows.values():
            window.wait(now)
        return {seconds: (window.count, window.limit) for seconds, window in budget.windows.items()}

    def _family(self, family: str) -> FamilyBudget:
        if family not in self._families:
            documented = DOCUMENTED.get(family, DOCUMENTED[OTHER])
            self._families[family] = FamilyBudget({s: Window(limit, s) for s, limit in documented.items()})
        return self._families[family]


def smaller(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The more careful of two saved budgets, family by family: for two accounts that turn out to be one."""
    merged = dict(other)
    for family, saved in one.items():
        theirs = other.get(family)
        merged[family] = saved if theirs is None or _spent(saved) >= _spent(theirs) else theirs
    return merged


def _spent(saved: dict[str, Any]) -> float:
    windows = saved["windows"].values()
    return sum(float(calls) / float(window["limit"]) for window in windows for _, calls in window["slots"])


def _saved(budget: FamilyBudget, now: float) -> dict[str, Any]:
    windows = {}
    for seconds, window in budget.windows.items():
        window.wait(now)
        slots = _coarse(window) if seconds > 1 else [[_rounded(at), calls] for at, calls in window.slots]
        windows[str(seconds)] = {"limit": window.limit, "slots": slots}
    return {"windows": windows, "next_at": _rounded(budget.next_at)}


def _coarse(window: Window) -> list[list[float]]:
    """Whole seconds, each counted as late as it may have been, so that what is read back never allows more."""
    seconds: dict[int, float] = {}
    for at, calls in window.slots:
        seconds[int(at)] = seconds.get(int(at), 0) + calls
    return [[second + 1.0, calls] for second, calls in seconds.items()]


def _rounded(at: float) -> float:
    """Up, so that what is read back never allows a call earlier."""
    return ceil(at * 1000) / 1000


def _restored(saved: dict[str, Any], now: float) -> FamilyBudget:
    windows = {}
    for seconds, entry in saved.get("windows", {}).items():
        slots = deque([min(float(at), now), int(calls)] for at, calls in entry["slots"])
        windows[int(seconds)] = Window(int(entry["limit"]), int(seconds), slots, sum(int(calls) for _, calls in slots))
    return FamilyBudget(windows, min(float(saved.get("next_at", 0.0)), now + 1.0))
