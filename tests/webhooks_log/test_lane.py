"""A lane from outside: Deliveries in, the twin's record out, and what the rows say afterwards."""

import time
from datetime import timedelta

import pytest
from django.utils import timezone

from connections.models import Connection, KlaviyoAccount
from tests.twin import Twin
from tests.webhooks_log.lanes import Shop, pump
from webhooks_log import breaker, refused_phones
from webhooks_log.models import Attempt, Delivery, HourlyCount, RefusedPhone
from webhooks_log.packing import unpack_body, unpack_content

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop(twin: Twin, settings) -> Shop:
    settings.KLAVIYO_BASE_URL = twin.url
    settings.LANE_THREADS = 8
    return Shop(twin)


def ids(twin: Twin) -> list[str]:
    return sorted(event["unique_id"] for event in twin.events())


def test_what_is_due_is_delivered_once(shop: Shop, twin: Twin) -> None:
    delivery = shop.owe("1668")
    pump()
    pump()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.http_status, delivery.attempt_count) == ("delivered", 202, 1)
    assert ids(twin) == ["1668"]


def test_the_attempt_holds_the_bytes_of_both_sides_and_no_key(shop: Shop, twin: Twin) -> None:
    delivery = shop.owe("1668")
    pump()
    attempt = Attempt.objects.get(delivery=delivery)
    content = unpack_content(attempt.content)
    seen = twin.requests()[-1]
    assert unpack_body(attempt.body).decode() == seen["body"]
    assert dict(content.request_headers)["Authorization"] == f"Klaviyo-API-Key ****{twin.key('DemoA1')[-4:]}"
    assert attempt.klaviyo_request_id == dict(content.response_headers)["X-Klaviyo-Req-Id"]
    assert content.answer == b""


def test_a_refused_phone_is_dropped_and_sent_again_at_once_exactly_once(shop: Shop, twin: Twin) -> None:
    twin.settings(possible_only="refused")
    delivery = shop.owe("1668", phone="+15551234567")
    pump()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.attempt_count, delivery.tries) == ("delivered", 2, 0)
    assert delivery.phone_dropped_at is not None
    first, second = Attempt.objects.filter(delivery=delivery).order_by("id")
    assert (first.status, first.verdict, second.status, second.without_phone) == (400, "phone_refused", 202, True)
    assert b"phone_number" not in unpack_body(second.body)
    assert ids(twin) == ["1668"]


@pytest.mark.parametrize("mode", ["reject", "partial"])
def test_a_refused_phone_is_remembered_for_the_account(shop: Shop, twin: Twin, mode: str) -> None:
    twin.settings(possible_only="refused", phone_mode=mode)
    shop.owe("1668", phone="+15551234567")
    shop.owe("1669", phone="+12025550123")
    pump()
    pump()
    assert RefusedPhone.objects.get().digest == refused_phones.digest("+15551234567")


def test_a_second_refusal_ends_it(shop: Shop, twin: Twin) -> None:
    refusal = {"status": 409}
    twin.fault(count=2, **refusal)
    delivery = shop.owe("1668", phone="+15551234567")
    pump()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason, delivery.attempt_count) == ("failed", "refused_again", 2)


def test_429_waits_as_long_as_klaviyo_says_and_uses_no_try(shop: Shop, twin: Twin) -> None:
    twin.fault(count=1, status=429, retry_after=40)
    delivery = shop.owe("1668")
    pump()
    delivery.refresh_from_db()
    account = KlaviyoAccount.objects.get()
    assert (delivery.state, delivery.reason, delivery.tries, delivery.claims) == ("waiting", "throttled", 0, 0)
    called = Attempt.objects.get()
    answered_at = called.started_at + timedelta(milliseconds=called.duration_ms)
    assert timedelta(seconds=39) < delivery.next_attempt_at - answered_at < timedelta(seconds=50)
    assert account.throttled_until == delivery.next_attempt_at


def test_429_stops_the_whole_lane(shop: Shop, twin: Twin, settings) -> None:
    settings.LANE_THREADS = 1
    twin.fault(count=1, status=429, retry_after=40)
    for number in range(30):
        shop.owe(str(number))
    pump()
    assert len(twin.requests()) == 1
    assert not Delivery.objects.filter(state="sending").exists()


@pytest.mark.parametrize("fault", [{"status": 500}, {"status": 503, "html": True}, {"drop": "before"}, {"truncate": 5}])
def test_a_fault_of_theirs_climbs_the_ladder(shop: Shop, twin: Twin, fault: dict) -> None:
    twin.fault(count=1, **fault)
    delivery = shop.owe("1668")
    pump()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason, delivery.tries) == ("waiting", "retrying", 1)
    assert delivery.next_attempt_at > timezone.now()
    assert HourlyCount.objects.get(outcome="waiting").count == 1


def test_stored_but_the_answer_was_lost_is_repeated_with_the_same_bytes(shop: Shop, twin: Twin) -> None:
    twin.fault(count=1, drop="after")
    delivery = shop.owe("1668")
    pump()
    Delivery.objects.update(next_attempt_at=timezone.now())
    pump()
    delivery.refresh_from_db()
    first, second = twin.requests()
    assert first["body"] == second["body"]
    assert (delivery.state, ids(twin)) == ("delivered", ["1668"])


def test_a_refused_key_holds_the_connection_and_burns_nothing(shop: Shop, twin: Twin) -> None:
    twin.fault(count=1, status=401)
    deliveries = [shop.owe(str(number)) for number in range(20)]
    pump()
    shop.connection.refresh_from_db()
    assert shop.connection.state == Connection.State.KEY_REFUSED
    pump()
    for delivery in deliveries:
        delivery.refresh_from_db()
        assert delivery.state in ("waiting", "delivered")
        assert delivery.tries == 0


def test_a_missing_scope_holds_its_family_only(twin: Twin, settings) -> None:
    settings.KLAVIYO_BASE_URL = twin.url
    shop = Shop(twin, kind="noevents")
    delivery = shop.owe("1668")
    pump()
    delivery.refresh_from_db()
    shop.connection.refresh_from_db()
    assert (delivery.state, delivery.reason, delivery.tries) == ("waiting", "scope_missing", 0)
    assert shop.connection.held_families == ["events"]


def test_a_customers_messages_leave_in_the_order_things_happened(shop: Shop, twin: Twin) -> None:
    twin.settings(latency_ms=5)
    for number in range(40):
        shop.owe(f"{number:03}", email=f"person{number % 4}@klaviyo-demo.com")
    pump()
    sent: dict[str, list[str]] = {}
    for event in twin.events():
        sent.setdefault(event["email"], []).append(event["unique_id"])
    assert len(twin.events()) == 40
    assert all(line == sorted(line) for line in sent.values())


def test_a_failed_message_does_not_block_the_customers_next(shop: Shop, twin: Twin) -> None:
    twin.fault(count=1, status=400, unique_id="1")
    shop.owe("1", email="ann@klaviyo-demo.com")
    shop.owe("2", email="ann@klaviyo-demo.com")
    pump()
    assert ids(twin) == ["2"]
    assert Delivery.objects.get(unique_id="1").state == "failed"


def test_a_fresh_message_waits_behind_the_customers_own_retry(shop: Shop, twin: Twin) -> None:
    twin.fault(count=1, status=500, unique_id="1")
    shop.owe("1", email="ann@klaviyo-demo.com")
    pump()
    later = shop.owe("2", email="ann@klaviyo-demo.com")
    other = shop.owe("3", email="ben@klaviyo-demo.com")
    pump()
    later.refresh_from_db()
    other.refresh_from_db()
    assert (later.state, later.reason, other.state) == ("waiting", "behind", "delivered")


def test_a_switched_off_connection_parks_and_lets_go(shop: Shop, twin: Twin) -> None:
    delivery = shop.owe("1668")
    Connection.objects.update(is_active=False)
    pump()
    delivery.refresh_from_db()
    assert (delivery.state, delivery.reason) == ("waiting", "connection_off")


def test_rows_of_a_dead_drain_are_taken_back_and_the_tab_says_so(shop: Shop, twin: Twin) -> None:
    delivery = shop.owe("1668", state="sending", claims=1, claim_token=0, claimed_at=timezone.now())
    pump()
    delivery.refresh_from_db()
    first, second = Attempt.objects.filter(delivery=delivery).order_by("id")
    assert (first.kind, first.verdict, second.status) == ("interrupted", "interrupted", 202)
    assert (delivery.state, delivery.claims, delivery.attempt_count) == ("delivered", 0, 2)


def test_a_row_that_killed_three_workers_ends_alone(shop: Shop, twin: Twin) -> None:
    poisoned = shop.owe("1", state="sending", claims=3, claim_token=0, claimed_at=timezone.now())
    shop.owe("2")
    pump()
    poisoned.refresh_from_db()
    assert (poisoned.state, poisoned.reason, ids(twin)) == ("failed", "poisoned", ["2"])


def test_an_outage_opens_the_breaker_and_burns_no_more_tries(shop: Shop, twin: Twin) -> None:
    twin.fault(count=500, status=503)
    for number in range(200):
        shop.owe(str(number))
    pump()
    account = KlaviyoAccount.objects.get()
    assert account.breaker_state == KlaviyoAccount.Breaker.OPEN
    assert len(twin.requests()) < 60
    assert not Delivery.objects.filter(state="sending").exists()
    assert Delivery.objects.filter(tries__gt=0).count() < 40


def test_an_outage_is_probed_by_one_call_at_a_time_and_ends_by_itself(shop: Shop, twin: Twin, monkeypatch) -> None:
    monkeypatch.setattr(breaker, "PAUSES", (0.5, 1.0))
    twin.fault(count=0, status=503)
    expected = [shop.owe(f"{number:03}").unique_id for number in range(100)]
    pump()
    burnt, before = Delivery.objects.filter(tries=1).count(), len(twin.requests())
    assert breaker.MINIMUM <= before < 60
    time.sleep(0.6)
    pump()
    assert len(twin.requests()) == before + 1
    twin.clear_faults()
    time.sleep(1.1)
    pump()
    assert KlaviyoAccount.objects.get().breaker_state == KlaviyoAccount.Breaker.CLOSED
    assert Delivery.objects.filter(tries=1).count() == burnt
    Delivery.objects.filter(state="waiting").update(next_attempt_at=timezone.now())
    pump()
    assert ids(twin) == expected
