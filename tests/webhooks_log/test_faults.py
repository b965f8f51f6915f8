"""Workers die at every step, wires break, servers go away: at the end Klaviyo holds each event once and all is noted.

Real processes, killed by their pid at moments seen from outside: what the twin has received, what the tables say.
"""

import json
import socket
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from typing import Any

import pytest
from django.db import connection, transaction
from django.utils import timezone

from connections.models import KlaviyoAccount
from tests.twin import Twin
from tests.webhooks_log.books import (
    assert_every_call_is_accounted_for,
    assert_in_order,
    assert_nothing_is_stuck,
    calls,
    repeats,
    wait_for_calls,
)
from tests.webhooks_log.hosts import Host, Place, PumpHost, locked, wait_until
from tests.webhooks_log.lanes import Shop
from webhooks_log.models import Attempt, Delivery
from webhooks_log.packing import unpack_body

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
        wait_for_calls(twin, before + THREADS)
    twin.settings(latency_ms=0)


def killed_in_the_middle_of_a_block(place: Place, twin: Twin) -> None:
    before = len(calls(twin))
    twin.settings(latency_ms=40)
    with PumpHost(place, twin):
        wait_for_calls(twin, before + 2 * BLOCK)
    twin.settings(latency_ms=0)


def killed_while_it_settles(place: Place, twin: Twin) -> None:
    before = len(calls(twin))
    twin.settings(latency_ms=600)
    with PumpHost(place, twin) as host:
        wait_for_calls(twin, before + THREADS)
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


def test_a_full_lane_that_is_killed_is_taken_over(place: Place, twin: Twin) -> None:
    """With 64 calls on the wire: nothing lost, and no more repeats than were on the wire or not yet written down.

    How soon after the lease is measured by `make bench-delivery`.
    """
    threads, block = 64, 100
    expected = owe(twin, 500)
    twin.settings(latency_ms=150)
    full = {"LANE_THREADS": threads, "LANE_BLOCK": block, "LANE_LEASE_SECONDS": 3}
    with Host(place, twin, **full) as first, Host(place, twin, **full) as second:
        wait_for_calls(twin, 150)
        busy = next(host for host in (first, second) if holds_a_lane(host))
        busy.kill()
        on_the_wire = left_on_the_wire()
        wait_until(lambda: not Delivery.objects.filter(pk__in=on_the_wire).exclude(state="delivered").exists())
        wait_until(lambda: owed() == 0)
        first.stop() if busy is second else second.stop()
    assert_in_order(twin, expected)
    assert 0 < repeats(twin) <= threads + block
    assert Attempt.objects.filter(kind="interrupted").count() == len(on_the_wire)


def left_on_the_wire() -> set[int]:
    """What a dead worker leaves, once the database has ended what it was in the middle of."""
    seen: list[set[int]] = []

    def stands_still() -> bool:
        seen.append(set(Delivery.objects.filter(state="sending").values_list("pk", flat=True)))
        return len(seen) > 2 and seen[-1] == seen[-2] == seen[-3]

    wait_until(stands_still)
    return seen[-1]


def holds_a_lane(host: Host) -> bool:
    holder = KlaviyoAccount.objects.get().lease_holder
    return holder.rpartition(":")[2] in {str(member.pid) for member in host.family()}


def test_killed_during_the_second_call_without_the_phone_both_calls_are_known(place: Place, twin: Twin) -> None:
    maker, pointer = Shop(twin), "/data/attributes/profile/data/attributes/phone_number"
    expected = [maker.owe(str(number), phone="+15551234567").unique_id for number in range(4)]
    for unique_id in expected:
        twin.fault(unique_id=unique_id, status=400, pointer=pointer)
        twin.fault(unique_id=unique_id, delay_ms=10_000)
    with PumpHost(place, twin):
        wait_for_calls(twin, 8)
    wait_until(lease_is_over)
    PumpHost(place, twin).start().finish()
    assert_nothing_is_stuck()
    assert_every_call_is_accounted_for(twin)
    assert sorted(event["unique_id"] for event in twin.events()) == sorted(expected)
    assert all("phone_number" not in body for _, body in calls(twin)[4:])


# ── Bulk jobs ────────────────────────────────────────────────────────────────────────────────────────────────────────
BULK = {"LANE_BULK_ABOVE": 5}


def jobs(twin: Twin) -> list[bytes]:
    return [request["body"].encode() for request in twin.requests(path="/api/event-bulk-create-jobs")]


def killed_before_its_job_is_sent(place: Place, twin: Twin) -> None:
    with mute_server() as url, PumpHost(place, url, **BULK):
        wait_until(lambda: sending() == 60)


def killed_after_klaviyo_stored_its_job(place: Place, twin: Twin) -> None:
    twin.settings(latency_ms=10_000)
    with PumpHost(place, twin, **BULK):
        wait_until(lambda: len(jobs(twin)) == 1)
    twin.settings(latency_ms=0)


def killed_while_it_writes_down_its_job(place: Place, twin: Twin) -> None:
    twin.settings(latency_ms=600)
    with PumpHost(place, twin, **BULK) as host:
        wait_until(lambda: len(jobs(twin)) == 1)
        with locked("webhooks_log_attempt") as somebody_waits:
            wait_until(somebody_waits)
            host.kill()
    twin.settings(latency_ms=0)


@pytest.mark.parametrize(
    ("step", "was_stored"),
    [
        (killed_before_its_job_is_sent, False),
        (killed_after_klaviyo_stored_its_job, True),
        (killed_while_it_writes_down_its_job, True),
    ],
)
def test_a_worker_may_die_with_a_bulk_job_at_every_step(place: Place, twin: Twin, step, was_stored: bool) -> None:
    """What it held goes again in a job, or singly while the dead worker's calls are counted against the next job's."""
    expected = owe(twin, 60)
    step(place, twin)
    assert owed() == 60, "it came too late"
    assert len(jobs(twin)) == was_stored
    wait_until(lease_is_over)
    PumpHost(place, twin, **BULK).start().finish()
    assert_in_order(twin, expected)
    assert {len(seen) for seen in told_in_jobs(twin).values()} <= {1}, "an event was repeated with other bytes"
    told = {sha256(body).hexdigest(): body for body in jobs(twin)}
    for row in Delivery.objects.all():
        first, second = row.attempts.order_by("id")
        assert (first.kind, second.status) == ("interrupted", 202)
        if second.kind == "bulk":
            part = unpack_body(second.body)
            assert told[second.job][second.job_offset :].startswith(part)
            assert f'"{row.unique_id}"'.encode() in part


def told_in_jobs(twin: Twin) -> dict[str, set[str]]:
    """By unique id: each different way in which jobs told that event."""
    told = defaultdict(set)
    for body in jobs(twin):
        for group in json.loads(body)["data"]["attributes"]["events-bulk-create"]["data"]:
            for event in group["attributes"]["events"]["data"]:
                told[event["attributes"]["unique_id"]].add(json.dumps(event))
    return told


# ── The wire ─────────────────────────────────────────────────────────────────────────────────────────────────────────
TROUBLES: tuple[dict[str, Any], ...] = (
    {"drop": "before"},
    {"drop": "after"},
    {"status": 500},
    {"status": 502, "html": True},
    {"status": 503, "retry_after": 1},
    {"status": 403, "html": True},
    {"status": 408},
    {"status": 429, "retry_after": 1},
    {"status": 429, "retry_after": "0.4"},
    {"status": 520, "html": True, "store": True},
    {"status": 302, "redirect": "https://elsewhere.klaviyo-demo.com/"},
    {"raw": "HTTP/1.1 202 Accep"},
    {"raw": "not HTTP at all\r\n\r\n"},
    {"status": 500, "truncate": 5},
    {"status": 500, "truncate": True, "store": True},
    {"delay_ms": 800},
    {"delay_ms": 5_000},
    {"status": 500, "endless": True},
    {"status": 500, "drip_ms": 200, "store": True},
)


def test_whatever_the_wire_does_each_event_is_told_once(one_place: Place, twin: Twin) -> None:
    expected = owe(twin, 120)
    for number, trouble in enumerate(TROUBLES):
        twin.fault(**trouble, unique_id=expected[6 * number])
    PumpHost(one_place, twin, quiet=4.0, LANE_THREADS=32).start().finish(60)
    assert_in_order(twin, expected)
    assert twin.faults() == []
    met = set(Attempt.objects.values_list("verdict", flat=True))
    assert {"accepted", "cut_off", "no_answer", "server_fault", "edge_fault", "edge_blocked", "throttled"} <= met
    assert {"answered_late", "redirected"} <= met


# ── The servers ──────────────────────────────────────────────────────────────────────────────────────────────────────
def test_postgresql_and_redis_may_go_and_come_back(postgres_place: Place, twin: Twin) -> None:
    expected = owe(twin, 150)
    twin.settings(latency_ms=100)
    with Host(postgres_place, twin) as host:
        wait_for_calls(twin, 30)
        connection.close()
        postgres_place.postgres.kill()
        time.sleep(1.0)
        postgres_place.postgres.start()
        wait_for_calls(twin, 80)
        postgres_place.redis.kill()
        time.sleep(1.0)
        postgres_place.redis.start()
        wait_until(lambda: owed() == 0)
        assert host.process.poll() is None, "the worker itself stays"
        host.stop()
    assert_in_order(twin, expected)


def test_a_worker_that_is_asked_to_leave_while_the_database_is_away_leaves(postgres_place: Place, twin: Twin) -> None:
    expected = owe(twin, 40)
    twin.settings(latency_ms=300)
    with Host(postgres_place, twin) as host:
        wait_for_calls(twin, 8)
        connection.close()
        cluster = host.cluster()
        postgres_place.postgres.kill()
        host.stop()
        assert [one for one in cluster if one.is_running()] == []
        postgres_place.postgres.start()
    wait_until(lease_is_over)
    PumpHost(postgres_place, twin).start().finish()
    assert_in_order(twin, expected)
