"""What waits for a name: released by whoever names it, given up in the end, and released even then."""

from datetime import timedelta

import pytest

from tests.events.vrio_records import cancelled, created, customer, offer, order, sale, shipped
from tests.webhooks_log.inbox import NOW, only, rows, sent, shop, states, tell
from webhooks_log import dispatch

pytestmark = pytest.mark.django_db
DAY = timedelta(days=1)


def test_a_stub_of_the_unknown_customer_has_a_row_of_its_own() -> None:
    merchant = shop()
    tell(merchant, shipped())
    stub = merchant.customers.get()
    assert (stub.vrio_id, stub.email) == ("68441", "")
    assert rows(merchant)[0].customer == stub


@pytest.mark.parametrize("naming", [created(), order(customer=customer()), sale("99")])
def test_any_event_that_names_the_customer_releases(naming: bytes) -> None:
    merchant = shop()
    tell(merchant, shipped(), naming)
    assert only(merchant, "Fulfilled Order").state == "queued"


def test_a_customer_named_in_the_same_batch_is_not_waited_for() -> None:
    merchant = shop()
    tell(merchant, sale(), shipped())
    assert {row.state for row in rows(merchant)} == {"queued"}


def test_after_three_days_it_is_given_up() -> None:
    merchant = shop()
    tell(merchant, shipped())
    assert not dispatch.release_waiting(now=NOW + 3 * DAY - timedelta(minutes=1))
    assert dispatch.release_waiting(now=NOW + 3 * DAY)
    assert states(merchant) == [("Fulfilled Order", "skipped", "never_named")]


def test_who_is_named_later_is_still_released_and_marked_late() -> None:
    merchant = shop()
    tell(merchant, shipped())
    dispatch.release_waiting(now=NOW + 3 * DAY)
    tell(merchant, sale(), now=NOW + 5 * DAY)
    row = only(merchant, "Fulfilled Order")
    assert row.state == "queued"
    assert row.backfill
    assert sent(row)["backfill"] is True
    assert any("late" in note for note in row.notes)


def test_the_same_fact_told_meanwhile_is_not_told_again() -> None:
    merchant = shop()
    tell(merchant, shipped())
    dispatch.release_waiting(now=NOW + 3 * DAY)
    tell(merchant, shipped(date_scan="2025-09-01 10:00:00"), sale())
    assert sorted(row.state for row in rows(merchant, metric="Fulfilled Order")) == ["queued", "skipped"]


def test_a_status_change_is_fixed_at_arrival() -> None:
    merchant = shop()
    tell(merchant, offer("Active", "2025-09-01 10:00:00"), offer("Paused", "2025-09-02 10:00:00"))
    assert states(merchant) == [("Paused Subscription", "waiting", "customer_unknown")]
    tell(merchant, offer("Active", "2025-09-03 10:00:00"), sale("5"))
    assert {(row.metric, row.state) for row in rows(merchant)} >= {
        ("Paused Subscription", "queued"),
        ("Unpaused Subscription", "queued"),
    }


def test_what_waited_for_nobody_any_more_stays_a_row() -> None:
    merchant = shop()
    tell(merchant, cancelled("2025-09-01 10:00:00"))
    assert states(merchant)[0] == ("Cancelled Subscription", "waiting", "customer_unknown")


def test_a_named_customer_without_email_is_not_waited_for() -> None:
    merchant = shop()
    tell(merchant, sale(customer=customer(email="")), shipped())
    assert only(merchant, "Fulfilled Order").reason == "no_email"


def test_the_clock_finds_who_was_named_without_a_release() -> None:
    merchant = shop()
    tell(merchant, shipped())
    merchant.customers.update(email="sarah@klaviyo-demo.com", facts_at=NOW)
    assert dispatch.release_waiting(now=NOW)
    assert only(merchant, "Fulfilled Order").state == "queued"


def test_a_profile_that_pauses_is_due_by_itself_after_five_seconds() -> None:
    merchant = shop()
    tell(merchant, created())
    row = rows(merchant)[0]
    assert (row.state, row.reason, row.next_attempt_at) == ("waiting", "profile_pause", NOW + timedelta(seconds=5))
    assert row.body is not None
