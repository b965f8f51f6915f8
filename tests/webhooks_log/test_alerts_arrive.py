"""Every kind of alert as it arrives, by mail and in a channel, at a merchant and at the staff; none comes twice."""

import threading
import time
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.urls import reverse

from connections import hooks
from connections.models import ApiKey, Connection, KlaviyoAccount, Merchant
from connections.secrets import seal
from events.models import Refusal
from tests.servers import free_port
from tests.webhooks_log import shop
from tests.webhooks_log.crowd import at_once
from tests.webhooks_log.ears import Channel
from webhooks_log import alert_findings, alert_sight, alerts, counts, heartbeat, notices
from webhooks_log.alert_kinds import BY_CODE, KINDS
from webhooks_log.models import Alert, AlertHook, AlertPreference, Notice

pytestmark = pytest.mark.django_db

NOW = shop.NOON
OWNER, ROOT = "olga@shop.test", "root@viaduct.test"


@pytest.fixture(autouse=True)
def _roomy_disk(monkeypatch):
    monkeypatch.setattr(alert_findings, "DISK_SHARE", 2.0)


@pytest.fixture
def olga(klaviyo) -> Any:
    """The owner, who has an address."""
    user = shop.person(klaviyo.merchant, "owner")
    get_user_model().objects.filter(pk=user.pk).update(email=OWNER)
    return user


@pytest.fixture
def root() -> Any:
    """Staff, who have an address."""
    return get_user_model().objects.create_superuser("root", ROOT, "secret")


@pytest.fixture
def everybody(klaviyo, olga, root, channel, mailbox) -> Any:
    """A merchant's owner and channel, the staff and their channel, all listening."""
    add_channel(channel, klaviyo.merchant)
    add_channel(channel, None)
    return mailbox


def add_channel(url: str, merchant: Merchant | None, **more: Any) -> AlertHook:
    return AlertHook.objects.create(merchant=merchant, name="ops", sealed_url=seal(url), host="127.0.0.1", **more)


def look(minutes: float = 0) -> list[str]:
    return [notice.title for notice in alerts.look(now=NOW + timedelta(minutes=minutes))]


def said() -> list[str]:
    return [told["text"].partition("\n")[0].strip("*") for told in Channel.said]


# ── Each kind ────────────────────────────────────────────────────────────────────────────────────────────────────────
def key_refused(klaviyo: Connection) -> None:
    shop.delivery(klaviyo, state="waiting", reason="key_refused")
    Connection.objects.update(state="key_refused", state_detail="Klaviyo does not accept this key.")


def scope_missing(klaviyo: Connection) -> None:
    Connection.objects.update(state="scope_missing", held_families=["events"], state_detail="events:write is missing.")


def failing(klaviyo: Connection) -> None:
    counts.add({(klaviyo.merchant_id, klaviyo.pk, "Placed Order", "failed"): 20}, NOW)


def breaker_open(klaviyo: Connection) -> None:
    KlaviyoAccount.objects.update(breaker_state="open")


def exhausted(klaviyo: Connection) -> None:
    shop.delivery(klaviyo, state="failed", reason="exhausted", settled_at=NOW)
    counts.add({(klaviyo.merchant_id, klaviyo.pk, "Placed Order", "failed"): 1}, NOW)


def silence(klaviyo: Connection) -> None:
    for hours in range(4, 24 * 7 * 4):
        counts.add({(klaviyo.merchant_id, None, "", "received"): 5}, NOW - timedelta(hours=hours))


def refused(klaviyo: Connection) -> None:
    source = shop.source(klaviyo.merchant)
    Refusal.objects.create(
        merchant=klaviyo.merchant, source=source, status=422, code="x", detail="x", body=b"", received_at=NOW
    )


def backlog(klaviyo: Connection) -> None:
    shop.delivery(klaviyo, state="queued", next_attempt_at=NOW - timedelta(minutes=20))


def key_retiring(klaviyo: Connection) -> None:
    ApiKey.objects.create(
        source=shop.source(klaviyo.merchant), kind="bearer", name="Vrio", hint="abcd", digest="d",
        valid_until=NOW + timedelta(days=2), last_used_at=NOW,
    )  # fmt: skip


def undispatched(klaviyo: Connection) -> None:
    shop.event(klaviyo.merchant, state="received", received_at=NOW - timedelta(minutes=5))


def broken(klaviyo: Connection) -> None:
    shop.event(klaviyo.merchant, state="broken", reason="fault")


def retirement(klaviyo: Connection) -> None:
    Connection.objects.update(revision_retires_on=NOW.date() + timedelta(days=30))


def disk(klaviyo: Connection) -> None:
    alert_findings.DISK_SHARE = 0.0  # put back by the fixture above


TROUBLES = {
    made.__name__: made
    for made in (
        key_refused, scope_missing, failing, breaker_open, exhausted, silence, refused, backlog, key_retiring,
        undispatched, broken, retirement, disk,
    )
}  # fmt: skip


def test_there_is_a_trouble_for_every_kind() -> None:
    assert set(TROUBLES) == set(BY_CODE)


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.code)
def test_it_arrives_once_by_mail_and_in_the_channel_and_so_does_its_end(kind, klaviyo, everybody) -> None:
    TROUBLES[kind.code](klaviyo)
    for minutes in (0, 3, 6, 11, 12, 13):  # the longest patience is ten minutes
        look(minutes)
        notices.send_due(now=NOW + timedelta(minutes=minutes))
    (mail,) = everybody.mails
    text = mail.get_content()
    assert mail["To"] == (ROOT if kind.is_for_staff else OWNER)
    assert said() == [mail["Subject"].strip()]
    assert said()[0].startswith(f"{kind.title}: ")
    assert "Since March 2, 2026, 17:00 UTC" in text
    assert f"What to do: {kind.advice}"[:60] in text
    assert "/app/alerts/" in text
    alerts.look(now=NOW + timedelta(minutes=20), found=[])
    alerts.look(now=NOW + timedelta(minutes=31), found=[])
    notices.send_due(now=NOW + timedelta(minutes=31))
    assert [mail["Subject"].strip().partition(":")[0] for mail in everybody.mails] == [kind.title, kind.over]
    assert [title.partition(":")[0] for title in said()] == [kind.title, kind.over]


@pytest.mark.parametrize("code", ["key_refused", "breaker_open", "exhausted", "backlog", "undispatched", "refused"])
def test_it_says_how_many(code, klaviyo, olga, root) -> None:
    shop.delivery(klaviyo, state="waiting")
    TROUBLES[code](klaviyo)
    for minutes in (0, 11):
        look(minutes)
    assert any(number in Notice.objects.get().text.splitlines()[0] for number in ("1 ", " 1.", " 2."))


def test_one_breaker_of_two_connections_is_one_trouble(klaviyo, olga) -> None:
    Connection.objects.create(merchant=klaviyo.merchant, account=klaviyo.account, name="Second")
    breaker_open(klaviyo)
    look()
    assert look(3) == ["Klaviyo is failing: Klaviyo Production, Second"]


# ── No false all-clear ───────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("change", [{"is_active": False}, {"archived_at": NOW}])
def test_a_connection_that_is_switched_off_is_not_said_to_be_well(klaviyo, olga, change) -> None:
    key_refused(klaviyo)
    assert len(look()) == 1
    Connection.objects.update(**change)
    assert look(5) == look(600) == []
    assert not Alert.objects.get().is_on


def test_a_merchant_who_paused_everything_is_not_told_of_silence(klaviyo, olga) -> None:
    silence(klaviyo)
    Connection.objects.update(is_active=False)
    assert look() == []
    Connection.objects.update(is_active=True, push_events=False)
    assert look() == []


def test_the_disk_of_another_host_is_judged_there(klaviyo, root, monkeypatch) -> None:
    disk(klaviyo)
    assert len(look()) == 1
    monkeypatch.setattr(alert_findings, "DISK_SHARE", 2.0)
    monkeypatch.setattr(alert_sight.socket, "gethostname", lambda: "other")
    heartbeat.Heartbeat.objects.update(at=NOW)
    assert look(1) == look(30) == []
    assert Alert.objects.get().is_on
    assert look(120) == []  # that host is gone
    assert not Alert.objects.get().is_on


# ── Who hears ────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_staff_may_listen_to_merchants_by_mail_and_in_a_channel(klaviyo, olga, root, channel, mailbox) -> None:
    AlertPreference.objects.create(user=root, merchant=None, kinds=["key_refused"])
    add_channel(channel, None, hears_merchants=True)
    key_refused(klaviyo)
    look()
    notices.send_due(now=NOW)
    assert {mail["To"] for mail in mailbox.mails} == {OWNER, ROOT}
    assert "Vita Shop: Klaviyo does not accept this key." in Channel.said[0]["text"]


def test_staff_choose_among_all_kinds_and_for_their_channel(client, root, channel) -> None:
    client.force_login(root, backend="django.contrib.auth.backends.ModelBackend")
    client.post(reverse("admin:alert_wishes", args=("staff",)), {"kinds": ["key_refused", "disk"]})
    assert AlertPreference.objects.get().kinds == ["key_refused", "disk"]
    address = reverse("admin:alert_hook_add", args=("staff",))
    client.post(address, {"name": "ops", "url": channel, "hears_merchants": "on"})
    assert AlertHook.objects.get().hears_merchants


def test_an_owners_channel_hears_of_no_other_merchant(klaviyo, channel, client, olga) -> None:
    client.force_login(olga, backend="django.contrib.auth.backends.ModelBackend")
    address = reverse("admin:alert_hook_add", args=(klaviyo.merchant.slug,))
    client.post(address, {"name": "ops", "url": channel, "hears_merchants": "on"})
    assert not AlertHook.objects.get().hears_merchants
    other = shop.connection(shop.merchant("Outlet"))
    Connection.objects.filter(pk=other.pk).update(state="key_refused")
    look()
    assert not Notice.objects.exists()


def test_somebody_put_out_meanwhile_is_not_written_to(klaviyo, olga, mailbox) -> None:
    key_refused(klaviyo)
    look()
    get_user_model().objects.update(is_active=False)
    assert notices.send_due(now=NOW) == 0
    assert Notice.objects.get().next_attempt_at is None
    assert mailbox.mails == []


# ── Servers that are away, processes that die ────────────────────────────────────────────────────────────────────────
def test_a_mail_server_that_is_away_costs_one_try_a_turn_and_no_mail(klaviyo, olga, mailbox, settings) -> None:
    people = [shop.person(klaviyo.merchant, "owner") for _ in range(4)]
    for number, user in enumerate(people):
        get_user_model().objects.filter(pk=user.pk).update(email=f"p{number}@shop.test")
    there, settings.EMAIL_PORT = settings.EMAIL_PORT, free_port()
    key_refused(klaviyo)
    assert len(look()) == 5
    assert notices.send_due(now=NOW) == 0
    assert sorted(Notice.objects.values_list("tries", flat=True)) == [0, 0, 0, 0, 1]
    settings.EMAIL_PORT = there
    notices.send_due(now=NOW + timedelta(minutes=2))
    assert len(mailbox.mails) == len({mail["To"] for mail in mailbox.mails}) == 5


def test_an_address_that_is_refused_does_not_hold_up_the_others(klaviyo, olga, mailbox) -> None:
    mailbox.handle_RCPT = refuse_one
    get_user_model().objects.create(username="typo", email="nobody@shop.test")
    shop.Membership.objects.create(user=get_user_model().objects.get(username="typo"), merchant=klaviyo.merchant,
                                   role="owner")  # fmt: skip
    key_refused(klaviyo)
    look()
    notices.send_due(now=NOW)
    assert [mail["To"] for mail in mailbox.mails] == [OWNER]
    assert "550" in Notice.objects.get(sent_at=None).error


async def refuse_one(server: Any, session: Any, envelope: Any, address: str, options: Any) -> str:
    if address.startswith("nobody"):
        return "550 no such mailbox"
    envelope.rcpt_tos.append(address)
    return "250 OK"


def test_a_turn_is_short_however_many_channels_hang(klaviyo, channel, monkeypatch) -> None:
    monkeypatch.setattr(hooks, "SECONDS", 0.2)
    silent = threading.Event()
    monkeypatch.setattr(Channel, "do_POST", lambda self: silent.wait(5))
    for _ in range(20):
        add_channel(channel, klaviyo.merchant)
    key_refused(klaviyo)
    look()
    began = time.monotonic()
    notices.send_due(now=NOW, seconds=0.5)
    silent.set()
    assert time.monotonic() - began < 2
    assert Notice.objects.filter(tries=0).count() > 10


def test_a_worker_that_dies_before_sending_loses_no_notice(klaviyo, olga, mailbox) -> None:
    key_refused(klaviyo)
    look()
    notices._claim(Notice.objects.get(), NOW)  # and here it dies
    assert notices.send_due(now=NOW + timedelta(seconds=30)) == 0
    assert notices.send_due(now=NOW + timedelta(seconds=61)) == 1
    assert len(mailbox.mails) == 1


def test_a_mail_keeps_its_id_so_that_a_repeat_is_known(klaviyo, olga, mailbox) -> None:
    key_refused(klaviyo)
    look()
    notices.send_due(now=NOW)
    Notice.objects.update(sent_at=None, next_attempt_at=NOW)  # it died after the server had taken it
    notices.send_due(now=NOW)
    first, second = mailbox.mails
    assert first["Message-ID"] == second["Message-ID"] == f"<notice-{Notice.objects.get().pk}@testserver>"
    assert first["Auto-Submitted"] == "auto-generated"


def test_a_name_of_two_lines_is_one_line_of_a_mail(klaviyo, olga, mailbox) -> None:
    Connection.objects.update(name="Klaviyo\r\nBcc: all@shop.test")
    key_refused(klaviyo)
    look()
    assert notices.send_due(now=NOW) == 1
    assert mailbox.mails[0]["Subject"] == "Klaviyo refuses the key: Klaviyo Bcc: all@shop.test"


def test_a_name_calls_nobody_in_a_channel(klaviyo, channel) -> None:
    Connection.objects.update(name="<!channel> <https://evil.test|click>")
    add_channel(channel, klaviyo.merchant)
    key_refused(klaviyo)
    look()
    notices.send_due(now=NOW)
    assert "<" not in Channel.said[0]["text"]


@pytest.mark.django_db(transaction=True)
def test_two_workers_at_once_tell_once(klaviyo, olga, mailbox) -> None:
    key_refused(klaviyo)
    at_once(lambda: alerts.look(now=NOW))
    assert Notice.objects.count() == 1
    at_once(lambda: notices.send_due(now=NOW))
    assert len(mailbox.mails) == 1


def test_old_notices_go_and_those_that_wait_stay(klaviyo, olga) -> None:
    key_refused(klaviyo)
    look()
    assert notices.prune(NOW + timedelta(days=100)) == 0
    Notice.objects.update(next_attempt_at=None)
    assert notices.prune(NOW + timedelta(days=100)) == 1
    assert Alert.objects.get().told_on
