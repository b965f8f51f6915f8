"""The long form of the fault suite: workers, wires and servers fail at random for minutes, and then the books balance.

`make soak` (SOAK_SECONDS, SOAK_SEED). The seed is printed first; the same seed brings the same troubles in the same
order, though not at the same microsecond.
"""

import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

import psutil
import pytest
from django.db import Error as DatabaseFailure
from django.db import connection, transaction
from django.utils import timezone
from redis import Redis

from connections.models import Connection
from tests.twin import Twin
from tests.webhooks_log.books import assert_in_order, repeats
from tests.webhooks_log.hosts import Host, Place, wait_until
from tests.webhooks_log.lanes import Shop
from tests.webhooks_log.test_faults import TROUBLES
from webhooks_log.models import Attempt, Delivery

pytestmark = pytest.mark.django_db(transaction=True)
SECONDS = float(os.environ.get("SOAK_SECONDS", "90"))
SEED = int(os.environ.get("SOAK_SEED") or Random().randrange(1_000_000))
LANES = 4


@dataclass
class Chaos:
    """Everything that can go wrong, drawn from one seed."""

    place: Place
    twin: Twin
    shops: list[Shop]
    hosts: list[Host]
    chance: Random
    expected: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)

    def run(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self.owe()
            act = self.chance.choice(self.acts)
            self.done.append(act.__name__)
            act()
            time.sleep(self.chance.uniform(0.2, 2.0))

    @property
    def acts(self) -> list[Callable[[], None]]:
        acts = [self.nothing, self.wire_trouble, self.wire_trouble, self.slow, self.power_cut, self.leave, self.orphan]
        acts += [self.dead_queue_worker, self.freeze]
        return acts + ([self.database_away, self.redis_away, self.redis_emptied] if self.place.postgres else [])

    def owe(self) -> None:
        shop = self.chance.choice(self.shops)
        with transaction.atomic():
            for _ in range(self.chance.randrange(1, 60)):
                unique_id = f"{shop.account.cid}-{len(self.expected)}"
                shop.owe(unique_id, email=f"person{self.chance.randrange(500)}@klaviyo-demo.com")
                self.expected.append(unique_id)

    # ── Troubles ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def nothing(self) -> None: ...

    def wire_trouble(self) -> None:
        self.twin.fault(**self.chance.choice(TROUBLES), path="/api/events", count=self.chance.randrange(1, 12))

    def slow(self) -> None:
        self.twin.settings(latency_ms=self.chance.choice([0, 20, 150, 600]))

    def power_cut(self) -> None:
        host = self.chance.choice(self.hosts)
        host.kill()
        host.start()

    def leave(self) -> None:
        host = self.chance.choice(self.hosts)
        host.stop()
        host.start()

    def orphan(self) -> None:
        host = self.chance.choice(self.hosts)
        host.kill_only_itself()
        host.start()

    def dead_queue_worker(self) -> None:
        with suppress(psutil.NoSuchProcess, IndexError):
            self.chance.choice(self.chance.choice(self.hosts).cluster()[2:]).kill()

    def freeze(self) -> None:
        host = self.chance.choice(self.hosts)
        frozen = host.family()
        self._each(frozen, "suspend")
        time.sleep(self.chance.uniform(0.5, 5.0))
        self._each(frozen, "resume")

    def database_away(self) -> None:
        connection.close()
        self.place.postgres.kill()
        time.sleep(self.chance.uniform(0.0, 3.0))
        self.place.postgres.start()

    def redis_away(self) -> None:
        self.place.redis.kill()
        time.sleep(self.chance.uniform(0.0, 3.0))
        self.place.redis.start()

    def redis_emptied(self) -> None:
        Redis.from_url(self.place.redis_url).flushall()

    def _each(self, processes: list[psutil.Process], act: str) -> None:
        for process in processes:
            with suppress(psutil.NoSuchProcess):
                getattr(process, act)()


def open_rows() -> int:
    with suppress(DatabaseFailure):
        return Delivery.objects.filter(state__in=Delivery.OPEN).count()
    return -1


def send_again_what_was_poisoned() -> None:
    """Three violent ends in a row make a row suspect, rightly; a person may send it again."""
    poisoned = Delivery.objects.filter(state="failed")
    for row in poisoned:
        assert row.reason == "poisoned"
        assert Attempt.objects.filter(delivery=row, kind="interrupted").count() >= 3
    poisoned.update(state="queued", reason="", claims=0, next_attempt_at=timezone.now(), settled_at=None)


def test_after_any_troubles_the_books_balance(place: Place, twin: Twin, capsys: pytest.CaptureFixture[str]) -> None:
    with capsys.disabled():
        print(f"\n{place.name}: SOAK_SEED={SEED} SOAK_SECONDS={SECONDS:.0f}", flush=True)  # noqa: T201
    shared: dict[str, Any] = {"QUEUE_NAME": f"soak-{SEED}", "WATCHDOG_SECONDS": 12, "Q_WORKERS": 2, "LANE_THREADS": 16}
    hosts = [Host(place, twin, **shared) for _ in range(2 if place.postgres else 1)]
    shops = [Shop(twin, cid=f"Soak{number:02}", name=f"soak{number}") for number in range(LANES)]
    Connection.objects.update(check_due_at=timezone.now() + timedelta(days=1))
    chaos = Chaos(place, twin, shops, hosts, Random(SEED))
    try:
        for host in hosts:
            host.start()
        chaos.run(SECONDS)
        twin.settings(latency_ms=0)
        wait_until(lambda: open_rows() == 0, 180, every=0.2)
        send_again_what_was_poisoned()
        wait_until(lambda: open_rows() == 0, 60, every=0.2)
        for host in hosts:
            host.stop()
    finally:
        for host in hosts:
            host.kill()
    assert_in_order(twin, chaos.expected)
    with capsys.disabled():
        print(f"{len(chaos.expected)} events, {len(chaos.done)} troubles, {repeats(twin)} repeats")  # noqa: T201
