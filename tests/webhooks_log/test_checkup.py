"""The operator's doctor: what it finds wrong, and what it says to do."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command
from django.db import OperationalError
from django.db.migrations.recorder import MigrationRecorder
from django.utils import timezone
from django_q.brokers import get_broker
from django_q.tasks import async_task

from connections.secrets import seal
from tests.webhooks_log import shop
from webhooks_log import checkup, heartbeat, jobs
from webhooks_log.models import Erasure, Heartbeat

pytestmark = pytest.mark.django_db

NOW = shop.NOON


@pytest.fixture
def healthy(twin, settings) -> None:
    settings.KLAVIYO_BASE_URL = twin.url
    for name in ("clock", "queue"):
        heartbeat.beat(name)


def wrong(now=None) -> dict[str, str]:
    results = checkup.check_all(now=now or timezone.now())
    return {result.what: result.advice for result in results if not result.is_good and result.what != "disk"}


def test_nothing_is_wrong_with_a_healthy_installation(healthy):
    assert wrong() == {}


def test_what_is_wrong_ends_with_1_and_with_advice(settings, capsys):
    settings.KLAVIYO_BASE_URL = "http://127.0.0.1:9"
    with pytest.raises(SystemExit):
        call_command("doctor")
    told = capsys.readouterr().out
    assert "Start manage.py worker" in told
    assert "WRONG Klaviyo" in told


def test_a_worker_that_died_is_noticed(healthy):
    Heartbeat.objects.filter(name="queue").update(at=timezone.now() - timedelta(minutes=6))
    assert set(wrong()) == {"worker"}


def test_stuck_rows_are_named(healthy):
    klaviyo = shop.connection(shop.merchant())
    shop.event(klaviyo.merchant, state="received")
    shop.delivery(klaviyo, state="waiting", next_attempt_at=NOW)
    assert set(wrong()) == {"events", "messages"}


def test_a_lost_field_key_is_named(healthy, settings):
    shop.connection(shop.merchant(), sealed_key=seal("pk_demo"))
    settings.FIELD_KEYS = ["YW5vdGhlci1rZXktZm9yLXRlc3RzLW9ubHktMTIzNDU="]
    assert "FIELD_KEYS" in wrong()["connections"]


def test_debug_in_earnest_is_wrong(healthy, settings: Any):
    settings.DEBUG = True
    assert set(wrong()) == {"settings"}


def test_klaviyo_is_asked_where_the_running_worker_finds_it(healthy, twin, settings: Any):
    settings.KLAVIYO_BASE_URL = "http://127.0.0.1:9"  # the shell's; the worker was started with another port
    assert set(wrong()) == {"Klaviyo"}
    heartbeat.beat("worker:here", klaviyo=twin.url)
    assert wrong() == {}


def test_a_worker_that_is_gone_is_not_asked(healthy, twin):
    heartbeat.beat("worker:gone", klaviyo="http://127.0.0.1:9")
    Heartbeat.objects.filter(name="worker:gone").update(at=timezone.now() - timedelta(days=1))
    assert wrong() == {}


# ── Each trouble, and what the operator reads ────────────────────────────────────────────────────────────────────────
def found(what: str) -> str:
    """What is said of one thing that is wrong, and what to do about it."""
    (result,) = (result for result in checkup.check_all(now=timezone.now()) if result.what == what)
    assert not result.is_good
    return f"{result.found} → {result.advice}"


def test_settings_that_are_no_key(healthy, settings):
    settings.FIELD_KEYS = ["not a key"]
    assert found("settings") == "FIELD_KEYS holds something that is no Fernet key → See .env.example."


def test_mail_that_nobody_takes(healthy, settings):
    settings.EMAIL_BACKEND = "django.core.mail.backends.smtp.EmailBackend"
    settings.EMAIL_HOST, settings.EMAIL_PORT = "127.0.0.1", 9
    assert "Connection refused → See EMAIL_URL. Notices wait until it works." in found("mail")


def test_a_database_that_is_away(healthy):
    def is_away() -> None:
        raise OperationalError("connection refused")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(checkup.connection, "ensure_connection", is_away)
        results = checkup.check_all(now=NOW)
    assert [result.found for result in results if result.what == "database"] == ["connection refused"]
    assert "worker" not in {result.what for result in results}


def test_a_release_whose_tables_are_not_there_yet(healthy):
    MigrationRecorder(checkup.connection).record_unapplied("webhooks_log", newest("webhooks_log"))
    assert found("database") == "1 migrations are pending → Run manage.py migrate."


def newest(app: str) -> str:
    return max(name for label, name in MigrationRecorder(checkup.connection).applied_migrations() if label == app)


def test_a_clock_that_goes_wrong(healthy, monkeypatch):
    right = timezone.now
    monkeypatch.setattr(timezone, "now", lambda: right() + timedelta(seconds=9))
    if checkup.connection.vendor == "sqlite":
        assert wrong() == {}  # a file has no clock of its own
    else:
        assert found("clock") == "9.0 s from the database's → Let both hosts follow one time server."


def test_a_queue_that_nobody_empties(healthy, monkeypatch):
    monkeypatch.setattr(checkup, "MANY_BELLS", 1)
    get_broker().delete_queue()  # Redis keeps what earlier tests rang
    for _ in range(2):
        async_task(jobs.ALIVE)
    try:
        assert found("queue") == "2 bells wait → Start more workers, or see why none runs."
    finally:
        get_broker().delete_queue()


def test_an_event_that_broke(healthy):
    shop.event(shop.merchant(), state="broken")
    assert found("events") == "1 are broken → Read the log, mend, then manage.py redispatch --broken."


def test_a_message_that_nobody_took_back_from_the_wire(healthy):
    shop.delivery(shop.connection(shop.merchant()), state="sending", claimed_at=NOW)
    assert found("messages") == "1 on the wire for too long → Start a worker; it takes them back."


def test_a_connection_in_trouble(healthy):
    shop.connection(shop.merchant(), state="key_refused")
    assert found("connections") == "1 in trouble → Each says why on its page; owners have been told."


def test_an_erasure_that_is_not_done(healthy):
    Erasure.objects.create(merchant=shop.merchant(), requested_at=NOW)
    assert found("erasures") == "1 longer than a day → See Privacy for what Klaviyo said."
