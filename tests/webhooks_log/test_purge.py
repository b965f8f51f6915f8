"""What goes when its time is over, and what stays because it is still owed."""

from datetime import datetime, timedelta

import pytest
from django.core.management import call_command
from django.urls import reverse

from events.models import Event, Transaction
from tests.webhooks_log import shop
from webhooks_log import walk
from webhooks_log.models import Attempt, AttemptContent, Body, Delivery, HourlyCount, Note, PurgeMark
from webhooks_log.purge import purge

pytestmark = pytest.mark.django_db

NOON = shop.NOON
OLD = {"created_at": NOON, "updated_at": NOON}


def prune(after_days: float) -> None:
    while not purge(now=NOON + timedelta(days=after_days), rest_seconds=0):
        pass


@pytest.fixture
def told(klaviyo) -> Delivery:
    """Refused with a phone, accepted without: two calls, two bodies."""
    row = shop.refused_phone(klaviyo, shop.customer(klaviyo.merchant))
    Delivery.objects.filter(pk=row.pk).update(**OLD)
    return row


def contents() -> list[bytes | None]:
    return [*Body.objects.values_list("content", flat=True), *AttemptContent.objects.values_list("packed", flat=True)]


def test_before_their_time_bodies_stay(told):
    prune(29)
    assert None not in contents()
    assert Event.objects.get().body


def test_bodies_go_and_rows_stay(told):
    prune(31)
    assert contents() == [None] * 4
    assert bytes(Event.objects.get().body) == b""
    assert Body.objects.filter(expired_at=None).count() == 0
    assert (Delivery.objects.count(), Attempt.objects.count()) == (1, 2)


def test_rows_go_with_everything_that_hangs_on_them(told):
    Note.objects.create(merchant=told.merchant, delivery=told, text="called her")
    prune(401)
    for model in (Delivery, Attempt, AttemptContent, Body, Note, Event):
        assert not model.objects.exists()


@pytest.mark.parametrize("state", ["queued", "sending", "waiting"])
def test_what_is_still_owed_keeps_its_bytes_and_its_event(klaviyo, state):
    row = shop.delivery(klaviyo, content=shop.message(), state=state, **OLD)
    prune(1000)
    row.refresh_from_db()
    assert row.body.content
    assert row.event.body


def test_what_was_owed_goes_once_it_is_settled(klaviyo):
    shop.delivery(klaviyo, content=shop.message(), state="waiting", **OLD)
    prune(31)
    Delivery.objects.update(state="delivered")
    prune(32)
    assert contents() == [None]


@pytest.mark.parametrize("state", ["received", "held", "broken"])
def test_an_event_that_waits_for_a_decision_keeps_its_body(klaviyo, state):
    shop.event(klaviyo.merchant, state=state)
    prune(1000)
    assert Event.objects.get().body


def test_a_merchant_has_clocks_of_its_own(told):
    other = shop.connection(shop.merchant("Outlet"))
    row = shop.delivery(other, content=shop.message(), **OLD)
    other.merchant.body_days = 90
    other.merchant.save()
    prune(31)
    row.body.refresh_from_db()
    assert row.body.content
    prune(91)
    row.body.refresh_from_db()
    assert row.body.content is None


def test_a_shorter_clock_reaches_what_the_longer_one_passed(told):
    told.merchant.body_days = 90
    told.merchant.save()
    other = shop.delivery(shop.connection(shop.merchant("Outlet")), content=shop.message(), **OLD)
    prune(31)
    told.merchant.body_days = None
    told.merchant.save()
    prune(32)
    assert contents() == [None] * 5
    assert other.pk > told.pk


def test_an_event_behind_the_mirror_keeps_its_row(told):
    event = Event.objects.get()
    Transaction.objects.create(
        source=event.source, vrio_id="1668", type="sale", is_approved=True, completed_at=NOON, event=event,
        facts_at=NOON,
    )  # fmt: skip
    prune(401)
    assert bytes(Event.objects.get().body) == b""
    assert not Delivery.objects.exists()


def test_a_large_table_goes_in_ranges_and_goes_on_where_it_stopped(klaviyo, monkeypatch):
    monkeypatch.setattr(walk, "BATCH", 3)
    for number in range(8):
        state = "waiting" if number == 1 else "delivered"
        shop.delivery(klaviyo, content=shop.message(), state=state, **OLD)
    assert not purge(now=NOON + timedelta(days=31), seconds=0.0, rest_seconds=0)
    prune(31)
    assert contents().count(None) == 7
    mark = PurgeMark.objects.get(name="deliveries, default")
    assert len(mark.left) == 1


def test_the_roll_up_keeps_the_years_chart(klaviyo):
    for days in (0, 100):
        at: datetime = NOON + timedelta(days=days)
        HourlyCount.objects.create(merchant=klaviyo.merchant, hour=at, outcome="received", count=1)
    prune(401)
    assert [count.hour for count in HourlyCount.objects.all()] == [NOON + timedelta(days=100)]


def test_the_command_says_what_is_left(capsys):
    call_command("prune")
    assert capsys.readouterr().out == "Nothing is left to let go.\n"


def test_an_expired_event_says_so_instead_of_showing_nothing(klaviyo, client):
    event = shop.event(klaviyo.merchant, body=b"")
    client.force_login(shop.person(klaviyo.merchant), backend="django.contrib.auth.backends.ModelBackend")
    assert client.get(reverse("admin:event_body", args=(event.pk,))).status_code == 404
    assert "Nothing is kept of this." in client.get(reverse("admin:event_opened", args=(event.pk,))).content.decode()
