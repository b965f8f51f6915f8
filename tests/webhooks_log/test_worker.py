"""`manage.py worker` as a process: it delivers, leaves when asked, and ends what a killed one left behind."""

import os
import time

import psutil
import pytest

from connections.models import KlaviyoAccount
from tests.twin import Twin
from tests.webhooks_log.books import assert_in_order, calls, wait_for_calls
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
    twin.settings(latency_ms=20_000)
    shop = Shop(twin)
    for number in range(20):
        shop.owe(str(number))
    with Host(place, twin, KLAVIYO_TOTAL_SECONDS=30, LANE_LEASE_SECONDS=60) as host:
        wait_for_calls(twin, 8)
        cluster = host.cluster()
        assert host.stop(30) < 15  # whoever waited for Klaviyo would leave later
    assert living(cluster) == []
    assert not Delivery.objects.filter(state="sending").exists()
    assert not KlaviyoAccount.objects.exclude(leased_until=None).exists()
    assert not Heartbeat.objects.filter(name__startswith="cluster:").exists()
    assert Attempt.objects.filter(kind="single").count() == len(calls(twin))


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
