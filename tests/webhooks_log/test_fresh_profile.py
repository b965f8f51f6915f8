"""Late rows: a profile that an older message made old is put right once, with what is known by then."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from django.utils import timezone

from connections import secrets
from connections.models import Connection, KlaviyoAccount, Merchant
from events.models import Customer
from tests.events.vrio_records import customer, sale
from tests.twin import Twin
from tests.webhooks_log.inbox import only, profile, shop, tell
from tests.webhooks_log.lanes import pump
from webhooks_log import claim, fresh_profile, replay
from webhooks_log.models import Delivery
from webhooks_log.selection import Selection

pytestmark = pytest.mark.django_db(transaction=True)

NOW = datetime(2025, 9, 2, 12, 0, tzinfo=UTC)


@pytest.fixture
def merchant(twin: Twin, settings) -> Merchant:
    settings.KLAVIYO_BASE_URL = twin.url
    settings.LANE_THREADS = 4
    settings.LANE_ORDER_PATIENCE_SECONDS = 0  # younger messages pass older ones that are being retried
    made = shop()
    KlaviyoAccount.objects.update(cid="DemoA1")
    Connection.objects.update(sealed_key=secrets.seal(twin.key()), state=Connection.State.CONNECTED)
    return made


def buys(merchant: Merchant, transaction_id: str, day: int, **person: Any) -> None:
    tell(merchant, sale(transaction_id, at=f"2025-08-{day} 08:00:00", customer=customer(**person)))
    pump()


def delayed(merchant: Merchant, twin: Twin) -> Delivery:
    """A message that failed once and is due again after a younger one was accepted."""
    twin.fault(count=1, status=500, unique_id="1")
    buys(merchant, "1", 10, first_name="Sara")
    buys(merchant, "2", 20, first_name="Sally")
    row = Delivery.objects.get(unique_id="1")
    assert (row.state, row.reason) == ("waiting", "retrying")
    return row


def due_again(row: Delivery) -> None:
    Delivery.objects.filter(pk=row.pk).update(next_attempt_at=timezone.now())
    pump()


def owed() -> list[Delivery]:
    return list(Delivery.objects.filter(unique_id__startswith=fresh_profile.NAME))


def test_a_late_message_owes_one_profile_with_the_present_state(merchant: Merchant, twin: Twin) -> None:
    row = delayed(merchant, twin)
    due_again(row)
    (profile_row,) = owed()
    assert (profile_row.state, profile_row.reason, profile_row.metric) == ("waiting", "profile_refresh", "")
    fresh_profile.render_owed(now=NOW)
    pump()
    profile_row.refresh_from_db()
    told = json.loads(twin.requests(path="/api/profile-import")[-1]["body"])["data"]["attributes"]
    assert (profile_row.state, told["first_name"], told["email"]) == ("delivered", "Sally", row.email)


def test_a_message_in_its_order_owes_nothing(merchant: Merchant, twin: Twin) -> None:
    buys(merchant, "1", 10)
    buys(merchant, "2", 20)
    assert owed() == []


def test_several_late_messages_owe_one(merchant: Merchant, twin: Twin) -> None:
    row = delayed(merchant, twin)
    due_again(row)
    replay.send_again(row, actor=None, reason="to be sure")
    Delivery.objects.filter(pk=row.pk).update(identity_only=False)
    pump()
    assert len(owed()) == 1


def test_the_same_row_late_once_more_owes_another(merchant: Merchant, twin: Twin) -> None:
    row = delayed(merchant, twin)
    due_again(row)
    fresh_profile.render_owed(now=NOW)
    pump()
    replay.send_again(row, actor=None, reason="to be sure")
    pump()
    assert [profile_row.state for profile_row in owed()] == ["delivered", "waiting"]


def test_a_next_charge_that_an_old_message_brought_back_is_cleared(merchant: Merchant, twin: Twin) -> None:
    due_again(delayed(merchant, twin))
    Customer.objects.update(has_full_history=True)
    Customer.objects.get().subscriptions.update(status="cancelled", next_charge_on=None)
    fresh_profile.render_owed(now=NOW)
    (profile_row,) = owed()
    assert profile(profile_row)["properties"]["NextChargeDate"] is None


def test_a_replay_touches_no_profile_that_klaviyo_knows(merchant: Merchant, twin: Twin) -> None:
    buys(merchant, "1", 10)
    replayed(merchant)
    assert owed() == []


def test_a_replay_of_somebody_klaviyo_has_never_heard_of_owes_the_profile(merchant: Merchant, twin: Twin) -> None:
    twin.fault(count=0, status=400)
    buys(merchant, "1", 10)
    twin.reset()
    replayed(merchant)
    assert len(owed()) == 1


def replayed(merchant: Merchant) -> None:
    replay.start(Selection(), actor=None, reason="asked for", merchant=merchant, includes_delivered=True)
    replay.advance(now=timezone.now())
    pump()


def test_a_refresh_whose_event_has_expired_says_so(merchant: Merchant, twin: Twin) -> None:
    row = delayed(merchant, twin)
    due_again(row)
    row.event.body = b""
    row.event.save(update_fields=["body"])
    fresh_profile.render_owed(now=NOW)
    (profile_row,) = owed()
    assert (profile_row.state, "expired" in profile_row.detail) == ("skipped", True)


def test_only_delayed_rows_are_asked_about(merchant: Merchant, twin: Twin, django_assert_num_queries) -> None:
    tell(merchant, sale("1"))
    row = only(merchant, "Placed Order")
    fresh = claim.Owed(
        id=row.pk, merchant_id=merchant.pk, connection_id=row.connection_id, customer_id=row.customer_id,
        metric="Placed Order", campaign_id="", path=row.path, family="events", body_id=0, packed=b"", codec=0, size=0,
        rank=0, tries=0, claims=1, attempts=1, phone_dropped_at=None, happened_at=NOW,
        created_at=NOW - timedelta(seconds=5),
    )  # fmt: skip
    with django_assert_num_queries(0):
        assert fresh_profile.owe([fresh], now=NOW) == 0


def test_history_leaves_profiles_alone(merchant: Merchant, twin: Twin) -> None:
    row = delayed(merchant, twin)
    Delivery.objects.filter(pk=row.pk).update(identity_only=True, rank=Delivery.Rank.BACKLOG)
    due_again(row)
    assert owed() == []


def test_a_gate_that_closed_meanwhile_skips_the_profile(merchant: Merchant, twin: Twin) -> None:
    due_again(delayed(merchant, twin))
    Connection.objects.update(push_events=False)
    fresh_profile.render_owed(now=NOW)
    assert [(row.state, row.reason) for row in owed()] == [("skipped", "push_off")]
