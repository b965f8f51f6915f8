"""Log lines for machines: one object a line, with the request it belongs to, and no person in it."""

import io
import json
import logging

import pytest

from config.logs import REQUEST_ID, JsonFormatter
from tests.twin import Twin
from tests.webhooks_log.lanes import Shop, pump
from webhooks_log.models import Attempt


@pytest.fixture
def lines():
    """What the logger of attempts writes, as dicts."""
    stream = io.StringIO()
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter())
    logger = logging.getLogger("viaduct.attempt")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logger.removeHandler(handler)
    logger.setLevel(logging.WARNING)


def written(**extra: object) -> dict[str, object]:
    record = logging.makeLogRecord({"name": "x", "levelno": 20, "levelname": "INFO", "msg": "said %s", "args": ("so",)})
    vars(record).update(extra)
    return json.loads(JsonFormatter().format(record))


def test_a_line_says_when_how_bad_who_and_what():
    line = written(delivery=7)
    assert {name: line[name] for name in ("level", "logger", "says", "delivery")} == {
        "level": "info", "logger": "x", "says": "said so", "delivery": 7,
    }  # fmt: skip


def test_a_line_carries_the_request_it_belongs_to():
    token = REQUEST_ID.set("abc-12345")
    assert written()["request_id"] == "abc-12345"
    REQUEST_ID.reset(token)


def test_a_fault_shows_its_places_but_not_its_words():
    try:
        raise ValueError("sarah@shop.test")
    except ValueError as error:
        line = written(exc_info=(ValueError, error, error.__traceback__))
    assert line["error"] == "ValueError"
    assert "sarah" not in json.dumps(line)


@pytest.mark.django_db(transaction=True)
def test_every_call_writes_one_line_with_every_id_and_no_person(lines, twin: Twin, settings):
    settings.KLAVIYO_BASE_URL = twin.url
    vita = Shop(twin)
    row = vita.owe("1668", email="sarah.mason@klaviyo-demo.com", phone="+12025550143")
    type(row.event).objects.update(request_id="from-the-door")
    pump()
    (line,) = lines()
    attempt = Attempt.objects.get()
    assert {name: line[name] for name in ("request_id", "attempt", "delivery", "event", "merchant", "account")} == {
        "request_id": "from-the-door",
        "attempt": attempt.pk,
        "delivery": row.pk,
        "event": row.event_id,
        "merchant": vita.merchant.pk,
        "account": vita.account.pk,
    }
    assert (line["verdict"], line["state"], line["status"]) == ("accepted", "delivered", 202)
    assert line["klaviyo_request_id"] == attempt.klaviyo_request_id
    assert not {"sarah", "mason", "2025550143"} & set(json.dumps(line).replace("@", " ").replace(".", " ").split())
