"""What the tab offers as raw is what crossed the wire, to the byte and both ways; and what was read back is true."""

from typing import Any

import pytest
from django.urls import reverse
from django.utils.html import escape

from tests.webhooks_log import shop
from tests.webhooks_log.lanes import Shop, pump
from tests.webhooks_log.wiretap import body_of, headers_of, wiretap
from webhooks_log.models import Body, Delivery
from webhooks_log.packing import unpack_content
from webhooks_log.readback import look

pytestmark = pytest.mark.django_db(transaction=True)
BACKEND = "django.contrib.auth.backends.ModelBackend"


def test_raw_equals_the_wire_for_a_refused_phone_and_its_second_call(client, twin, settings):
    with wiretap(twin.url) as tap:
        settings.KLAVIYO_BASE_URL = tap.url
        twin.settings(possible_only="refused")
        vita = Shop(twin)
        row = vita.owe("1668", email="sarah@klaviyo-demo.com", phone="+15551234567")
        pump()
    client.force_login(shop.person(vita.merchant), backend=BACKEND)
    attempts = list(row.attempts.order_by("pk"))
    row.refresh_from_db()
    assert Body.objects.count() == 2  # with the phone and without it, each stored once
    assert attempts[1].body_id == row.body_id != attempts[0].body_id
    assert [attempt.status for attempt in attempts] == [int(answer.split()[1]) for _, answer in tap.calls]
    for attempt, (request, answer) in zip(attempts, tap.calls, strict=True):
        assert _raw(client, "attempt_request", attempt.pk) == body_of(request)
        assert _raw(client, "attempt_answer", attempt.pk) == body_of(answer)
        shown = client.get(reverse("admin:attempt_opened", args=(attempt.pk,))).content.decode()
        assert "POST /api/events" in shown
        kept = unpack_content(attempt.content)
        assert request.startswith(f"{kept.method} /api/events HTTP/1.1\r\n".encode())
        sent = dict(headers_of(request))
        key = sent["Authorization"]
        sent["Authorization"] = f"Klaviyo-API-Key ****{key[-4:]}"
        del sent["Host"]  # it stands in the URL
        assert dict(kept.request_headers) == sent
        assert key not in shown
        assert list(kept.response_headers) == headers_of(answer)
        for name, value in [*kept.request_headers, *kept.response_headers]:
            assert name in shown
            assert escape(value) in shown


def test_an_answer_of_html_is_kept_as_it_came(client, twin, settings):
    with wiretap(twin.url) as tap:
        settings.KLAVIYO_BASE_URL = tap.url
        vita = Shop(twin)
        row = vita.owe("1668")
        twin.fault(status=503, html=True, count=1, path="/api/events")
        pump()
    client.force_login(shop.person(vita.merchant), backend=BACKEND)
    first = row.attempts.order_by("pk").first()
    assert _raw(client, "attempt_answer", first.pk) == body_of(tap.calls[0][1])
    assert first.status == 503


def test_what_was_recorded_is_seen_and_what_was_not_is_not_lost(twin, settings):
    settings.KLAVIYO_BASE_URL = twin.url
    vita = Shop(twin)
    row = vita.owe("1668", email="sarah@klaviyo-demo.com")
    pump()
    row.refresh_from_db()
    never = vita.owe("1669", email="sarah@klaviyo-demo.com", state=Delivery.State.DELIVERED, next_attempt_at=None)
    stranger = vita.owe("1670", email="tom@klaviyo-demo.com", state=Delivery.State.DELIVERED, next_attempt_at=None)
    _until_recorded(twin)
    sight = look([row, never, stranger])
    assert sight.seen == [row.pk]
    assert set(sight.missing) == {never.pk, stranger.pk}
    assert "this is not a loss" in sight.sentence
    row.refresh_from_db()
    assert row.seen_at is not None
    vita.account.refresh_from_db()
    assert vita.account.leased_until is None
    assert vita.account.budget["profiles"]


@pytest.mark.parametrize(
    ("kind", "words"), [("revoked", "does not accept"), ("profilesonly", "is not allowed to do this")]
)
def test_a_key_that_may_not_read_says_so(twin, settings, kind, words):
    settings.KLAVIYO_BASE_URL = twin.url
    good = Shop(twin)
    row = good.owe("1668", email="sarah@klaviyo-demo.com")
    pump()
    other = good.connect(twin.key(kind=kind), "Other key")
    Delivery.objects.filter(pk=row.pk).update(connection=other)
    _until_recorded(twin)
    row.refresh_from_db()
    sight = look([row])
    assert sight.seen == []
    assert words in sight.sentence


def test_looking_waits_for_a_lane_that_is_busy_and_then_says_so(twin, settings, monkeypatch):
    settings.KLAVIYO_BASE_URL = twin.url
    monkeypatch.setattr("webhooks_log.readback.PATIENCE_SECONDS", 0.1)
    vita = Shop(twin)
    row = vita.owe("1668", state=Delivery.State.DELIVERED, next_attempt_at=None)
    type(vita.account).objects.update(leased_until="2099-01-01T00:00:00Z")
    assert "busy sending" in look([row]).sentence


def test_the_button_looks_and_tells(client, twin, settings):
    settings.KLAVIYO_BASE_URL = twin.url
    vita = Shop(twin)
    row = vita.owe("1668", email="sarah@klaviyo-demo.com")
    pump()
    _until_recorded(twin)
    client.force_login(shop.person(vita.merchant), backend=BACKEND)
    address = reverse("admin:delivery_look", args=(row.pk,))
    assert client.get(address).status_code == 405
    told = client.post(address, headers={"X-Requested-With": "fetch"}).json()
    assert told == {"sentence": "Seen in Klaviyo: 1.", "tone": "good"}
    client.post(reverse("admin:customer_look", args=(row.customer_id,)))


def _until_recorded(twin: Any) -> None:
    for _ in range(100):
        if twin.events():
            return
    raise AssertionError("the twin recorded nothing")


def _raw(client: Any, name: str, pk: int) -> bytes:
    answer = client.get(reverse(f"admin:{name}", args=(pk,)))
    assert answer.status_code == 200
    return answer.content
