"""The figures that Prometheus reads, who may read them, and that what draws them names nothing that does not exist."""

import json
import re
from collections import Counter
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.db import OperationalError, connection
from django.test import Client
from django_q.brokers import redis_broker
from django_q.conf import Conf
from django_q.tasks import queue_size
from prometheus_client import CollectorRegistry
from prometheus_client.openmetrics.exposition import generate_latest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as strictly
from prometheus_client.parser import text_string_to_metric_families

from connections.models import KlaviyoAccount
from events.models import Event
from tests.events.vrio_records import sale
from tests.webhooks_log import inbox, shop
from webhooks_log import counts, health, heartbeat, metrics, tally
from webhooks_log.models import Delivery, Heartbeat

pytestmark = pytest.mark.django_db

ROOT = Path(__file__).resolve().parents[2]
NOW = shop.NOON + timedelta(minutes=5)


@pytest.fixture(autouse=True)
def _nothing_remembered():
    health._last.clear()


def read(now=NOW) -> dict[str, float]:
    """Every sample by its name and labels, as `name{label="value"}`."""
    families = text_string_to_metric_families(metrics.written(now).decode())
    return {spelled(sample): sample.value for family in families for sample in family.samples}


def spelled(sample: Any) -> str:
    labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
    return f"{sample.name}{{{labels}}}" if labels else sample.name


def test_what_dispatch_counts_is_what_came_and_what_was_skipped():
    merchant = inbox.shop(push_events=False)
    inbox.tell(merchant, sale())
    figures = read(inbox.NOW)
    assert figures["viaduct_events_received_total"] == 1
    assert figures["viaduct_events_dispatched_total"] == 1
    assert figures['viaduct_deliveries_total{outcome="skipped"}'] == 3
    assert figures['viaduct_deliveries_skipped_total{reason="push_off"}'] == 3


def test_dispatching_again_counts_nothing_twice():
    merchant = inbox.shop(push_events=False)
    inbox.tell(merchant, sale())
    Event.objects.update(state="received")
    inbox.tell(merchant, now=inbox.NOW + timedelta(minutes=1))
    inbox.tell(merchant, sale(), now=inbox.NOW + timedelta(minutes=2))
    assert read(inbox.NOW)['viaduct_deliveries_total{outcome="skipped"}'] == 3


def test_age_is_now_minus_due_and_the_future_is_not_late(klaviyo):
    for minutes in (2, -2):
        shop.delivery(klaviyo, state="waiting", next_attempt_at=NOW - timedelta(minutes=minutes))
    figures = read()
    assert figures["viaduct_oldest_due_seconds"] == 120
    assert figures['viaduct_deliveries_open{state="waiting"}'] == 2


def test_calls_are_folded_once_they_are_a_minute_old(klaviyo):
    shop.refused_phone(klaviyo, shop.customer(klaviyo.merchant))
    tally.fold(now=shop.NOON)
    tally.fold(now=NOW)
    tally.fold(now=NOW)
    figures = read()
    assert figures['viaduct_attempts_total{verdict="phone_refused"}'] == 1
    assert figures['viaduct_attempts_total{verdict="accepted"}'] == 1
    assert figures["viaduct_vrio_to_klaviyo_seconds_count"] == 1
    assert figures['viaduct_vrio_to_klaviyo_seconds_bucket{le="5"}'] == 1
    assert figures['viaduct_vrio_to_klaviyo_seconds_bucket{le="2"}'] == 0


def test_counters_survive_the_folding_of_hours_and_the_purge(klaviyo):
    key = (klaviyo.merchant_id, klaviyo.pk, "Placed Order", "delivered")
    for hours in range(4):
        counts.add(Counter({key: 10}), shop.NOON + timedelta(hours=hours))
    name = 'viaduct_deliveries_total{outcome="delivered"}'
    before = read(shop.NOON + timedelta(hours=3))[name]
    tally.fold(now=shop.NOON + timedelta(hours=3))
    assert read(shop.NOON + timedelta(hours=3))[name] == before == 40


def test_the_fullest_lane_is_shown(klaviyo):
    account = KlaviyoAccount.objects.get()
    slots = {"windows": {"60": {"limit": 3500, "slots": [[NOW.timestamp() - 5, 1750]]}}, "next_at": 0}
    KlaviyoAccount.objects.filter(pk=account.pk).update(budget={"events": slots}, served_at=NOW)
    assert read()['viaduct_lane_budget_used_ratio{window="60s"}'] == 0.5


def test_no_figure_names_a_customer_or_a_merchant(klaviyo):
    shop.refused_phone(klaviyo, shop.customer(klaviyo.merchant))
    tally.fold(now=NOW)
    text = metrics.written(NOW).decode()
    assert klaviyo.merchant.name not in text
    assert set(re.findall(r"[{,](\w+)=", text)) <= {
        "outcome", "reason", "verdict", "state", "breaker", "window", "part", "host", "le",
    }  # fmt: skip


@pytest.mark.parametrize("name", ["grafana.json", "alerts.yaml"])
def test_every_query_names_a_figure_that_is_there(klaviyo, name):
    shop.refused_phone(klaviyo, shop.customer(klaviyo.merchant))
    families = list(text_string_to_metric_families(metrics.written(NOW).decode()))
    exported = {family.name for family in families} | {f"{family.name}_total" for family in families}
    exported |= {f"{family.name}_bucket" for family in families if family.type == "histogram"}
    asked = set(re.findall(r"viaduct_[a-z_0-9]+", (ROOT / "deploy" / name).read_text()))
    assert asked
    assert asked - exported == set()


def test_the_dashboard_draws_every_figure():
    drawn = (ROOT / "deploy/grafana.json").read_text()
    names = {family.name for family in text_string_to_metric_families(metrics.written(NOW).decode())}
    assert {name for name in names if name not in drawn} == set()
    assert all(panel["title"] for panel in json.loads(drawn)["panels"])


def test_every_alert_says_what_to_do():
    rules = yaml.safe_load((ROOT / "deploy/alerts.yaml").read_text())["groups"][0]["rules"]
    told = (ROOT / "docs/operations.md").read_text()
    assert [rule["alert"] for rule in rules if f"**{rule['alert']}**" not in told] == []


ENDINGS = {"counter": {"_total"}, "gauge": {""}, "histogram": {"_bucket", "_count", "_sum"}}


def test_names_and_units_are_those_that_prometheus_asks_for(klaviyo):
    """And its stricter reader, that of OpenMetrics, takes every line."""
    shop.refused_phone(klaviyo, shop.customer(klaviyo.merchant))
    heartbeat.beat("worker:here", memory=1)
    tally.fold(now=NOW)
    registry = CollectorRegistry()
    registry.register(metrics.Tables(NOW))
    for family in strictly(generate_latest(registry).decode()):
        assert re.fullmatch(r"viaduct_[a-z]+(_[a-z]+)*", family.name)
        assert not re.search(r"_(ms|milliseconds|minutes|hours|percent|kb|mb|total|count|sum|info)$", family.name)
        assert family.documentation.endswith(".")
        assert {sample.name.removeprefix(family.name) for sample in family.samples} <= ENDINGS[family.type]


def test_a_worker_that_is_gone_is_no_figure(klaviyo):
    heartbeat.beat("worker:here", memory=1)
    heartbeat.beat("worker:gone", memory=1)
    heartbeat.beat("clock")
    Heartbeat.objects.update(at=NOW)
    Heartbeat.objects.exclude(name="worker:here").update(at=NOW - timedelta(days=2))
    figures = read()
    assert 'viaduct_worker_memory_bytes{host="here"}' in figures
    assert 'viaduct_worker_memory_bytes{host="gone"}' not in figures
    assert figures['viaduct_heartbeat_age_seconds{part="clock"}'] == 2 * 24 * 3600


def test_a_queue_that_is_away_takes_only_its_own_figure_along(klaviyo, monkeypatch):
    monkeypatch.setattr(Conf, "REDIS", "redis://127.0.0.1:9/0")
    monkeypatch.setattr(metrics, "queue_size", partial(queue_size, broker=redis_broker.Redis()))
    figures = read()
    assert "viaduct_queue_length" not in figures
    assert "viaduct_events_received_total" in figures


# ── Who may ask ──────────────────────────────────────────────────────────────────────────────────────────────────────
def test_alive_needs_nothing(client):
    assert client.get("/healthz").json() == {"status": "ok"}


def test_ready_says_what_it_looked_at(client):
    assert client.get("/readyz").json() == {
        "status": "ok", "database": "ok", "migrations": "ok", "worker": "never seen",
    }  # fmt: skip


def test_without_a_token_only_this_machine_reads_the_figures(client):
    assert client.get("/metrics", REMOTE_ADDR="127.0.0.1").status_code == 200
    assert client.get("/metrics", REMOTE_ADDR="203.0.113.9").status_code == 403
    assert client.get("/metrics", REMOTE_ADDR="127.0.0.1", HTTP_X_FORWARDED_FOR="203.0.113.9").status_code == 403


def test_with_a_token_whoever_has_it(client, settings):
    settings.METRICS_TOKEN = "scrape-me"
    assert client.get("/metrics", REMOTE_ADDR="127.0.0.1").status_code == 403
    assert client.get("/metrics", HTTP_AUTHORIZATION="Bearer scrape-me").status_code == 200


def test_without_its_database_it_says_so(client):
    def is_away(*_: Any) -> None:
        raise OperationalError

    with connection.execute_wrapper(is_away):
        answer = client.get("/metrics", REMOTE_ADDR="127.0.0.1")
    assert (answer.status_code, answer.json()["database"]) == (503, "away")


def test_watchers_need_no_session_and_no_https(settings):
    settings.SECURE_SSL_REDIRECT = True
    answer = Client().get("/healthz", headers={"host": "testserver"})
    assert answer.status_code == 200
    assert not answer.cookies


def test_open_states_are_those_of_the_model():
    assert set(metrics.OPEN) == set(Delivery.OPEN)
