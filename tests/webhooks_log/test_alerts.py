"""Who is told what, once: over a real mail server and a real hook on loopback."""

from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from connections import hooks
from connections.models import ApiKey, Connection, KlaviyoAccount
from connections.secrets import seal
from events.models import Event, Refusal
from tests.servers import free_port
from tests.webhooks_log import shop
from tests.webhooks_log.ears import Channel
from webhooks_log import alert_findings, alerts, counts, notices
from webhooks_log.alert_kinds import KINDS
from webhooks_log.models import Alert, AlertHook, AlertPreference, Notice

pytestmark = pytest.mark.django_db

NOW = shop.NOON
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture(autouse=True)
def _roomy_disk(monkeypatch):
    monkeypatch.setattr(alert_findings, "DISK_SHARE", 2.0)


@pytest.fixture
def olga(klaviyo) -> Any:
    """The owner, who has an address."""
    return person(klaviyo.merchant, "olga@shop.test")


def person(merchant: Any, email: str, role: str = "owner") -> Any:
    user = shop.person(merchant, role)
    get_user_model().objects.filter(pk=user.pk).update(email=email)
    user.refresh_from_db()
    return user


def refuse_key(connection: Connection, state: str = "key_refused") -> None:
    Connection.objects.filter(pk=connection.pk).update(state=state, state_detail="Klaviyo does not accept this key.")


def look(minutes: float = 0) -> list[str]:
    return [notice.title for notice in alerts.look(now=NOW + timedelta(minutes=minutes))]


# ── Only when something changes ──────────────────────────────────────────────────────────────────────────────────────
def test_nothing_wrong_tells_nobody_anything(olga):
    assert look() == []


def test_a_refused_key_is_told_once_and_its_end_once(klaviyo, olga):
    refuse_key(klaviyo)
    assert look() == ["Klaviyo refuses the key: Klaviyo Production"]
    assert look(1) == look(600) == []
    refuse_key(klaviyo, "connected")
    assert look(601) == []  # it must last a moment
    assert look(604) == ["Klaviyo accepts the key again: Klaviyo Production"]
    assert look(700) == []


def test_what_comes_and_goes_within_a_moment_is_not_told(klaviyo, olga):
    account = KlaviyoAccount.objects.filter(pk=klaviyo.account_id)
    account.update(breaker_state="open")
    assert look() == []
    account.update(breaker_state="closed")
    assert look(1) == []
    assert look(60) == []


def test_flapping_is_told_once_an_hour(klaviyo, olga):
    told = []
    for minute in range(0, 60, 6):
        refuse_key(klaviyo, "key_refused" if minute % 12 == 0 else "connected")
        told += look(minute) + look(minute + 3)
    assert told == ["Klaviyo refuses the key: Klaviyo Production", "Klaviyo accepts the key again: Klaviyo Production"]


def test_a_notice_says_what_since_when_and_what_to_do(klaviyo, olga):
    refuse_key(klaviyo)
    look()
    text = Notice.objects.get().text
    assert "Klaviyo does not accept this key." in text
    assert "Since March 2, 2026, 17:00 UTC" in text
    assert "What to do: Create a new private key" in text
    assert "http://testserver/app/alerts/" in text


# ── What is found ────────────────────────────────────────────────────────────────────────────────────────────────────
def kinds(now=NOW) -> list[tuple[str, int]]:
    return [(finding.kind, finding.count) for finding in alert_findings.findings(now)]


def test_a_missing_scope(klaviyo):
    Connection.objects.update(state="scope_missing", held_families=["events"])
    assert kinds() == [("scope_missing", 0)]


def test_an_open_breaker(klaviyo):
    KlaviyoAccount.objects.update(breaker_state="half_open")
    assert kinds() == [("breaker_open", 0)]


def test_a_failing_rate_needs_many_and_a_share(klaviyo):
    key = (klaviyo.merchant_id, klaviyo.pk, "Placed Order")
    counts.add({(*key, "failed"): 10, (*key, "delivered"): 91}, NOW)
    assert kinds() == []
    counts.add({(*key, "failed"): 2}, NOW)
    assert kinds() == [("failing", 12)]


def test_deliveries_that_used_up_their_tries(klaviyo):
    shop.delivery(klaviyo, state="failed", reason="exhausted", settled_at=NOW)
    counts.add({(klaviyo.merchant_id, klaviyo.pk, "Placed Order", "failed"): 1}, NOW)
    assert kinds(NOW + timedelta(minutes=30)) == [("exhausted", 1)]
    assert kinds(NOW + timedelta(minutes=90)) == []


def test_a_backlog_past_due_but_not_one_that_klaviyo_paused(klaviyo):
    shop.delivery(klaviyo, state="waiting", next_attempt_at=NOW - timedelta(minutes=20))
    assert kinds() == [("backlog", 1)]
    KlaviyoAccount.objects.update(throttled_until=NOW + timedelta(minutes=1))
    assert kinds() == []


def test_silence_learnt_from_the_shops_own_weeks(klaviyo):
    for hours in range(4, 24 * 7 * 4):
        counts.add({(klaviyo.merchant_id, None, "", "received"): 5}, NOW - timedelta(hours=hours))
    (finding,) = alert_findings.findings(NOW)
    assert (finding.kind, finding.subject) == ("silence", f"merchant:{klaviyo.merchant_id}")
    counts.add({(klaviyo.merchant_id, None, "", "received"): 1}, NOW)
    assert kinds() == []


def test_refusals_at_the_door(klaviyo):
    source = shop.source(klaviyo.merchant)
    Refusal.objects.create(
        merchant=klaviyo.merchant, source=source, status=422, code="x", detail="x", body=b"", received_at=NOW
    )
    assert kinds() == [("refused", 1)]


def test_a_key_that_runs_out_soon(klaviyo):
    ApiKey.objects.create(
        source=shop.source(klaviyo.merchant), kind="bearer", name="Vrio", hint="abcd", digest="d",
        valid_until=NOW + timedelta(days=2), last_used_at=NOW,
    )  # fmt: skip
    assert kinds() == [("key_retiring", 0)]


def test_a_key_that_ended_while_it_was_in_use_is_no_all_clear(klaviyo, olga):
    key = a_key(klaviyo, valid_until=NOW + timedelta(days=2), last_used_at=NOW)
    assert look() == ["A key for receiving runs out soon: Vrio, Vrio (…abcd)"]
    assert kinds(NOW + timedelta(days=4)) == [("key_retiring", 0)]
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=NOW)
    assert kinds(NOW + timedelta(days=4)) == []


def test_a_key_whose_successor_took_over_ends_in_peace(klaviyo):
    a_key(klaviyo, valid_until=NOW + timedelta(days=2), last_used_at=NOW - timedelta(days=8))
    assert kinds() == []


def a_key(connection: Connection, **more: Any) -> ApiKey:
    source = shop.source(connection.merchant)
    return ApiKey.objects.create(source=source, kind="bearer", name="Vrio", hint="abcd", digest="d", **more)


def test_events_that_nobody_dispatches_or_can(klaviyo):
    shop.event(klaviyo.merchant, state="received", received_at=NOW - timedelta(minutes=5))
    Event.objects.create(
        merchant=klaviyo.merchant, source=shop.source(klaviyo.merchant), body=b"{}", digest=b"d", event_id="b",
        state="broken", reason="fault", received_at=NOW,
    )  # fmt: skip
    assert kinds() == [("undispatched", 1), ("broken", 1)]


def test_a_full_disk(monkeypatch):
    monkeypatch.setattr(alert_findings, "DISK_SHARE", 0.0)
    assert kinds() == [("disk", 0)]


# ── Who hears ────────────────────────────────────────────────────────────────────────────────────────────────────────
def heard_by(kind: str = "key_refused", merchant: Any = None) -> set[str]:
    alert = Alert(kind=kind, merchant=merchant, since=NOW)
    return {user.email for user in alerts.listeners(alert)}


def test_owners_hear_everything_and_support_nothing_unless_they_choose(klaviyo, olga):
    sam = person(klaviyo.merchant, "sam@shop.test", "support")
    assert heard_by(merchant=klaviyo.merchant) == {"olga@shop.test"}
    AlertPreference.objects.create(user=sam, merchant=klaviyo.merchant, kinds=["key_refused"])
    AlertPreference.objects.create(user=olga, merchant=klaviyo.merchant, kinds=["silence"])
    assert heard_by(merchant=klaviyo.merchant) == {"sam@shop.test"}


def test_nobody_hears_of_another_merchant_and_staff_hear_of_the_machinery(klaviyo, olga):
    person(shop.merchant("Outlet"), "eve@outlet.test")
    get_user_model().objects.create_superuser("root", "root@viaduct.test", "secret")
    assert heard_by(merchant=klaviyo.merchant) == {"olga@shop.test"}
    assert heard_by("disk") == {"root@viaduct.test"}


# ── By mail and by hook ──────────────────────────────────────────────────────────────────────────────────────────────
def test_a_mail_arrives_once(klaviyo, olga, mailbox):
    refuse_key(klaviyo)
    look()
    assert notices.send_due(now=NOW) == 1
    assert notices.send_due(now=NOW + timedelta(hours=1)) == 0
    (mail,) = mailbox.mails
    assert (mail["To"], mail["Subject"]) == ("olga@shop.test", "Klaviyo refuses the key: Klaviyo Production")
    assert "What to do" in mail.get_content()


def test_a_mail_server_that_is_away_costs_nothing(klaviyo, olga, mailbox, settings):
    there, settings.EMAIL_PORT = settings.EMAIL_PORT, free_port()
    refuse_key(klaviyo)
    look()
    assert notices.send_due(now=NOW) == 0
    assert "Refused" in Notice.objects.get().error
    settings.EMAIL_PORT = there
    assert notices.send_due(now=NOW + timedelta(seconds=30)) == 0
    assert notices.send_due(now=NOW + timedelta(seconds=61)) == 1
    assert len(mailbox.mails) == 1


def test_a_channel_is_told(klaviyo, channel):
    AlertHook.objects.create(merchant=klaviyo.merchant, name="ops", sealed_url=seal(channel), host="127.0.0.1")
    refuse_key(klaviyo)
    look()
    assert notices.send_due(now=NOW) == 1
    assert Channel.said[0]["text"].startswith("*Klaviyo refuses the key: Klaviyo Production*")


@pytest.mark.parametrize("status", [302, 404, 500])
def test_a_channel_that_does_not_take_it_is_asked_again_and_no_redirect_is_followed(channel, status):
    Channel.status = status
    with pytest.raises(hooks.HookFailed, match=str(status)):
        hooks.post(channel, "hello")
    assert len(Channel.said) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/x", "https://127.0.0.1/x", "https://localhost/x", "file:///etc/passwd",
        "https://me:secret@hooks.example.com/", "hooks.example.com", "https://[::1]/",
    ],
)  # fmt: skip
def test_an_address_that_leads_inside_is_refused(settings, url):
    settings.KLAVIYO_BASE_URL = "https://a.klaviyo.com"
    with pytest.raises(ValueError, match="address"):
        hooks.check(url)


@pytest.mark.parametrize("url", ["https://10.0.0.7/x", "https://169.254.169.254/latest/meta-data/"])
def test_an_address_that_resolves_inside_is_not_called(settings, url):
    settings.KLAVIYO_BASE_URL = "https://a.klaviyo.com"
    with pytest.raises(hooks.HookFailed, match="AddressRefused"):
        hooks.post(url, "hello")


# ── The page ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@pytest.fixture
def page(klaviyo, olga, client) -> Any:
    client.force_login(olga, backend=BACKEND)
    return client


def test_the_page_shows_what_is_wrong_and_what_to_do(page, klaviyo):
    refuse_key(klaviyo)
    look()
    html = page.get(reverse("admin:alerts")).content.decode()
    assert "Klaviyo refuses the key: Klaviyo Production" in html
    assert "Create a new private key" in html


def test_a_person_chooses_what_to_hear(page, klaviyo, olga):
    address = reverse("admin:alert_wishes", args=(klaviyo.merchant.slug,))
    page.post(address, {"kinds": ["silence", "disk", "nonsense"]})
    assert AlertPreference.objects.get().kinds == ["silence"]
    assert page.post(reverse("admin:alert_wishes", args=("staff",)), {"kinds": ["disk"]}).status_code == 404


def test_an_owner_adds_tests_and_removes_a_channel(page, klaviyo, channel):
    address = reverse("admin:alert_hook_add", args=(klaviyo.merchant.slug,))
    page.post(address, {"name": "ops", "url": channel})
    hook = AlertHook.objects.get()
    assert channel not in page.get(reverse("admin:alerts")).content.decode()
    page.post(reverse("admin:alert_hook_test", args=(hook.pk,)))
    notices.send_due()
    assert "a test notice" in Channel.said[0]["text"]
    page.post(reverse("admin:alert_hook_remove", args=(hook.pk,)))
    assert not AlertHook.objects.exists()


def test_nobody_touches_another_merchants_channels(page, channel):
    other = shop.merchant("Outlet")
    hook = AlertHook.objects.create(merchant=other, name="ops", sealed_url=seal(channel), host="x")
    assert page.post(reverse("admin:alert_hook_add", args=(other.slug,)), {"name": "x", "url": "x"}).status_code == 404
    for name in ("alert_hook_test", "alert_hook_remove"):
        assert page.post(reverse(f"admin:{name}", args=(hook.pk,))).status_code == 404


def test_support_sees_alerts_but_adds_no_channel(klaviyo, client):
    client.force_login(person(klaviyo.merchant, "sam@shop.test", "support"), backend=BACKEND)
    assert "Add the channel" not in client.get(reverse("admin:alerts")).content.decode()
    address = reverse("admin:alert_hook_add", args=(klaviyo.merchant.slug,))
    assert client.post(address, {"name": "x", "url": "https://x.test"}).status_code == 403


def test_every_kind_says_what_to_do():
    assert all(kind.advice.endswith(".") and kind.title and kind.over for kind in KINDS)
    assert len({kind.code for kind in KINDS}) == len(KINDS)
