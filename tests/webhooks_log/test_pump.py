"""One pump, many lanes: nobody waits long behind anybody, and the database is asked little."""

from datetime import UTC, datetime, timedelta
from threading import Timer

import pytest
from django.db import connection, transaction
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from connections import turns
from connections.models import KlaviyoAccount
from events.models import Inbox
from tests.twin import Twin
from tests.webhooks_log.books import assert_nothing_is_stuck
from tests.webhooks_log.hosts import Host, Place, wait_until
from tests.webhooks_log.lanes import Shop, pump
from tests.webhooks_log.shop import event
from webhooks_log import claim, dispatch, jobs, lane
from webhooks_log import pump as pumping
from webhooks_log.models import Attempt, Delivery

pytestmark = pytest.mark.django_db(transaction=True)
LONG_AGO = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture
def shop(twin: Twin, settings) -> Shop:
    settings.KLAVIYO_BASE_URL = twin.url
    return Shop(twin)


def backlog(shop: Shop, count: int, **fields: object) -> None:
    with transaction.atomic():
        for number in range(count):
            shop.owe(f"{shop.merchant.pk}-{number}", **fields)


def arrived_at(twin: Twin, shop: Shop, unique_id: str) -> datetime:
    """When the twin received it."""
    sent = [call for call in twin.requests(account=shop.account.cid) if f'"{unique_id}"' in (call["body"] or "")]
    return datetime.fromisoformat(sent[0]["at"])


def test_calls_that_hang_in_one_lane_do_not_stop_another(shop: Shop, twin: Twin, settings) -> None:
    settings.LANE_THREADS, settings.KLAVIYO_TOTAL_SECONDS = 4, 6.0
    twin.fault(count=0, delay_ms=30_000, account=shop.account.cid)
    backlog(shop, 20)
    quiet = Shop(twin, cid="Quiet1", name="quiet")
    fresh = quiet.owe("fresh", next_attempt_at=timezone.now() + timedelta(seconds=1))
    pump(4)
    assert fresh.next_attempt_at < arrived_at(twin, quiet, "fresh")
    assert Attempt.objects.order_by("pk").values_list("delivery", "verdict").first() == (fresh.pk, "accepted")


def test_a_busy_lane_gives_its_place_to_one_that_waits(shop: Shop, twin: Twin, settings, monkeypatch) -> None:
    monkeypatch.setattr(pumping, "MOST_LANES", 2)
    settings.LANE_THREADS, settings.LANE_SLICE_SECONDS = 4, 0.5
    twin.settings(latency_ms=100)
    backlog(shop, 200)
    backlog(Shop(twin, cid="Second", name="second"), 200)
    quiet = Shop(twin, cid="Quiet1", name="quiet")
    fresh = quiet.owe("fresh", next_attempt_at=timezone.now() + timedelta(seconds=1))
    pump(6)
    fresh.refresh_from_db()
    assert fresh.state == "delivered"
    assert Delivery.objects.filter(state__in=Delivery.OPEN).exists()  # the others had more to do all the time


def test_a_lane_that_was_to_leave_goes_on_when_nobody_waits_any_more(
    shop: Shop, twin: Twin, settings, monkeypatch
) -> None:
    """Another worker took the lane that waited while this one was still on the wire."""
    monkeypatch.setattr(pumping, "MOST_LANES", 2)
    settings.LANE_THREADS, settings.LANE_SLICE_SECONDS = 2, 0.2
    twin.settings(latency_ms=400)
    backlog(shop, 12)
    backlog(Shop(twin, cid="Second", name="second"), 12)
    other = Shop(twin, cid="Third1", name="third")
    backlog(other, 12)
    taking = Timer(0.7, _take_and_close, args=(other.account.pk,))
    taking.start()
    pump(30)  # it leaves by itself long before
    taking.join()
    left = Delivery.objects.filter(state__in=Delivery.OPEN).values_list("account__cid", flat=True)
    assert set(left) <= {"Third1"}


def _take_and_close(pk: int) -> None:
    turns.take(KlaviyoAccount, pk, holder="other:1", seconds=60)
    connection.close()


def test_a_pump_that_finds_nothing_to_serve_leaves_at_once(shop: Shop) -> None:
    """The dispatcher's bell waits for a worker."""
    shop.owe("another pump's")
    turns.take(KlaviyoAccount, shop.account.pk, holder="other:1", seconds=60)
    idle = pumping.Pump(life_seconds=3600, quiet_seconds=3600)
    assert idle.run() == 0


def test_a_dispatcher_that_waits_for_a_worker_gets_this_one(shop: Shop) -> None:
    backlog(shop, 3)
    Inbox.objects.create(merchant=shop.merchant, rung_at=LONG_AGO)
    event(shop.merchant, state="received")
    assert pumping.Pump(life_seconds=3600, quiet_seconds=3600).run() == 0


def test_a_bell_for_an_inbox_that_owes_nothing_stops_no_pump(shop: Shop) -> None:
    backlog(shop, 3)
    Inbox.objects.create(merchant=shop.merchant, rung_at=LONG_AGO)
    assert pump() == 3


def test_whoever_is_called_for_an_inbox_answers_its_bell_whatever_it_owes(shop: Shop) -> None:
    inbox = Inbox.objects.create(merchant=shop.merchant, rung_at=LONG_AGO)
    jobs.dispatch(inbox.pk)
    inbox.refresh_from_db()
    assert inbox.rung_at is None


def test_inside_a_lane_a_fresh_event_overtakes_backlog_and_replays(shop: Shop, twin: Twin, settings) -> None:
    settings.LANE_THREADS, settings.LANE_BLOCK = 2, 10
    twin.settings(latency_ms=100)
    backlog(shop, 150, rank=Delivery.Rank.BACKLOG)
    fresh = shop.owe("fresh", next_attempt_at=timezone.now() + timedelta(seconds=1))
    pump(4)
    arrived = arrived_at(twin, shop, "fresh")
    calls = [datetime.fromisoformat(call["at"]) for call in twin.requests(account=shop.account.cid)]
    between = [at for at in calls if fresh.next_attempt_at < at < arrived]
    assert len(between) <= 2 * settings.LANE_BLOCK  # no more than what had been claimed by then


def test_a_quiet_lane_is_served_beside_twenty_that_are_full(one_place: Place, twin: Twin) -> None:
    twin.settings(latency_ms=400)
    for number in range(20):
        backlog(Shop(twin, cid=f"Full{number:02}", name=f"full{number}"), 30)
    quiet = Shop(twin, cid="Quiet1", name="quiet")
    with Host(one_place, twin, Q_WORKERS=2, LANE_LEASE_SECONDS=10) as host:
        wait_until(lambda: len(twin.requests()) > 60)
        fresh = quiet.owe("fresh")
        wait_until(lambda: Delivery.objects.get(pk=fresh.pk).state == "delivered")
        assert Delivery.objects.filter(state__in=Delivery.OPEN).exists()
        host.stop()


def test_full_blocks_cost_few_statements(shop: Shop, twin: Twin, settings, monkeypatch) -> None:
    settings.LANE_THREADS, settings.LANE_BLOCK, settings.BUDGET_ENABLED = 64, 100, False
    monkeypatch.setattr(lane, "FLUSH_SECONDS", 5.0)  # blocks are full however slow this machine is just now
    twin.settings(limits="off")
    backlog(shop, 1000)
    with CaptureQueriesContext(connection) as asked:
        pump()
    assert Delivery.objects.filter(state="delivered").count() == 1000
    # Looks for other lanes are made by the clock, however much is sent meanwhile.
    statements = [query for query in asked.captured_queries if "webhooks_log_" in query["sql"]]
    assert len(statements) / 1000 <= 0.12


def test_it_leaves_when_nothing_is_due_and_leaves_nothing_behind(shop: Shop) -> None:
    backlog(shop, 20)
    assert pump() == 20
    assert_nothing_is_stuck()
    assert claim.due_accounts(timezone.now(), mine=[], limit=1) == []


def test_a_bell_rings_at_once_for_a_lane_that_was_just_served(shop: Shop) -> None:
    backlog(shop, 1)
    pump()
    assert turns.ring(KlaviyoAccount, shop.account.pk, dispatch.DRAIN)


def test_what_another_process_learnt_of_a_wait_is_obeyed(shop: Shop, twin: Twin) -> None:
    shop.owe("1")
    later = timezone.now() + timedelta(minutes=5)
    due = claim.due_accounts(timezone.now(), mine=[], limit=1)
    KlaviyoAccount.objects.filter(pk__in=due).update(throttled_until=later)
    pump(1)
    assert twin.requests() == []
    assert KlaviyoAccount.objects.get(pk=shop.account.pk).throttled_until == later
