"""The gates at the moment of sending: what closes is parked, what opens again lets go, to the right account."""

from datetime import timedelta
from threading import Thread

import pytest
from django.db import connection
from django.utils import timezone

from connections import doctor, secrets
from connections.models import Connection, KlaviyoAccount
from tests.twin import Twin
from tests.webhooks_log.hosts import wait_until
from tests.webhooks_log.lanes import Shop, pump
from webhooks_log import gates
from webhooks_log.clock import Clock
from webhooks_log.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop(twin: Twin, settings) -> Shop:
    settings.KLAVIYO_BASE_URL = twin.url
    settings.LANE_THREADS = 4
    return Shop(twin)


def standing() -> dict[str, tuple[str, str]]:
    return {row.unique_id: (row.state, row.reason) for row in Delivery.objects.all()}


def give_key(connection: Connection, key: str) -> None:
    Connection.objects.filter(pk=connection.pk).update(sealed_key=secrets.seal(key), key_hint=key[-4:])
    doctor.check(Connection.objects.get(pk=connection.pk))


def test_a_key_that_works_again_lets_go_what_it_held_without_a_hand(shop: Shop, twin: Twin) -> None:
    twin.settings(revoked_keys=[twin.key("DemoA1")])
    for number in range(3):
        shop.owe(str(number))
    pump()
    assert {state for state, _ in standing().values()} == {"waiting"}
    twin.settings(revoked_keys=[])
    Connection.objects.update(check_due_at=timezone.now())
    assert doctor.recheck_due(timezone.now()) == 1
    doctor.check_by_id(shop.connection.pk)
    Clock().tick()
    pump()
    assert set(standing().values()) == {("delivered", "")}
    assert not Delivery.objects.exclude(tries=0).exists()


def test_a_held_key_is_asked_again_within_minutes(shop: Shop, twin: Twin) -> None:
    twin.fault(status=401)
    Connection.objects.update(check_due_at=timezone.now() + timedelta(hours=1))
    shop.owe("1")
    pump()
    assert Connection.objects.get().check_due_at <= timezone.now() + timedelta(minutes=5)


def test_a_new_key_with_the_missing_scope_lets_its_family_go(twin: Twin, settings) -> None:
    settings.KLAVIYO_BASE_URL = twin.url
    shop = Shop(twin, kind="noevents")
    shop.owe("1")
    pump()
    assert standing() == {"1": ("waiting", "scope_missing")}
    give_key(shop.connection, twin.key("DemoA1"))
    gates.unpark(now=timezone.now())
    pump()
    assert standing() == {"1": ("delivered", "")}


def test_a_key_of_another_account_lets_nothing_go(shop: Shop, twin: Twin) -> None:
    twin.settings(revoked_keys=[twin.key("DemoA1")])
    shop.owe("1")
    pump()
    give_key(shop.connection, twin.key("DemoB2"))
    gates.unpark(now=timezone.now())
    pump()
    assert standing() == {"1": ("waiting", "key_refused")}
    assert twin.events() == []


@pytest.mark.parametrize("status", [401, 403])
def test_a_late_refusal_of_the_key_of_before_does_not_hold_the_new_one(shop: Shop, twin: Twin, status: int) -> None:
    before = twin.key("DemoA1")
    twin.fault(status=status, delay_ms=1500, key=before, path="/api/events")
    shop.owe("1")
    changing = Thread(target=_change_key, args=(shop.connection, twin, twin.key("DemoA1", "documented")))
    changing.start()
    pump()
    changing.join()
    after = Connection.objects.get()
    assert (after.state, after.held_at, after.held_families) == (Connection.State.CONNECTED, None, [])
    gates.unpark(now=timezone.now())
    pump()
    assert standing() == {"1": ("delivered", "")}


def _change_key(of: Connection, twin: Twin, key: str) -> None:
    """As soon as a call with the key of before is out."""
    wait_until(lambda: Delivery.objects.filter(state="sending").exists())
    give_key(of, key)
    connection.close()


def test_many_rows_of_a_held_family_do_not_keep_back_those_of_a_free_one(shop: Shop, monkeypatch) -> None:
    monkeypatch.setattr(gates, "BLOCK", 3)
    for number in range(4):
        shop.owe(str(number), state="waiting", reason="key_refused", next_attempt_at=None)
    profile = shop.owe("profile", state="waiting", reason="key_refused", next_attempt_at=None)
    Delivery.objects.filter(pk=profile.pk).update(path="/api/profile-import")
    Connection.objects.update(held_families=["events"])
    assert gates.unpark(now=timezone.now()) == 1
    assert standing()["profile"] == ("queued", "")


def test_what_is_owed_under_the_account_of_before_follows_even_if_the_bell_was_lost(shop: Shop, twin: Twin) -> None:
    shop.owe("1")
    provisional = KlaviyoAccount.objects.create()
    Delivery.objects.update(account=provisional)
    KlaviyoAccount.objects.filter(pk=shop.account.pk).update(cid=None)
    KlaviyoAccount.objects.filter(pk=provisional.pk).update(cid="DemoA1")
    Connection.objects.update(account=provisional)
    shop.owe("2")  # still under the account of before
    KlaviyoAccount.objects.filter(pk=shop.account.pk).update(cid="Before")
    pump()
    assert standing() == {"1": ("delivered", ""), "2": ("skipped", "account_changed")}


@pytest.mark.parametrize(
    ("change", "state", "reason"),
    [
        ({"is_active": False}, "waiting", "connection_off"),
        ({"push_events": False}, "waiting", "connection_off"),
        ({"held_at": timezone.now()}, "waiting", "key_refused"),
        ({"archived_at": timezone.now()}, "skipped", "archived"),
    ],
)
def test_what_is_due_behind_a_closed_gate_is_parked_with_its_reason(shop: Shop, change, state, reason) -> None:
    shop.owe("1")
    Connection.objects.update(**change)
    pump()
    assert standing() == {"1": (state, reason)}
    assert Delivery.objects.get().next_attempt_at is None


def test_switched_on_again_it_goes(shop: Shop) -> None:
    shop.owe("1")
    Connection.objects.update(is_active=False)
    pump()
    Connection.objects.update(is_active=True)
    Clock().tick()
    pump()
    assert standing() == {"1": ("delivered", "")}


def test_our_own_lost_secret_holds_and_loses_nothing(shop: Shop, settings) -> None:
    shop.owe("1")
    settings.FIELD_KEYS = ["c3RyYW5nZS1zdHJhbmdlLXN0cmFuZ2Utc3RyYW5nZSE="]
    pump()
    pump()
    assert Connection.objects.get().state == Connection.State.KEY_LOST
    assert standing() == {"1": ("waiting", "key_refused")}


def test_a_doctor_who_gets_no_answer_keeps_no_lane_waiting(shop: Shop, twin: Twin) -> None:
    twin.fault(count=0, delay_ms=4000, method="GET")
    asking = Thread(target=_check_and_close, args=(shop.connection.pk,))
    asking.start()
    wait_until(lambda: twin.requests(method="GET"))
    shop.owe("1")
    pump()
    assert standing() == {"1": ("delivered", "")}
    twin.reset()
    asking.join(60)


def _check_and_close(pk: int) -> None:
    doctor.check_by_id(pk)
    connection.close()
