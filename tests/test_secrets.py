"""After a day of real use no key and no address token stands in clear anywhere: database, logs, pages, reports, tasks.

Each place is looked at as an attacker would find it, and each look is shown to bite: what is leaked there on purpose is
found.
"""

import logging
import re
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings as configured
from django.core.signals import got_request_exception
from django.urls import reverse
from django.views.debug import ExceptionReporter
from django_q.brokers import get_broker
from django_q.brokers.redis_broker import Redis
from django_q.models import OrmQ
from django_q.signing import SignedPackage
from django_q.tasks import async_task

from config.logs import JsonFormatter
from connections import audit, doctor, keys
from connections.klaviyo.sandbox.accounts import FULL_KEY, REVOKED_KEY, SECOND_FULL_KEY
from connections.models import Connection
from tests.dump import stored, unpacked
from tests.events.door import call
from tests.webhooks_log.lanes import pump
from tests.webhooks_log.shop import merchant, person, source, superuser
from webhooks_log import dispatch
from webhooks_log.models import Attempt

pytestmark = pytest.mark.django_db
PLACED = Path("tests/fixtures/events/placed_order/event.json").read_bytes()
BACKEND = "django.contrib.auth.backends.ModelBackend"
PLAIN = logging.Formatter(configured.LOGGING["formatters"]["plain"]["format"])


@pytest.fixture
def shop():
    return merchant()


@pytest.fixture
def secrets_of_the_day(client, twin, settings, caplog, shop) -> list[str]:
    """An owner connects, mistypes and replaces a key; Vrio posts to the secret address; the event is delivered."""
    settings.KLAVIYO_BASE_URL = twin.url
    caplog.set_level(logging.DEBUG)
    client.force_login(person(shop, "owner"), backend=BACKEND)
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


def connect(client, path: str, key: str, name: str = "Klaviyo") -> Any:
    return client.post(path, {"name": name, "private_key": key, "push_events": "on", "activate": "1"})


# ── The database ─────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.django_db(transaction=True)
def test_the_database_holds_no_secret(secrets_of_the_day, shop):
    assert_clean(secrets_of_the_day, stored())
    audit.record(None, "leaked", merchant=shop, reason=FULL_KEY)
    assert_leaks(stored())


def test_nothing_packed_holds_a_secret(secrets_of_the_day):
    packed = unpacked()
    assert packed
    assert_clean(secrets_of_the_day, packed)


# ── Logs ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_log_line_holds_a_secret(secrets_of_the_day, broken_reports, caplog):
    records = [*caplog.get_records("setup"), *caplog.get_records("call")]
    assert any(record.exc_info for record in records)
    assert any("/api/v1/ingest/***" in line for line in written(records))
    assert_clean(secrets_of_the_day, written(records))


def test_a_leak_into_the_log_is_found(caplog):
    logging.getLogger("viaduct.access").warning("posted", extra={"path": FULL_KEY})
    assert_leaks(written(caplog.records))


def written(records: Iterable[logging.LogRecord]) -> list[str]:
    """Every record as each of the two formats writes it, with what it carries along and the traceback."""
    return [formatter.format(record) for record in records for formatter in (PLAIN, JsonFormatter())]


# ── Error reports ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def broken_reports(secrets_of_the_day, client, settings) -> list[str]:
    """What is reported when a fault strikes in the middle of a key's use, with DEBUG on and off.

    The faults are settings that cannot be: the client to Klaviyo breaks with the key in its hands, the door with the
    address in its.
    """
    reports: list[str] = []

    def note(sender: Any, request: Any = None, **kwargs: Any) -> None:
        for settings.DEBUG in (True, False):
            told = ExceptionReporter(request, *sys.exc_info())
            reports.extend((told.get_traceback_html(), told.get_traceback_text()))

    got_request_exception.connect(note, weak=False)
    client.raise_request_exception = False
    try:
        one, token = Connection.objects.get(), secrets_of_the_day[3]
        settings.KLAVIYO_TOTAL_SECONDS = settings.KLAVIYO_CONNECT_SECONDS = "no number"
        assert connect(client, reverse("admin:connection_settings", args=(one.pk,)), SECOND_FULL_KEY).status_code == 500
        settings.INGEST_MAX_BYTES = "no number"
        assert call("POST", f"/api/v1/ingest/{token}", PLACED, HTTP_REFERER=f"http://localhost/{token}").status == 500
    finally:
        got_request_exception.disconnect(note)
    return reports


def test_no_error_report_holds_a_secret(secrets_of_the_day, broken_reports):
    assert len(broken_reports) == 8
    assert "private_key" in broken_reports[0]
    assert_clean(secrets_of_the_day, broken_reports)


def test_a_leak_into_a_report_is_found():
    try:
        innocent = f"the words {FULL_KEY} under a name that nothing warns of"
        raise RuntimeError(len(innocent))
    except RuntimeError:
        assert_leaks([ExceptionReporter(None, *sys.exc_info()).get_traceback_html()])


# ── Tasks ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_no_task_carries_a_secret(secrets_of_the_day):
    assert queued()
    assert_clean(secrets_of_the_day, queued())
    async_task("connections.doctor.check_by_id", FULL_KEY)
    assert_leaks(queued())


def queued() -> list[str]:
    """What waits in the queue, whichever broker carries it."""
    broker = get_broker()
    if isinstance(broker, Redis):
        payloads = broker.connection.lrange(broker.list_key, 0, -1)
    else:
        payloads = OrmQ.objects.values_list("payload", flat=True)
    return [str(SignedPackage.loads(payload)) for payload in payloads]


# ── Pages ────────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("who", ["owner", "support", "staff"])
def test_no_page_shows_a_secret(secrets_of_the_day, client, shop, who):
    client.force_login(superuser() if who == "staff" else person(shop, who), backend=BACKEND)
    pages = crawl(client, reverse("admin:index"))
    assert len(pages) > 40
    assert_clean(secrets_of_the_day, pages.values())


def test_no_answer_to_a_form_shows_what_was_typed(secrets_of_the_day, client):
    one = Connection.objects.get()
    add, change = reverse("admin:connection_add"), reverse("admin:connection_settings", args=(one.pk,))
    for path in (add, change):
        answer = connect(client, path, REVOKED_KEY, name="")
        assert answer.status_code == 200
        assert_clean(secrets_of_the_day, [answer.content])


def test_a_leak_into_a_page_is_found(client, shop):
    client.force_login(person(shop, "owner"), backend=BACKEND)
    audit.record(None, "leaked", merchant=shop, reason=FULL_KEY)
    assert_leaks(crawl(client, reverse("admin:index")).values())


def crawl(client, start: str, most: int = 400) -> dict[str, bytes]:
    """Every page and fragment that links lead to from here, by its address."""
    found: dict[str, bytes] = {}
    waiting = [start]
    while waiting:
        path = waiting.pop()
        if path in found or "logout" in path:
            continue
        assert len(found) < most, "the walk never ends"
        answer = client.get(path)
        found[path] = b"".join(answer if answer.streaming else [answer.content])
        text = found[path].decode("utf-8", "replace")
        waiting += [link.replace("&amp;", "&") for link in re.findall(r'(?:href|data-src)="(/app/[^"#]*)"', text)]
    return found


# ── What a leak is ───────────────────────────────────────────────────────────────────────────────────────────────────


def assert_clean(secrets: list[str], texts: Iterable[str | bytes]) -> None:
    """Neither a secret nor its middle, whatever stands around it."""
    for text in texts:
        raw = text.encode("utf-8", "replace") if isinstance(text, str) else text
        for secret in secrets:
            assert secret[5:-4].encode() not in raw


def assert_leaks(texts: Iterable[str | bytes]) -> None:
    with pytest.raises(AssertionError):
        assert_clean([FULL_KEY], texts)
