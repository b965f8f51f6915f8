"""The opened row: both sides to the byte, what changed, what it means, and what hostile bytes may do: nothing."""

import json
from typing import Any

import pytest
from django.urls import reverse

from connections.klaviyo.exchange import Silence
from connections.models import AuditEntry
from tests.webhooks_log import shop
from webhooks_log.models import AttemptContent

pytestmark = pytest.mark.django_db
BACKEND = "django.contrib.auth.backends.ModelBackend"


@pytest.fixture
def masked(klaviyo: Any, client: Any) -> Any:
    client.force_login(shop.person(klaviyo.merchant, sees_personal_data=False), backend=BACKEND)
    return client


def html(client: Any, name: str, pk: int) -> str:
    answer = client.get(reverse(f"admin:{name}", args=(pk,)))
    assert answer.status_code == 200
    return answer.content.decode()


def test_the_last_call_is_open_and_marks_what_changed(support, klaviyo, sarah):
    shown = html(support, "delivery_opened", shop.refused_phone(klaviyo, sarah).pk)
    assert "Accepted by Klaviyo." in shown
    assert "It went without the phone number" in shown
    assert f"phone_number</code> <del>{shop.REFUSED_PHONE}</del>" in shown
    assert "<b>Left out</b>" in shown
    assert "vt-went" in shown
    assert "What Vrio sent" in shown


def test_an_earlier_call_shows_the_refusal_and_its_own_body(support, klaviyo, sarah):
    first = shop.refused_phone(klaviyo, sarah).attempts.order_by("pk")[0]
    shown = html(support, "attempt_opened", first.pk)
    assert "POST /api/events" in shown
    assert shop.MASKED in shown
    assert shop.REFUSED_PHONE in shown
    assert "Invalid phone number format" in shown


@pytest.mark.parametrize(
    "content",
    [
        b'{"a":1.10,"a":1.1}',
        b"\xff\xfe\x00 not text \r\n",
        json.dumps({"x": "<script>"}).encode(),
        b"",
        bytes(range(256)) * 100,
    ],
)
def test_raw_is_exact_to_the_byte_both_ways(support, klaviyo, content):
    row = shop.delivery(klaviyo, content=content)
    attempt = shop.call(row, answer=content)
    assert support.get(reverse("admin:attempt_request", args=(attempt.pk,))).content == content
    answer = support.get(reverse("admin:attempt_answer", args=(attempt.pk,)))
    assert answer.content == content
    assert answer["Content-Type"] == "application/octet-stream"
    assert "attachment" in answer["Content-Disposition"]


def test_the_event_is_shown_as_received(support, klaviyo):
    body = b'{"webhook_type" : "transaction",\n "amount": 1.10}'
    row = shop.delivery(klaviyo, event=shop.event(klaviyo.merchant, body))
    assert support.get(reverse("admin:event_body", args=(row.event_id,))).content == body
    assert "1.10" in html(support, "event_opened", row.event_id)


def test_curl_names_a_variable_and_quotes_what_the_shell_would_run(support, klaviyo):
    row = shop.delivery(klaviyo, content=b"""{"name": "O'Neil $(rm -rf /) `id`"}""")
    line = support.get(reverse("admin:attempt_curl", args=(shop.call(row).pk,))).content.decode()
    assert line.startswith("curl -X POST https://a.klaviyo.com/api/events")
    assert '"Authorization: Klaviyo-API-Key $KLAVIYO_API_KEY"' in line
    assert "9f3c" not in line
    assert """--data-binary '{"name": "O'"'"'Neil $(rm -rf /) `id`"}'""" in line


HOSTILE = {
    "script": b'{"a": "</pre><script>alert(document.cookie)</script><img src=x onerror=alert(1)>"}',
    "template": b'{"{{ request.user.password }}": "{% include \'x\' %}", "x-data": "@click=alert(1)"}',
    "ten megabytes": b'{"a": "' + b"x" * 10_000_000 + b'"}',
    "a thousand levels": b"[" * 1000 + b"]" * 1000,
    "no text": bytes(range(256)) * 50,
    "one huge line of digits": b"1" * 300_000,
}


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE)
def test_hostile_bodies_are_safe_and_light(support, klaviyo, content):
    row = shop.delivery(klaviyo, content=content, event=shop.event(klaviyo.merchant, content))
    attempt = shop.call(row, status=400, verdict="rejected", answer=content)
    pages = [html(support, "delivery_opened", row.pk), html(support, "delivery", row.pk)]
    pages += [html(support, "attempt_opened", attempt.pk), html(support, "event_opened", row.event_id)]
    for shown in pages:
        assert len(shown) < 100_000
        assert "<script>alert" not in shown
        assert "<img src=x" not in shown
        assert "pbkdf2" not in shown


def test_a_silent_call_and_an_interrupted_one_are_told_in_words(support, klaviyo):
    row = shop.delivery(klaviyo, content=shop.message(), state="waiting", reason="retrying")
    shop.call(row, status=None, verdict="no_answer", silence=Silence.TIMEOUT)
    row.attempts.create(kind="interrupted", verdict="interrupted", started_at=shop.NOON)
    shown = html(support, "delivery_opened", row.pk)
    assert "Klaviyo did not answer in time." in shown
    assert "It may or may not have been sent." in shown


def test_expired_bodies_say_so_and_the_row_stays(support, klaviyo):
    row = shop.delivery(klaviyo, content=shop.message())
    attempt = shop.call(row, answer=b"{}")
    row.body.content, row.body.expired_at = None, shop.NOON
    row.body.save()
    AttemptContent.objects.filter(pk=attempt.pk).update(packed=None, expired_at=shop.NOON)
    shown = html(support, "delivery_opened", row.pk)
    assert "expired on 2026-03-02; the row stays." in shown
    assert "Headers and answer have expired" in shown
    assert support.get(reverse("admin:attempt_request", args=(attempt.pk,))).status_code == 404


def test_without_the_permission_there_is_a_masked_tree_only(masked, klaviyo, sarah):
    row = shop.refused_phone(klaviyo, sarah)
    attempt = row.attempts.order_by("pk")[0]
    tab = html(masked, "customer_webhooks", sarah.pk)
    for shown in (
        html(masked, "delivery_opened", row.pk),
        html(masked, "delivery", row.pk),
        html(masked, "attempt_opened", attempt.pk),
        html(masked, "event_opened", row.event_id),
        html(masked, "customer", sarah.pk),
        html(masked, "why_customer", sarah.pk),
        tab,
    ):
        assert shop.EMAIL not in shown
        assert "5551234567" not in shown
        assert "Mason" not in shown
        assert "Raw text" not in shown
        assert "cURL" not in shown
    assert "s•••@k•••.com" in tab


@pytest.mark.parametrize("name", ["attempt_request", "attempt_answer", "attempt_curl"])
def test_without_the_permission_no_bytes_leave(masked, klaviyo, sarah, name):
    attempt = shop.refused_phone(klaviyo, sarah).attempts.first()
    assert masked.get(reverse(f"admin:{name}", args=(attempt.pk,))).status_code == 403
    assert masked.get(reverse("admin:webhooks_export", args=("csv",))).status_code == 403
    assert masked.get(reverse("admin:event_body", args=(attempt.delivery.event_id,))).status_code == 403


def test_seeing_personal_data_is_recorded_once_an_hour(support, klaviyo, sarah):
    row = shop.refused_phone(klaviyo, sarah)
    for _ in range(3):
        html(support, "delivery_opened", row.pk)
        html(support, "customer", sarah.pk)
    seen = AuditEntry.objects.filter(action="personal data seen")
    assert sorted(seen.values_list("object_type", flat=True)) == ["customer", "delivery"]


LISTS = {
    "webhooks": "webhooks",
    "replay_plan": "webhooks",
    "customers": "customers",
    "find": "found",
    "why_order": "order 1253",
}


@pytest.mark.parametrize(("name", "what"), LISTS.items())
def test_a_list_that_names_people_is_recorded_once_an_hour(support, klaviyo, sarah, name, what):
    shop.refused_phone(klaviyo, sarah)
    shop.delivery(klaviyo, sarah, shop.message(), state="failed", reason="rejected")
    shop.customer(klaviyo.merchant, "tom.mason@klaviyo-demo.com")
    for _ in range(2):
        address = f"{reverse(f'admin:{name}')}?q=Mason&order=1253&merchant={klaviyo.merchant.slug}"
        assert support.get(address).status_code == 200
    seen = AuditEntry.objects.filter(action="personal data seen")
    assert list(seen.values_list("object_type", "merchant", "reason")) == [("merchant", klaviyo.merchant_id, what)]


def test_the_page_of_an_event_is_recorded(support, klaviyo, sarah):
    row = shop.refused_phone(klaviyo, sarah)
    html(support, "event", row.event_id)
    assert AuditEntry.objects.get(action="personal data seen").object_type == "event"


@pytest.mark.parametrize("name", LISTS)
def test_seeing_a_masked_list_is_not_recorded(masked, klaviyo, sarah, name):
    shop.refused_phone(klaviyo, sarah)
    masked.get(f"{reverse(f'admin:{name}')}?q={sarah.vrio_id}&order=1253")
    assert not AuditEntry.objects.exists()


def test_seeing_a_masked_page_is_not_recorded(masked, klaviyo, sarah):
    html(masked, "delivery_opened", shop.refused_phone(klaviyo, sarah).pk)
    assert not AuditEntry.objects.exists()


def test_an_opened_row_asks_little(support, klaviyo, sarah, django_assert_max_num_queries):
    row = shop.refused_phone(klaviyo, sarah)
    html(support, "delivery_opened", row.pk)
    with django_assert_max_num_queries(12):
        html(support, "delivery_opened", row.pk)
