"""Clocks that jump by hours: nothing waits for an hour that is no more, nothing is told twice."""

from datetime import datetime, timedelta

import pytest
from django.db.models import F
from django.utils import timezone

from connections.models import Connection, KlaviyoAccount
from tests.twin import Twin
from tests.webhooks_log.books import assert_told_once
from tests.webhooks_log.lanes import Shop, pump
from webhooks_log import chores, claim
from webhooks_log.clock import Clock
from webhooks_log.models import Delivery, Heartbeat

pytestmark = pytest.mark.django_db(transaction=True)
HOURS = timedelta(hours=5)


@pytest.fixture
def shop(twin: Twin, settings) -> Shop:
    settings.KLAVIYO_BASE_URL = twin.url
    settings.LANE_THREADS, settings.LANE_BLOCK = 4, 10
    return Shop(twin)


def was_ahead(by: timedelta) -> None:
    """All that the tables hold was written by a clock that has been set back since."""
    ahead = {
        Delivery: ("next_attempt_at", "updated_at", "claimed_at"),
        KlaviyoAccount: ("leased_until", "served_at", "rung_at", "throttled_until", "breaker_until"),
        Connection: ("checked_at", "check_due_at"),
        Heartbeat: ("at",),
    }
    for model, names in ahead.items():
        model.objects.update(**{name: F(name) + by for name in names})
    Heartbeat.objects.filter(name="clock").update(detail={"database": (timezone.now() + by).isoformat()})


def in_seconds(moment: datetime | None) -> float:
    assert moment is not None
    return (moment - timezone.now()).total_seconds()


def test_what_is_due_and_what_a_dead_worker_held_goes_at_once(shop: Shop, twin: Twin) -> None:
    Clock().tick()
    shop.owe("due")
    shop.owe("left", state="sending", claims=1, claim_token=0, claimed_at=timezone.now())
    KlaviyoAccount.objects.update(leased_until=timezone.now(), lease_holder="dead:1", served_at=timezone.now())
    was_ahead(HOURS)
    assert claim.due_accounts(timezone.now(), mine=[], limit=9) == []
    Clock().tick()
    pump()
    assert_told_once(twin, ["due", "left"])


def test_a_retry_and_a_wait_are_as_long_as_they_were_to_be(shop: Shop) -> None:
    Clock().tick()
    retried = shop.owe("1", state="waiting", reason="retrying", next_attempt_at=timezone.now() + timedelta(minutes=5))
    KlaviyoAccount.objects.update(throttled_until=timezone.now() + timedelta(seconds=40))
    was_ahead(HOURS)
    Clock().tick()
    Clock().tick()
    retried.refresh_from_db()
    assert 240 < in_seconds(retried.next_attempt_at) < 310
    assert in_seconds(KlaviyoAccount.objects.get().throttled_until) < 50


def test_two_hosts_that_both_notice_put_it_right_once(shop: Shop) -> None:
    one, other = Clock(), Clock()
    one.tick()
    one.looked_at = other.looked_at = timezone.now() + HOURS
    KlaviyoAccount.objects.update(leased_until=timezone.now() + HOURS + timedelta(minutes=1))
    one.tick()
    other.tick()
    assert 0 < in_seconds(KlaviyoAccount.objects.get().leased_until) < 65


def test_chores_and_checks_go_on(shop: Shop) -> None:
    Clock().tick()
    Connection.objects.update(checked_at=timezone.now(), check_due_at=timezone.now() + timedelta(minutes=5))
    was_ahead(HOURS)
    Clock().tick()
    assert in_seconds(Connection.objects.get().check_due_at) < 310
    due = Heartbeat.objects.filter(name=chores.PURGE.row, at__gt=timezone.now())
    assert not due.exists()


def test_a_small_correction_is_no_jump(shop: Shop) -> None:
    Clock().tick()
    later = shop.owe("1", next_attempt_at=timezone.now() + timedelta(hours=1)).next_attempt_at
    was_ahead(timedelta(seconds=3))
    Clock().tick()
    assert Delivery.objects.get().next_attempt_at == later + timedelta(seconds=3)
