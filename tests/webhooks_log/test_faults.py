"""Workers die at every step, wires break, servers go away: at the end Klaviyo holds each event once and all is noted.

Real processes, killed by their pid at moments seen from outside: what the twin has received, what the tables say.
"""

import socket
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import transaction
from django.utils import timezone

from connections.models import KlaviyoAccount
from tests.twin import Twin
from tests.webhooks_log.books import assert_in_order, calls, repeats
from tests.webhooks_log.hosts import Place, PumpHost, locked, wait_until
from tests.webhooks_log.lanes import Shop
from webhooks_log.models import Attempt, Delivery

pytestmark = pytest.mark.django_db(transaction=True)
THREADS, BLOCK = 8, 20


def owe(twin: Twin, count: int, **shop: str) -> list[str]:
    with transaction.atomic():
        maker = Shop(twin, **shop)
        return [maker.owe(f"{maker.merchant.pk}-{number:03}").unique_id for number in range(count)]


def sending() -> int:
    return Delivery.objects.filter(state="sending").count()


def owed() -> int:
    return Delivery.objects.filter(state__in=Delivery.OPEN).count()


def lease_is_over() -> bool:
    return not KlaviyoAccount.objects.filter(leased_until__gt=timezone.now()).exists()


@contextmanager
def mute_server() -> Iterator[str]:
    """Takes connections and never reads: whatever is sent there has not been received by anybody."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"http://127.0.0.1:{server.getsockname()[1]}"


# ── Every step of a drain ────────────────────────────────────────────────────────────────────────────────────────────
def killed_before_it_claims(place: Place, twin: Twin) -> None:
    with locked("webhooks_log_delivery") as somebody_waits, PumpHost(place, twin) as host:
        wait_until(somebody_waits)
        host.kill()


def killed_after_its_claim_before_it_sends(place: Place, twin: Twin) -> None:
    with mute_server() as url, PumpHost(place, url):
        wait_until(lambda: sending() >= THREADS)


def killed_after_it_sent_before_it_settles(place: Place, twin: Twin) -> None:
    before = len(calls(twin))
    twin.settings(latency_ms=10_000)
    with PumpHost(place, twin):
        wait_until(lambda: len(calls(twin)) == before + THREADS)
    twin.settings(latency_ms=0)


def killed_in_the_middle_of_a_block(place: Place, twin: Twin) -> None:
    before = len(calls(twin))
    twin.settings(latency_ms=40)
    with PumpHost(place, twin):
        wait_until(lambda: len(calls(twin)) >= before + 2 * BLOCK)
    twin.settings(latency_ms=0)


def killed_while_it_settles(place: Place, twin: Twin) -> None:
    before = len(calls(twin))
    twin.settings(latency_ms=600)
    with PumpHost(place, twin) as host:
        wait_until(lambda: len(calls(twin)) >= before + THREADS)
        with locked("webhooks_log_attempt") as somebody_waits:
            wait_until(somebody_waits)
            host.kill()
    twin.settings(latency_ms=0)


STEPS = (
    killed_before_it_claims,
    killed_after_its_claim_before_it_sends,
    killed_after_it_sent_before_it_settles,
    killed_in_the_middle_of_a_block,
    killed_while_it_settles,
)


def test_a_worker_may_die_at_every_step(place: Place, twin: Twin) -> None:
    expected = owe(twin, 160)
    for step in STEPS:
        step(place, twin)
        assert owed() > 0, f"{step.__name__} came too late"
        wait_until(lease_is_over)
    PumpHost(place, twin).start().finish()
    assert_in_order(twin, expected)
    assert Attempt.objects.filter(kind="interrupted").count() >= 3 * THREADS
    assert repeats(twin) <= len(STEPS) * (THREADS + BLOCK)
