"""After a day of real use no key and no address token stands in clear anywhere: database, logs, pages, tasks."""

import logging
import re
from pathlib import Path

import pytest
from django.apps import apps
from django.urls import reverse
from django_q.brokers import get_broker
from django_q.brokers.redis_broker import Redis
from django_q.models import OrmQ
from django_q.signing import SignedPackage

from connections import doctor, keys
from connections.klaviyo.sandbox.accounts import FULL_KEY, REVOKED_KEY, SECOND_FULL_KEY
from connections.models import Connection
from tests.events.door import call
from tests.webhooks_log.lanes import pump
from tests.webhooks_log.shop import merchant, person, source
from webhooks_log import dispatch
from webhooks_log.models import Attempt, AttemptContent, Body
from webhooks_log.packing import unpack

pytestmark = pytest.mark.django_db
PLACED = Path("tests/fixtures/events/placed_order/event.json").read_bytes()


@pytest.fixture
def secrets_of_the_day(client, twin, settings, caplog) -> list[str]:
    """An owner connects, mistypes and replaces a key; Vrio posts to the secret address; the event is delivered."""
    settings.KLAVIYO_BASE_URL = twin.url
    caplog.set_level(logging.DEBUG)
    shop = merchant()
    client.force_login(person(shop, "owner"), backend="django.contrib.auth.backends.ModelBackend")
    connect(client, reverse("admin:connection_add"), FULL_KEY, name="")
    connect(client, reverse("admin:connection_add"), REVOKED_KEY)
    one = Connection.objects.get(merchant=shop)
    for key in (SECOND_FULL_KEY, FULL_KEY):
        connect(client, reverse("admin:connection_settings", args=(one.pk,)), key)
    _, token = keys.new_address(source(shop), name="v1")
    _, bearer = keys.new_bearer(source(shop), name="api", scope="read")
    _, signing = keys.new_hmac(source(shop), name="v2", header="X-Signature")
    assert call("POST", f"/api/v1/ingest/{token}", PLACED).status == 200
    call("POST", f"/api/v1/ingest/{token}", b"no json", HTTP_REFERER=f"http://localhost/api/v1/ingest/{token}")
    call("GET", "/api/v1/events", HTTP_AUTHORIZATION=f"Bearer {bearer}")
    dispatch.run()
    pump()
    doctor.check_by_id(one.pk)
    assert Attempt.objects.filter(status=202).exists()
    return [FULL_KEY, SECOND_FULL_KEY, REVOKED_KEY, token, bearer, signing]


def connect(client, path: str, key: str, name: str = "Klaviyo") -> None:
    client.post(path, {"name": name, "private_key": key, "push_events": "on", "activate": "1"})


def test_no_row_of_the_database_holds_a_secret(secrets_of_the_day):
    rows = [str(row) for model in apps.get_models() for row in model.objects.values_list()]
    assert len(rows) > 30
    assert_clean(secrets_of_the_day, rows)


def test_nothing_packed_holds_a_secret(secrets_of_the_day):
    packed = [(row.content, row.codec) for row in Body.objects.exclude(content=None)]
    packed += [(row.packed, row.codec) for row in AttemptContent.objects.exclude(packed=None)]
    assert packed
    assert_clean(secrets_of_the_day, [unpack(bytes(content), codec).decode() for content, codec in packed])


def test_no_log_line_holds_a_secret(secrets_of_the_day, caplog):
    lines = [record.getMessage() for record in caplog.get_records("setup")]
    assert any("/api/v1/ingest/***" in line for line in lines)
    assert_clean(secrets_of_the_day, lines)


def test_no_task_carries_a_secret(secrets_of_the_day):
    tasks = [str(SignedPackage.loads(payload)) for payload in queued()]
    assert tasks
    assert_clean(secrets_of_the_day, tasks)


def queued() -> list[bytes]:
    """What waits in the queue, whichever broker carries it."""
    broker = get_broker()
    if isinstance(broker, Redis):
        return broker.connection.lrange(broker.list_key, 0, -1)
    return list(OrmQ.objects.values_list("payload", flat=True))


def test_no_page_shows_a_secret(secrets_of_the_day, client):
    pages = crawl(client, reverse("admin:index"))
    assert len(pages) > 25
    assert_clean(secrets_of_the_day, pages.values())


def crawl(client, start: str, most: int = 150) -> dict[str, str]:
    """Every page that links lead to from here, by its address."""
    found: dict[str, str] = {}
    waiting = [start]
    while waiting and len(found) < most:
        path = waiting.pop()
        if path in found:
            continue
        answer = client.get(path)
        found[path] = b"".join(answer if answer.streaming else [answer.content]).decode("utf-8", "replace")
        waiting += [link.replace("&amp;", "&") for link in re.findall(r'href="(/app/[^"#]*)"', found[path])]
    return found


def assert_clean(secrets: list[str], texts) -> None:
    """Neither a secret nor its middle, whatever stands around it."""
    for text in texts:
        for secret in secrets:
            assert secret not in text
            assert secret[5:-4] not in text
