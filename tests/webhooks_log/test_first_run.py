"""From a connection to "it works": the test event, past events, the move to another account, the checklist."""

import json
from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse
from django.utils import timezone

from connections import doctor, secrets
from connections.klaviyo.sandbox.accounts import FULL_KEY
from connections.models import Connection, KlaviyoAccount, Source
from events.models import Event
from tests.webhooks_log.lanes import pump
from tests.webhooks_log.shop import connection, delivery, event, merchant, person
from webhooks_log import dispatch
from webhooks_log.accounts import follow
from webhooks_log.models import Delivery
from webhooks_log.past_events import events_untold
from webhooks_log.trial_event import make_test_event, stations
from webhooks_log.trial_message import METRIC
from webhooks_log.troubleshooting import ticks

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop():
    return merchant()


@pytest.fixture
def olga(shop):
    user = person(shop, "owner")
    user.email = "olga@klaviyo-demo.com"
    user.save()
    return user


@pytest.fixture
def owner(client, olga):
    client.force_login(olga, backend="django.contrib.auth.backends.ModelBackend")
    return client


@pytest.fixture
def klaviyo(shop, twin, settings) -> Connection:
    """A connection that the doctor found connected to the twin."""
    settings.KLAVIYO_BASE_URL = twin.url
    one = connection(shop, sealed_key=secrets.seal(FULL_KEY))
    doctor.check(one)
    one.refresh_from_db()
    return one


# ── The test event ───────────────────────────────────────────────────────────────────────────────────────────────────


def go_its_way() -> None:
    dispatch.run()
    pump()


def test_the_test_event_goes_to_ones_own_profile_without_a_value(owner, klaviyo, twin):
    owner.post(reverse("admin:test_event", args=(klaviyo.pk,)))
    go_its_way()
    (told,) = twin.events(metric=METRIC)
    assert told["email"] == "olga@klaviyo-demo.com"
    assert told["value"] is None


def passed(row: Event) -> list[bool]:
    row.refresh_from_db()
    return [bool(station.at) for station in stations(row, row.deliveries.first())]


def test_every_station_is_shown_as_it_passes(owner, olga, klaviyo):
    row = make_test_event(klaviyo, olga, now=timezone.now())
    path = reverse("admin:test_event_way", args=(row.pk,))
    assert passed(row) == [True, False, False, False, False]
    assert owner.get(path).status_code == 200
    dispatch.run()
    assert passed(row) == [True, True, False, False, False]
    pump()
    assert passed(row) == [True] * 5
    page = owner.get(path).content.decode()
    assert reverse("admin:delivery", args=(row.deliveries.get().pk,)) in page


def test_a_refused_test_event_says_so(olga, klaviyo, twin):
    twin.fault(status=400)
    row = make_test_event(klaviyo, olga, now=timezone.now())
    go_its_way()
    assert stations(row, row.deliveries.get())[-1].has_failed


def test_a_paused_connection_says_why_the_test_did_not_go(olga, klaviyo):
    Connection.objects.filter(pk=klaviyo.pk).update(is_active=False)
    row = make_test_event(klaviyo, olga, now=timezone.now())
    go_its_way()
    assert row.deliveries.get().reason == "connection_inactive"


def test_nobody_outside_can_send_a_test_event(klaviyo, shop, twin):
    told = {
        "webhook_type": "viaduct_test",
        "connection_id": klaviyo.pk,
        "email": "x@klaviyo-demo.com",
        "properties": {},
    }
    event(shop, json.dumps(told).encode(), webhook_type="viaduct_test", state="received", authenticated_by="bearer")
    go_its_way()
    assert twin.events() == []


def test_the_test_event_takes_no_identity_of_vrios(olga, klaviyo):
    row = make_test_event(klaviyo, olga, now=timezone.now())
    assert Source.objects.get(pk=row.source_id).archived_at is not None


def test_without_an_address_there_is_nobody_to_send_it_to(owner, olga, klaviyo):
    get_user_model().objects.filter(pk=olga.pk).update(email="")
    owner.post(reverse("admin:test_event", args=(klaviyo.pk,)))
    assert not Delivery.objects.exists()


# ── Past events ──────────────────────────────────────────────────────────────────────────────────────────────────────


def untold(to: Connection):
    return events_untold(to, (timezone.now() - timedelta(days=365 * 5)).date())


def test_what_came_before_the_connection_is_counted_and_sent(owner, klaviyo, shop):
    early = event(shop, state="ignored", reason="no_connection")
    path = reverse("admin:past_events", args=(klaviyo.pk,))
    assert "<strong>1 event</strong>" in owner.get(path, {"since": "2020-01-01"}).content.decode()
    owner.post(path, {"since": "2020-01-01"})
    early.refresh_from_db()
    assert (early.state, early.backfill) == ("received", True)


def test_what_it_was_told_is_not_among_them(klaviyo, shop):
    delivery(klaviyo)
    assert not untold(klaviyo).exists()


def test_what_it_was_skipped_with_is(klaviyo, shop):
    delivery(klaviyo, state="skipped", reason="connection_inactive")
    assert untold(klaviyo).count() == 1


def test_a_second_connection_may_be_told_what_the_first_was(klaviyo, shop):
    delivery(klaviyo)
    assert untold(connection(shop, "Second")).count() == 1


def test_history_that_only_fills_the_mirror_is_left_alone(klaviyo, shop):
    event(shop, history=True)
    assert not untold(klaviyo).exists()


# ── Accounts ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_was_owed_before_the_account_was_known_goes_along(shop):
    known = KlaviyoAccount.objects.create(cid="Same01")
    one = connection(shop)
    row = delivery(one, state="queued", next_attempt_at=timezone.now())
    Connection.objects.filter(pk=one.pk).update(account=known)
    one.refresh_from_db()
    assert follow(one) == (1, 0)
    row.refresh_from_db()
    assert row.account == known


def test_moving_to_another_account_is_typed_and_takes_nothing_along(owner, klaviyo, twin):
    owed = delivery(klaviyo, state="waiting", next_attempt_at=None, reason="key_refused")
    Connection.objects.filter(pk=klaviyo.pk).update(sealed_key=secrets.seal(twin.key("Other1")))
    klaviyo.refresh_from_db()
    doctor.check(klaviyo)
    path = reverse("admin:connection_move", args=(klaviyo.pk,))
    owner.post(path, {"account": "yes"})
    klaviyo.refresh_from_db()
    assert (klaviyo.state, klaviyo.account.cid) == ("wrong_account", "DemoA1")
    owner.post(path, {"account": "Other1"})
    klaviyo.refresh_from_db()
    owed.refresh_from_db()
    assert (klaviyo.state, klaviyo.account.cid, klaviyo.held_at) == ("connected", "Other1", None)
    assert (owed.state, owed.reason) == ("skipped", "account_changed")


def test_a_right_key_again_brings_a_wrong_account_back(klaviyo, twin):
    Connection.objects.filter(pk=klaviyo.pk).update(sealed_key=secrets.seal(twin.key("Other1")))
    klaviyo.refresh_from_db()
    doctor.check(klaviyo)
    Connection.objects.filter(pk=klaviyo.pk).update(sealed_key=secrets.seal(FULL_KEY))
    klaviyo.refresh_from_db()
    doctor.check(klaviyo)
    klaviyo.refresh_from_db()
    assert (klaviyo.state, klaviyo.held_at) == ("connected", None)


def test_nothing_leaves_before_the_doctor_knows_the_account(shop, twin, settings, owner):
    settings.KLAVIYO_BASE_URL = "http://127.0.0.1:9"  # the doctor cannot ask
    owner.post(reverse("admin:connection_add"), {"name": "Klaviyo", "private_key": FULL_KEY, "push_events": "on"})
    one = Connection.objects.get(merchant=shop)
    settings.KLAVIYO_BASE_URL = twin.url
    delivery(one, state="queued", next_attempt_at=timezone.now())
    pump()
    assert twin.requests() == []


# ── The checklist ────────────────────────────────────────────────────────────────────────────────────────────────────


def answers(one: Connection) -> list[bool | None]:
    return [tick.is_good for tick in ticks(one)]


def test_a_fresh_connection_has_nothing_against_it(klaviyo):
    assert answers(klaviyo) == [True, True, True, None, True, None]


def test_each_cause_is_ticked_from_real_rows(klaviyo, shop):
    delivery(klaviyo, state="skipped", reason="no_email")
    delivery(klaviyo, state="skipped", reason="campaign_excluded")
    delivery(klaviyo, state="failed", reason="rejected")
    klaviyo.campaigns.create(merchant=shop, vrio_id="1")
    Connection.objects.filter(pk=klaviyo.pk).update(push_events=False, is_active=False, state="key_refused")
    klaviyo.refresh_from_db()
    assert answers(klaviyo) == [False] * 6


def test_an_event_on_the_real_way_reaches_klaviyo(klaviyo, shop, twin):
    body = open("tests/fixtures/events/placed_order/event.json", "rb").read()  # noqa: SIM115
    event(shop, body, state="received")
    dispatch.run()
    pump()
    assert "Placed Order" in {told["metric"] for told in twin.events()}
    assert Event.objects.get().state == "dispatched"
