""" "Why is it not in Klaviyo?": the checklist's steps on records, as page, command and API."""

import json
from datetime import timedelta
from io import StringIO
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.urls import reverse

from connections import secrets
from connections.models import ApiKey, Campaign
from events.models import Inbox, Order
from tests.webhooks_log import shop
from webhooks_log.explain import explain_customer, explain_event, explain_order

pytestmark = pytest.mark.django_db


def step(why: Any, question: str) -> Any:
    return next(found for found in why.steps if found.question.startswith(question))


def test_accepted_is_told_with_the_request_id(klaviyo, sarah):
    row = shop.refused_phone(klaviyo, sarah)
    why = explain_event(row.event)
    assert (why.tone, why.conclusion) == ("good", "All of it was accepted by Klaviyo.")
    told = step(why, "Placed Order to Klaviyo Production")
    assert "Without the phone number" in told.answer
    assert "01-accepted" in told.answer
    assert [(item.kind, item.pk) for item in told.evidence] == [("delivery", row.pk)]


@pytest.mark.parametrize(
    ("changes", "question", "answer"),
    [
        ({"is_active": False}, "Is “Klaviyo Production” ready?", "It is not active."),
        ({"push_events": False}, "Is “Klaviyo Production” ready?", "Push Events is off."),
        ({"held_at": shop.NOON, "state": "key_refused"}, "Is “Klaviyo Production” ready?", "Key refused."),
    ],
)
def test_a_connection_that_is_not_ready_stops_it(klaviyo, sarah, changes, question, answer):
    type(klaviyo).objects.filter(pk=klaviyo.pk).update(**changes)
    why = explain_event(shop.event(klaviyo.merchant, customer=sarah))
    assert step(why, question).answer == answer
    assert (why.tone, why.conclusion) == ("bad", answer)


def test_an_excluded_campaign_is_named(klaviyo, sarah):
    klaviyo.campaigns.add(Campaign.objects.create(merchant=klaviyo.merchant, vrio_id="3"))
    told = shop.event(klaviyo.merchant, customer=sarah, order_id="1253")
    Order.objects.create(source=told.source, vrio_id="1253", campaign_id="8")
    assert "campaign 8 is not among those it sends (3)" in explain_event(told).conclusion


def test_a_customer_without_email_is_told(klaviyo):
    stub = shop.customer(klaviyo.merchant, "", named_at=None)
    why = explain_customer(stub)
    assert why.conclusion == "No event about this customer has arrived."
    assert step(why, "Has the customer").tone == "bad"


def test_a_duplicate_and_a_conflict_are_told(klaviyo):
    first = shop.event(klaviyo.merchant, arrivals=3)
    assert "arrived 3 times" in step(explain_event(first), "Is it a duplicate").answer
    second = shop.event(klaviyo.merchant, b"{}", conflict_of=first)
    assert step(explain_event(second), "Is it a duplicate").evidence[0].pk == first.pk


@pytest.mark.parametrize(
    ("state", "tone"), [("received", "warn"), ("ignored", "bad"), ("held", "warn"), ("broken", "bad")]
)
def test_an_event_that_went_no_further_says_so(klaviyo, state, tone):
    told = shop.event(klaviyo.merchant, state=state, detail="Because.")
    assert step(explain_event(told), "Was it understood").tone == tone


def test_waiting_names_when_and_after_which_answer(klaviyo, sarah):
    row = shop.delivery(
        klaviyo,
        sarah,
        shop.message(),
        state="waiting",
        reason="retrying",
        next_attempt_at=shop.NOON + timedelta(minutes=5),
    )
    shop.call(row, status=503, verdict="server_fault")
    told = step(explain_event(row.event, now=shop.NOON), "Placed Order")
    assert told.answer.startswith("Waiting: the next try is in 5 min.")
    assert "HTTP 503" in told.answer


def test_told_by_another_event_is_no_failure(klaviyo, sarah):
    row = shop.delivery(klaviyo, sarah, state="skipped", reason="already_told")
    assert explain_event(row.event).tone == "good"


def test_an_order_nobody_heard_of(klaviyo):
    why = explain_order([klaviyo.merchant], "4711")
    assert why.conclusion == "No event about order 4711 has arrived."


def test_the_command_prints_every_step(klaviyo, sarah):
    row = shop.delivery(klaviyo, sarah, state="skipped", reason="campaign_excluded")
    out = StringIO()
    call_command("explain", "order", row.order_id, stdout=out)
    assert "[NO] Placed Order to Klaviyo Production Not sent. The campaign is not among those" in out.getvalue()
    out = StringIO()
    call_command("explain", "customer", shop.EMAIL.upper(), "--json", stdout=out)
    assert json.loads(out.getvalue())[0]["outcome"] == "stopped"


def test_the_command_says_what_it_does_not_know(klaviyo):
    with pytest.raises(CommandError, match="No event 'evt-x' is known"):
        call_command("explain", "event", "evt-x")


def bearer(of: Any, scope: str) -> dict[str, str]:
    source = shop.source(of)
    Inbox.objects.get_or_create(merchant=of)
    key = secrets.new_token("test")
    digest = secrets.fingerprint(key, ApiKey.Kind.BEARER)
    ApiKey.objects.create(source=source, kind="bearer", name=scope, hint=secrets.hint(key), digest=digest, scope=scope)
    return {"Authorization": f"Bearer {key}"}


def test_the_api_explains_to_keys_that_may_read(client, klaviyo, sarah):
    row = shop.refused_phone(klaviyo, sarah)
    read = bearer(klaviyo.merchant, "read")
    for query in ({"order_id": "1253"}, {"event_id": row.event.event_id}, {"email": shop.EMAIL}):
        found = client.get(reverse("explain"), query, headers=read).json()["results"]
        assert [why["outcome"] for why in found] == ["ok"], query
    assert client.get(reverse("explain"), headers=read).status_code == 422


def test_the_api_refuses_keys_that_only_send_and_other_merchants(client, klaviyo, sarah):
    shop.refused_phone(klaviyo, sarah)
    assert client.get(reverse("explain"), {"order_id": "1253"}).status_code == 401
    send = bearer(klaviyo.merchant, "send")
    assert client.get(reverse("explain"), {"order_id": "1253"}, headers=send).status_code == 403
    theirs = bearer(shop.merchant("Other"), "read")
    assert client.get(reverse("explain"), {"email": shop.EMAIL}, headers=theirs).json() == {"results": []}
