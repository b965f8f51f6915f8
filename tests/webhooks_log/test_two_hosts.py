"""Two worker hosts on one PostgreSQL and one Redis: they share the lanes, and who lost a lease settles nothing."""

import signal

import pytest
from django.db import transaction
from django.utils import timezone

from connections.models import KlaviyoAccount
from tests.twin import Twin
from tests.webhooks_log.books import assert_in_order, assert_told_once, repeats, wait_for_calls
from tests.webhooks_log.hosts import Host, Place, PumpHost, wait_until
from tests.webhooks_log.lanes import Shop
from webhooks_log.models import Attempt, Delivery, Heartbeat

pytestmark = pytest.mark.django_db(transaction=True)
LANES, EACH = 20, 25


def owed() -> int:
    return Delivery.objects.filter(state__in=Delivery.OPEN).count()


def holders() -> set[int]:
    """The processes that hold lanes just now; the doctor borrows one now and then."""
    held = KlaviyoAccount.objects.filter(lease_holder__contains=":").values_list("lease_holder", flat=True)
    return {int(holder.rpartition(":")[2]) for holder in held}


def test_two_hosts_share_twenty_lanes_without_sending_anything_twice(postgres_place: Place, twin: Twin) -> None:
    twin.settings(latency_ms=150)
    queue = {"QUEUE_NAME": "shared", "LANE_LEASE_SECONDS": 10, "Q_WORKERS": 1}
    seen: set[int] = set()
    with Host(postgres_place, twin, **queue) as one, Host(postgres_place, twin, LANE_THREADS=4, **queue) as other:
        wait_until(lambda: Heartbeat.objects.filter(name__startswith="cluster:").count() == 2)
        with transaction.atomic():
            shops = [Shop(twin, cid=f"Lane{number:02}", name=f"shop{number}") for number in range(LANES)]
            expected = [shop.owe(f"{shop.merchant.pk}-{number}").unique_id for shop in shops for number in range(EACH)]

        def is_done() -> bool:
            seen.update(holders())
            return owed() == 0

        wait_until(is_done)
        groups = {one.process.pid: one.family(), other.process.pid: other.family()}
        one.stop()
        other.stop()
    assert all(seen & {member.pid for member in members} for members in groups.values())
    assert_in_order(twin, expected)
    assert repeats(twin) == 0


def test_a_drain_that_lost_its_lease_settles_nothing(place: Place, twin: Twin) -> None:
    """It froze with calls on the wire; when it wakes up, another has told the same and settled it."""
    shop = Shop(twin)
    expected = [shop.owe(str(number)).unique_id for number in range(30)]
    twin.settings(latency_ms=500)
    with PumpHost(place, twin, LANE_LEASE_SECONDS=1.5) as frozen:
        wait_for_calls(twin, 8)
        frozen.process.send_signal(signal.SIGSTOP)
        wait_until(lambda: not KlaviyoAccount.objects.filter(leased_until__gt=timezone.now()).exists())
        twin.settings(latency_ms=0)
        PumpHost(place, twin).start().finish()
        settled = dict(Delivery.objects.values_list("unique_id", "settled_at"))
        frozen.process.send_signal(signal.SIGCONT)
        wait_until(lambda: Attempt.objects.filter(is_late=True).exists())
        frozen.finish()
    assert dict(Delivery.objects.values_list("unique_id", "settled_at")) == settled
    assert Attempt.objects.filter(is_late=True).count() >= 8
    assert_told_once(twin, expected)
    assert_in_order(twin, expected)
