"""The sandbox as one object: a request goes in, an answer comes out, and everything it learnt stays inside.

Between the server, which knows only bytes, and the API, which knows only Klaviyo's rules.
"""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from .answers import Answer
from .api import Api
from .faults import Fault, Faults
from .journal import Journal
from .limits import Limits
from .requests import Request
from .store import Store
from .switches import Switches


@dataclass
class Twin:
    """One sandbox. The clocks can be given: `now` steady, `today` the wall's, both in seconds."""

    now: Callable[[], float] = time.monotonic
    today: Callable[[], float] = time.time
    chance: random.Random = field(default_factory=random.Random)

    def __post_init__(self) -> None:
        self.switches = Switches()
        self.faults = Faults()
        self.limits = Limits(chance=self.chance)
        self.journal = Journal(self.switches)
        self.store = Store(self.switches, self.now, self.today)
        self.api = Api(self.switches, self.store, self.limits, self.now)

    def answer(self, request: Request) -> Answer:
        """Judge one call, faults included, and note it."""
        key = self.api.key_of(request)
        account = key.account if key else None
        fault = self.faults.meet(request, account) if self.faults.queue else None
        answer = self._answer(request, fault, account)
        answer.delay += (self.switches.latency_ms + self.chance.uniform(0, self.switches.jitter_ms)) / 1000
        self.journal.write(request, answer, account, by_fault=fault is not None)
        return answer

    def arrival_delay(self) -> float:
        """Seconds this call was still under way."""
        return (
            self.chance.uniform(0, self.switches.arrival_jitter_ms) / 1000 if self.switches.arrival_jitter_ms else 0.0
        )

    def change(self, changes: dict[str, object]) -> None:
        """Set switches; a named phase starts the windows anew. Raises SwitchRefused."""
        self.switches.change(changes)
        if "phase" in changes:
            self.limits.forget(self.switches.phase)

    def reset(self) -> None:
        """As on the first day: nothing stored, no fault, every switch untouched, new phases."""
        self.switches.change(Switches().as_json())
        self.faults.queue.clear()
        self.limits.forget(None)
        self.journal.clear()
        self.store.clear()

    def _answer(self, request: Request, fault: Fault | None, account: str | None) -> Answer:
        if fault is None:
            return self.api.answer(request)
        own = self.api.answer(request) if fault.stores else Answer(202)
        answer = own if not fault.answers_itself else fault.answer()
        if fault.answers_itself and account and not fault.html:
            answer.headers.setdefault("Cid", account)
        return fault.spoil(answer)
