"""Dispatch: what becomes of a stored event, and the row that says why not."""

import pytest
from django.conf import settings
from django.db import connection
from django_q.tasks import queue_size

from connections import turns
from connections.models import KlaviyoAccount
from events.models import Event, Inbox
from tests.events.vrio_records import customer, offer, order, sale, shipped
from tests.webhooks_log.inbox import NOW, connect, ids, only, post, profile, rows, sent, shop, states, tell
from webhooks_log import dispatch

pytestmark = pytest.mark.django_db


def test_a_sale_becomes_three_events_that_are_due() -> None:
    merchant = shop()
    tell(merchant, sale())
    assert states(merchant) == [
        ("Placed Order", "queued", ""),
        ("Ordered Product", "queued", ""),
        ("Started Subscription", "queued", ""),
    ]
    assert [row.unique_id for row in rows(merchant)] == ["1668", "1668_1", "1668_1_sub"]
    assert all(row.next_attempt_at == NOW and row.email == "sarah.mason@klaviyo-demo.com" for row in rows(merchant))
    assert Event.objects.get().state == "dispatched"


def test_dispatching_twice_adds_nothing() -> None:
    merchant = shop()
    tell(merchant, sale())
    Event.objects.update(state="received")
    dispatch.run(now=NOW)
    assert len(rows(merchant)) == 3


def test_the_same_fact_under_another_event_id_is_already_told() -> None:
    merchant = shop()
    tell(merchant, sale(), sale(event_id="other"))
    assert len(ids(merchant)) == 3
    again = rows(merchant)[3:]
    assert {row.reason for row in again} == {"already_told"}


def test_lifetime_value_and_next_charge_go_along() -> None:
    merchant = shop()
    tell(merchant, sale())
    told = profile(only(merchant, "Placed Order"))["properties"]
    assert told["CLV"] == "29.99"
    assert told["NextChargeDate"] == "2025-09-15"
    assert told["ActiveSubscriber"] is True


def test_a_shipment_of_an_unknown_customer_waits_and_goes_with_the_sale() -> None:
    merchant = shop()
    tell(merchant, shipped())
    assert states(merchant) == [("Fulfilled Order", "waiting", "customer_unknown")]
    tell(merchant, sale())
    row = only(merchant, "Fulfilled Order")
    assert row.state == "queued"
    assert sent(row)["properties"]["Items"][0]["SKU"] == "VIT-D3"
    assert sent(row)["properties"]["TrackingNumber"] == "1Z123456789"


def test_a_pause_speaks_once_and_a_price_change_never() -> None:
    merchant = shop()
    tell(merchant, sale(), offer("Active", "2025-09-01 10:00:00"))
    tell(merchant, offer("Paused", "2025-09-02 10:00:00"), offer("Paused", "2025-09-03 10:00:00"))
    assert [row.metric for row in rows(merchant)[3:]] == ["Paused Subscription", ""]
    tell(merchant, offer("Active", "2025-09-04 10:00:00"))
    assert [row.metric for row in rows(merchant)[5:]] == ["Unpaused Subscription"]


def test_an_order_update_of_a_new_customer_sends_the_profile_alone() -> None:
    merchant = shop()
    tell(merchant, order(customer=customer()))
    assert states(merchant) == [("", "waiting", "profile_pause")]
    tell(merchant, sale())
    assert states(merchant)[0] == ("", "skipped", "carried")


def test_without_a_connection_the_event_is_ignored() -> None:
    merchant = shop()
    merchant.connections.all().delete()
    tell(merchant, sale())
    assert Event.objects.get().reason == "no_connection"


def test_two_connections_are_told_each() -> None:
    merchant = shop()
    connect(merchant, "Second")
    tell(merchant, sale())
    assert len(rows(merchant)) == 6


def test_one_unreadable_event_breaks_only_itself() -> None:
    merchant = shop()
    post(merchant, sale("1", date_complete="yesterday"), sale("2"))
    dispatch.run(now=NOW)
    assert [event.state for event in Event.objects.order_by("pk")] == ["broken", "dispatched"]


REFUSING = {  # an order that the database will not have, whoever writes it
    "sqlite": ["""CREATE TRIGGER refusing BEFORE INSERT ON events_order WHEN new.vrio_id = '2'
                  BEGIN SELECT RAISE(ABORT, 'refused'); END"""],
    "postgresql": [
        """CREATE FUNCTION refuse() RETURNS trigger AS $$ BEGIN RAISE 'refused'; END $$ LANGUAGE plpgsql""",
        """CREATE TRIGGER refusing BEFORE INSERT ON events_order FOR EACH ROW WHEN (new.vrio_id = '2')
           EXECUTE FUNCTION refuse()""",
    ],
}  # fmt: skip


def test_one_event_that_breaks_us_breaks_only_itself(caplog) -> None:
    merchant = shop()
    post(merchant, *(sale(number, order={"id": number}) for number in ("1", "2", "3")))
    with connection.cursor() as cursor:
        for statement in REFUSING[connection.vendor]:
            cursor.execute(statement)
    dispatch.run(now=NOW)
    assert [(event.state, event.reason) for event in Event.objects.order_by("pk")] == [
        ("dispatched", ""),
        ("broken", "fault"),
        ("dispatched", ""),
    ]
    assert {row.order_id for row in rows(merchant)} == {"1", "3"}
    (said,) = [record for record in caplog.records if record.name == dispatch.__name__]
    assert "refused" in str(said.exc_info[1])


def test_nobody_is_called_for_what_is_being_served() -> None:
    merchant = shop()
    account = KlaviyoAccount.objects.get()
    assert turns.take(KlaviyoAccount, account.pk, holder="pump", seconds=60)
    before = queue_size()
    tell(merchant, sale())
    assert queue_size() == before


def test_slices_of_one_run_call_nobody_between_them(monkeypatch) -> None:
    merchant = shop()
    post(merchant, *(sale(str(number)) for number in range(5)))
    monkeypatch.setattr(dispatch, "SLICE_SECONDS", -1.0)
    monkeypatch.setattr(settings, "DISPATCH_BATCH", 1)
    before = queue_size()
    assert dispatch.run(now=NOW)
    assert not Event.objects.filter(state="received").exists()
    assert queue_size() == before + 1  # the lane's


def test_a_slice_leaves_the_rest_to_the_next(monkeypatch) -> None:
    merchant = shop()
    post(merchant, *(sale(str(number)) for number in range(3)))
    (inbox,) = dispatch.waiting_inboxes()
    monkeypatch.setattr(dispatch, "SLICE_SECONDS", -1.0)
    monkeypatch.setattr(settings, "DISPATCH_BATCH", 1)
    assert [dispatch.drain(inbox, now=NOW) for _ in range(4)] == [1, 1, 1, 0]


def test_what_is_left_when_the_time_is_up_is_rung_for() -> None:
    merchant = shop()
    post(merchant, sale())
    before = queue_size()
    assert not dispatch.run(now=NOW, seconds=0)
    assert queue_size() == before + 1


def test_another_dispatcher_at_it_leaves_the_events_to_them() -> None:
    merchant = shop()
    post(merchant, sale())
    inbox = Inbox.objects.create(merchant=merchant)
    turn = turns.take(Inbox, inbox.pk, holder="other", seconds=60)
    assert dispatch.drain(inbox.pk, now=NOW) == 0
    assert turn is not None
    turns.release(turn)
    assert dispatch.drain(inbox.pk, now=NOW) == 1


def test_live_events_go_before_history() -> None:
    merchant = shop()
    post(merchant, sale("1"), backfill=True)
    post(merchant, sale("2", at="2025-09-30 08:00:00", transaction_cycle="2"))
    dispatch.run(now=NOW)
    assert [row.unique_id for row in rows(merchant)][:2] == ["2", "2_1"]
