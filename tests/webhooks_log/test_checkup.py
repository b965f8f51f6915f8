"""The operator's doctor: what it finds wrong, and what it says to do."""

from datetime import timedelta
from typing import Any

import pytest
from django.core.management import call_command

from connections.secrets import seal
from tests.webhooks_log import shop
from webhooks_log import checkup, heartbeat
from webhooks_log.models import Heartbeat

pytestmark = pytest.mark.django_db

NOW = shop.NOON


@pytest.fixture
def healthy(twin, settings) -> None:
    settings.KLAVIYO_BASE_URL = twin.url
    for name in ("clock", "queue"):
        heartbeat.beat(name)


def wrong(now=None) -> dict[str, str]:
    results = checkup.check_all(now=now or heartbeat.timezone.now())
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
    Heartbeat.objects.filter(name="queue").update(at=heartbeat.timezone.now() - timedelta(minutes=6))
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
    Heartbeat.objects.filter(name="worker:gone").update(at=heartbeat.timezone.now() - timedelta(days=1))
    assert wrong() == {}
