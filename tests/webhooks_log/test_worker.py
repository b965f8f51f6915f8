"""`manage.py worker` as a process: it delivers, leaves when asked, and ends what a killed one left behind."""

import os
import time

import psutil
import pytest

from connections.models import KlaviyoAccount
from events.models import Event, Inbox
from tests.events.vrio_records import sale
from tests.twin import Twin
from tests.webhooks_log import inbox
from tests.webhooks_log.books import assert_in_order, calls, repeats, wait_for_calls
from tests.webhooks_log.hosts import Host, Place, wait_until
from tests.webhooks_log.lanes import Shop
from webhooks_log.cluster import born, is_ours
from webhooks_log.models import Attempt, Delivery, Heartbeat

pytestmark = pytest.mark.django_db(transaction=True)


def owed() -> int:
    return Delivery.objects.filter(state__in=Delivery.OPEN).count()


def living(processes: list[psutil.Process]) -> list[psutil.Process]:
    return [one for one in processes if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]


def test_asked_to_leave_it_ends_within_seconds_and_leaves_nothing_half_done(place: Place, twin: Twin) -> None:
    """Even while Klaviyo does not answer."""
    twin.settings(latency_ms=600_000)
    shop = Shop(twin)
    for number in range(20):
        shop.owe(str(number))
    with Host(place, twin, KLAVIYO_TOTAL_SECONDS=700, LANE_LEASE_SECONDS=800) as host:
        wait_for_calls(twin, 8)
        cluster = host.cluster()
        host.stop()
    assert living(cluster) == []
    assert not Delivery.objects.filter(state="sending").exists()
    assert not KlaviyoAccount.objects.exclude(leased_until=None).exists()
    assert not Heartbeat.objects.filter(name__startswith="cluster:").exists()
    assert Attempt.objects.filter(kind="single").count() == len(calls(twin))


def test_another_takes_a_lane_at_once_and_repeats_nothing(place: Place, twin: Twin) -> None:
    """Long before the lease would run out."""
    twin.settings(latency_ms=200)
    shop, lasting = Shop(twin), {"LANE_LEASE_SECONDS": 600, "QUEUE_NAME": "shared"}
    expected = [shop.owe(str(number)).unique_id for number in range(120)]
    with Host(place, twin, **lasting) as one, Host(place, twin, **lasting) as other:
        wait_until(lambda: Heartbeat.objects.filter(name__startswith="cluster:").count() == 2)
        wait_for_calls(twin, 8)
        holder = KlaviyoAccount.objects.get().lease_holder
        first, second = (one, other) if holder_is_of(one, holder) else (other, one)
        first.stop()
        wait_until(lambda: owed() == 0, 20)
        second.stop()
    assert repeats(twin) == 0
    assert_in_order(twin, expected)


def holder_is_of(host: Host, holder: str) -> bool:
    return int(holder.rpartition(":")[2]) in {member.pid for member in host.family()}


def test_another_goes_on_dispatching_at_once(place: Place, twin: Twin) -> None:
    merchant, lasting = inbox.shop(push_events=False), {"DISPATCH_LEASE_SECONDS": 600}
    Inbox.objects.create(merchant=merchant)
    inbox.post(merchant, *(sale(str(number)) for number in range(1, 301)))
    undispatched = Event.objects.filter(state="received")
    with Host(place, twin, DISPATCH_BATCH=2, **lasting) as one:
        wait_until(lambda: undispatched.count() < 300)
        one.stop()
    assert undispatched.exists()
    assert not Inbox.objects.exclude(leased_until=None).exists()
    with Host(place, twin, **lasting):
        wait_until(lambda: not undispatched.exists())
    assert Delivery.objects.count() == 3 * 300


def test_a_killed_workers_cluster_lives_on_until_the_next_worker_ends_it(one_place: Place, twin: Twin) -> None:
    host = Host(one_place, twin).start()
    wait_until(lambda: Heartbeat.objects.filter(name="queue").exists())
    orphans = host.kill_only_itself()
    assert len(living(orphans)) >= 5
    delivery = Shop(twin).owe("1")
    with Host(one_place, twin):
        wait_until(lambda: living(orphans) == [])
        wait_until(lambda: Delivery.objects.get(pk=delivery.pk).state == "delivered")
        assert Heartbeat.objects.filter(name__startswith="cluster:").count() == 1
    assert [event["unique_id"] for event in twin.events()] == ["1"]


def test_two_workers_of_one_host_leave_each_other_alone(one_place: Place, twin: Twin) -> None:
    expected = [Shop(twin).owe("1").unique_id]
    with Host(one_place, twin) as one:
        wait_until(lambda: owed() == 0)
        first = one.cluster()
        with Host(one_place, twin) as other:
            wait_until(lambda: Heartbeat.objects.filter(name__startswith="cluster:").count() == 2)
            wait_until(lambda: len(other.cluster()) >= 5)
            assert living(first) == first
            other.stop()
        one.stop()
    assert_in_order(twin, expected)


def test_a_recycled_process_id_is_not_the_process_of_before() -> None:
    assert born(os.getpid()) == born(os.getpid()) != ""
    assert born(2**22 + 1) == ""
    assert not is_ours(os.getpgid(0), f"/tmp/viaduct-{time.monotonic_ns()}/stop-1")
