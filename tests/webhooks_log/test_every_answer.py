"""Every answer Klaviyo is known to give, over the wire: what becomes of the Delivery, in how many calls, which tries."""

import json
from dataclasses import dataclass
from typing import Any

import pytest

from tests.connections.klaviyo.wire import Script, drips, hangs_up, playing, pours, says, stays
from tests.twin import Twin
from tests.webhooks_log.lanes import Shop, pump
from webhooks_log.models import Attempt, Body, Delivery

pytestmark = pytest.mark.django_db(transaction=True)
PHONE = "/data/attributes/profile/data/attributes/phone_number"
BAD_PHONE = "Invalid phone number format (Example of a valid format: +12345678901)"
NUMBER = "+12025550123"


@pytest.fixture(autouse=True)
def short_patience(settings) -> None:
    settings.KLAVIYO_CONNECT_SECONDS, settings.KLAVIYO_TOTAL_SECONDS, settings.LANE_THREADS = 1.0, 0.6, 4


@dataclass(frozen=True, slots=True)
class End:
    """Where a Delivery stands after an answer, and the verdicts on its calls, the first first."""

    state: str
    reason: str
    verdicts: list[str]
    tries: int = 0
    is_due_again: bool = False


def done(*verdicts: str, reason: str = "") -> End:
    return End("delivered", reason, list(verdicts))


def later(verdict: str) -> End:
    return End("waiting", "retrying", [verdict], tries=1, is_due_again=True)


def failed(*verdicts: str, reason: str = "") -> End:
    return End("failed", reason or verdicts[-1], list(verdicts))


def held(verdict: str) -> End:
    return End("waiting", verdict, [verdict])


THROTTLED = End("waiting", "throttled", ["throttled"], is_due_again=True)


def end_of(row: Delivery) -> End:
    row.refresh_from_db()
    verdicts = Attempt.objects.filter(delivery=row).order_by("id").values_list("verdict", flat=True)
    is_due_again = row.next_attempt_at is not None and row.next_attempt_at > row.updated_at
    return End(row.state, row.reason, list(verdicts), row.tries, is_due_again)


# fmt: off
ANSWERS: tuple[tuple[dict[str, Any], End], ...] = (
    ({"status": 200},                                                         done("accepted")),
    ({"status": 201},                                                         done("accepted")),
    ({"headers": {"X-Klaviyo-Partial-Failure": "phone_number"}},              done("phone_ignored", reason="phone_ignored")),
    ({"status": 400, "pointer": PHONE, "detail": BAD_PHONE},                  done("phone_refused", "accepted")),
    ({"status": 400, "detail": BAD_PHONE},                                    done("phone_refused", "accepted")),
    ({"status": 400, "pointer": PHONE, "count": 2},                           failed("phone_refused", "phone_refused", reason="refused_again")),
    ({"status": 400, "pointer": "/data/attributes/profile/data/attributes/email", "detail": "Invalid email address"}, failed("email_refused")),
    ({"status": 400, "detail": "One or more identifiers is required"},        failed("rejected")),
    ({"status": 400, "detail": "'x' is not a valid field for the resource 'event'."}, failed("rejected")),
    ({"status": 400, "body": "not json"},                                     failed("rejected")),
    ({"status": 401},                                                         held("key_refused")),
    ({"status": 401, "code": "authentication_failed"},                        held("key_refused")),
    ({"status": 403, "detail": "Your API key is missing required scopes: events:write"}, held("scope_missing")),
    ({"status": 403},                                                         held("scope_missing")),
    ({"status": 403, "html": True},                                           later("edge_blocked")),
    ({"status": 404},                                                         failed("not_offered")),
    ({"status": 405},                                                         failed("not_offered")),
    ({"status": 408},                                                         later("answered_late")),
    ({"status": 409, "code": "duplicate_profile"},                            done("duplicate_profile", "accepted")),
    ({"status": 409, "code": "duplicate_profile", "count": 2},                failed("duplicate_profile", "duplicate_profile", reason="refused_again")),
    ({"status": 410},                                                         failed("revision_retired")),
    ({"status": 413, "html": True},                                           failed("too_large")),
    ({"status": 415},                                                         failed("not_offered")),
    ({"status": 422},                                                         failed("rejected")),
    ({"status": 418},                                                         failed("refused")),
    ({"status": 429, "retry_after": 30},                                      THROTTLED),
    ({"status": 429, "retry_after": "12.2"},                                  THROTTLED),
    ({"status": 429, "retry_after": "", "html": True},                        THROTTLED),
    ({"status": 429, "retry_after": "Fri, 31 Dec 2027 23:59:59 GMT"},         THROTTLED),
    ({"status": 500},                                                         later("server_fault")),
    ({"status": 503, "retry_after": 1},                                       later("server_fault")),
    *(({"status": code, "html": True},                                        later("edge_fault")) for code in (502, *range(520, 531))),
    ({"status": 504},                                                         later("server_fault")),
    *(({"status": code, "redirect": "http://127.0.0.1:9/"},                   later("redirected")) for code in (301, 302, 303, 307, 308)),
    ({"raw": "HTTP/1.1 202 Accep"},                                           later("cut_off")),
    ({"raw": "not HTTP at all\r\n\r\n"},                                      later("cut_off")),
    ({"status": 500, "truncate": True, "store": True},                        later("cut_off")),
    ({"drop": "before"},                                                      later("cut_off")),
    ({"drop": "after"},                                                       later("cut_off")),
    ({"status": 500, "endless": True},                                        later("cut_off")),
    ({"status": 500, "drip_ms": 100},                                         later("no_answer")),
    ({"delay_ms": 3_000},                                                     later("no_answer")),
)
# fmt: on


def told(order: dict[str, Any]) -> str:
    return " ".join(f"{name}={value}" for name, value in order.items() if name not in ("detail", "headers"))[:60]


def owe_profile(shop: Shop, email: str, phone: str) -> Delivery:
    """A profile alone."""
    row = shop.owe("profile:1", email=email)
    told = {"data": {"type": "profile", "attributes": {"email": email, "phone_number": phone}}}
    Body.objects.filter(pk=row.body_id).update(content=json.dumps(told).encode(), codec=0)
    Delivery.objects.filter(pk=row.pk).update(metric="", path="/api/profile-import")
    return row


@pytest.mark.parametrize(("order", "end"), ANSWERS, ids=[told(order) for order, _ in ANSWERS])
def test_an_answer_brings_a_delivery_to_its_end(order: dict[str, Any], end: End, twin: Twin, settings) -> None:
    settings.KLAVIYO_BASE_URL = twin.url
    row = Shop(twin).owe("1668", phone=NUMBER)
    twin.fault(**order, path="/api/events")
    pump(3)
    assert end_of(row) == end
    bodies = [call["body"] for call in twin.requests()]
    assert len(bodies) == len(end.verdicts)
    assert all(NUMBER not in body for body in bodies[1:])  # a refused phone goes once


@pytest.mark.parametrize(
    ("script", "verdict"),
    [
        (hangs_up, "cut_off"),
        (says(b""), "cut_off"),
        (says(b"HTTP/1.1 202 OK\r\nContent-Length: 10\r\n\r\nabc"), "cut_off"),
        (pours(b"HTTP/1.1 200 OK\r\n\r\n", b"x" * 65_536), "cut_off"),
        (stays(), "no_answer"),
        (stays(b"HTTP/1.1 202 OK\r\n"), "no_answer"),
        (drips(b"HTTP/1.1 202 OK\r\nContent-Length: 9999\r\n\r\n"), "no_answer"),
        (says(b"HTTP/1.1 101 Switching Protocols\r\nContent-Length: 0\r\n\r\n"), "not_understood"),
    ],
    ids=["reset", "closed", "short", "endless", "mute", "half a head", "drop by drop", "another protocol"],
)
def test_a_wire_that_breaks_is_tried_again_later(script: Script, verdict: str, twin: Twin, settings) -> None:
    row = Shop(twin).owe("1668")
    with playing(script) as wire:
        settings.KLAVIYO_BASE_URL = wire.url
        pump(4)
    assert end_of(row) == later(verdict)


@pytest.mark.parametrize(
    ("address", "verdict"),
    [("http://nowhere.invalid", "not_resolved"), ("http://127.0.0.1:9", "unreachable")],
)
def test_nobody_there_is_tried_again_later(address: str, verdict: str, twin: Twin, settings) -> None:
    settings.KLAVIYO_BASE_URL = address
    row = Shop(twin).owe("1668")
    pump(3)
    assert end_of(row) == later(verdict)


def test_without_tls_nothing_is_sent_and_it_is_tried_again_later(twin: Twin, settings) -> None:
    row = Shop(twin).owe("1668")
    with playing(says(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")) as wire:
        settings.KLAVIYO_BASE_URL = wire.url.replace("http://", "https://")
        pump(3)
    assert end_of(row) == later("not_secure")
    assert all(b"1668" not in heard for heard in wire.heard)


@pytest.mark.parametrize(
    ("mode", "verdicts", "calls"),
    [("reject", ["phone_refused", "accepted"], 2), ("partial", ["phone_ignored"], 1)],
)
def test_a_bad_phone_in_both_of_klaviyos_ways(mode: str, verdicts: list[str], calls: int, twin: Twin, settings) -> None:
    """As the twin judges it, for an event and for a profile alone."""
    settings.KLAVIYO_BASE_URL = twin.url
    twin.settings(possible_only="refused", phone_mode=mode)
    shop = Shop(twin)
    event = shop.owe("1668", phone="+15551234567", email="ann@klaviyo-demo.com")
    profile = owe_profile(shop, "ben@klaviyo-demo.com", "+15551234567")
    pump(3)
    assert [end_of(row).verdicts for row in (event, profile)] == [verdicts, verdicts]
    assert len(twin.requests()) == 2 * calls
    assert [told["unique_id"] for told in twin.events()] == ["1668"]
    assert {told["email"] for told in twin.profiles()} == {"ann@klaviyo-demo.com", "ben@klaviyo-demo.com"}


def test_an_email_and_a_phone_of_two_profiles_are_told_again_without_the_phone(twin: Twin, settings) -> None:
    """As the twin judges it where profile-import answers 409."""
    settings.KLAVIYO_BASE_URL = twin.url
    twin.settings(duplicate_profile="conflict")
    shop = Shop(twin)
    for email in ("ann@klaviyo-demo.com", "ben@klaviyo-demo.com"):
        shop.owe(email[:3], email=email, phone=NUMBER if email[:3] == "ann" else "")
    pump(3)
    profile = owe_profile(shop, "ben@klaviyo-demo.com", NUMBER)
    pump(3)
    assert end_of(profile) == done("duplicate_profile", "accepted")
