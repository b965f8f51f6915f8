"""What the sender can ask afterwards, and before."""

import base64
from datetime import UTC, datetime, timedelta

import pytest
from django.utils import timezone

from connections import keys
from events.demo.first_order import first_order
from events.models import Event
from tests.events.door import a_source, an_event, call, post, send
from tests.webhooks_log.shop import connection
from webhooks_log.models import Delivery

pytestmark = pytest.mark.django_db


@pytest.fixture
def source():
    return a_source()


@pytest.fixture
def clear(source):
    return keys.new_bearer(source, name="x", scope="read")[1]


def ask(clear, path: str):
    return call("GET", path, HTTP_AUTHORIZATION=f"Bearer {clear}")


def ids(answer) -> list[str]:
    return [event["webhook_event_id"] for event in answer.json["results"]]


def test_an_event_tells_its_deliveries_and_their_reasons(source, clear):
    pk = send(clear, an_event()).json["results"][0]["id"]
    to = connection(source.merchant)
    Delivery.objects.create(
        merchant=source.merchant, connection=to, account=to.account, event_id=pk, metric="Placed Order",
        unique_id="980091", state="skipped", reason="no_email", detail="No e-mail.", happened_at=timezone.now(),
    )  # fmt: skip
    told = ask(clear, f"/api/v1/events/{pk}").json
    assert (told["id"], told["state"], told["webhook_event_id"], told["authenticated_by"]) == (
        pk,
        "received",
        "5325",
        "bearer",
    )
    (delivery,) = told["deliveries"]
    assert (delivery["metric"], delivery["state"], delivery["reason"]) == ("Placed Order", "skipped", "no_email")


def test_pages_follow_each_other_by_cursor(clear):
    send(clear, [an_event(number) for number in range(5)])
    first = ask(clear, "/api/v1/events?limit=2")
    second = ask(clear, f"/api/v1/events?limit=2&cursor={first.json['next']}")
    third = ask(clear, f"/api/v1/events?limit=2&cursor={second.json['next']}")
    assert (ids(first), ids(second), ids(third)) == (["0", "1"], ["2", "3"], ["4"])
    assert third.json["next"] is None


def test_a_page_is_filtered(clear):
    send(clear, [an_event(1), an_event(2, webhook_type="order", webhook_event="order_updated"), an_event(3)])
    Event.objects.filter(event_id="1").update(state="broken", order_id="77")
    Event.objects.filter(event_id="3").update(received_at=timezone.now() - timedelta(days=1))
    Event.objects.filter(event_id__in="12").update(received_at=timezone.now() + timedelta(days=1))
    assert ids(ask(clear, "/api/v1/events?type=order")) == ["2"]
    assert ids(ask(clear, "/api/v1/events?type=transaction_completed")) == ["1", "3"]
    assert ids(ask(clear, "/api/v1/events?state=broken")) == ["1"]
    assert ids(ask(clear, "/api/v1/events?order_id=77")) == ["1"]
    assert ids(ask(clear, "/api/v1/events?state=received&type=order&order_id=1")) == []


def test_since_begins_at_that_moment(clear):
    send(clear, [an_event(number) for number in range(4)])
    noon = timezone.now()
    for number in range(4):
        Event.objects.filter(event_id=str(number)).update(received_at=noon + timedelta(hours=number - 2))
    moment = noon.isoformat().replace("+", "%2B")
    assert ids(ask(clear, f"/api/v1/events?since={moment}")) == ["2", "3"]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("since=yesterday", "since"),
        ("since=2026-13-45T00:00:00Z", "since"),
        ("state=odd", "state"),
        ("cursor=odd", "cursor"),
        ("order_id=%00", "order_id"),
        ("type=transaction%00", "type"),
        ("limit=0", "limit"),
        ("limit=501", "limit"),
        ("limit=%E0%A5%A7", "limit"),
    ],
)
def test_a_question_that_makes_no_sense_is_told_which_field(clear, query, field):
    answer = ask(clear, f"/api/v1/events?{query}")
    assert (answer.status, answer.json["field"]) == (422, field)


def test_a_cursor_beyond_every_id_is_an_empty_page(clear):
    cursor = base64.urlsafe_b64encode(str(10**30).encode()).decode()
    assert ask(clear, f"/api/v1/events?cursor={cursor}").json == {"results": [], "next": None}


def test_another_sources_events_do_not_exist(clear):
    other = keys.new_bearer(a_source("other"), name="x")[1]
    pk = send(other, an_event()).json["results"][0]["id"]
    assert ask(clear, f"/api/v1/events/{pk}").status == 404
    assert ids(ask(clear, "/api/v1/events")) == []


@pytest.mark.parametrize("path", ["/api/v1/events", "/api/v1/events/1"])
def test_a_key_that_may_only_send_reads_nothing(source, path):
    clear = keys.new_bearer(source, name="x")[1]
    assert ask(clear, path).json["code"] == "may_not_read"
    assert ask("vk_unknown", path).status == 401


def test_a_page_costs_the_same_statements_however_long(clear, django_assert_num_queries):
    send(clear, [an_event(number) for number in range(60)])
    with django_assert_num_queries(2):
        ask(clear, "/api/v1/events")


def test_validating_says_what_would_be_sent_and_stores_nothing(source, clear):
    answer = post("/api/v1/events/validate", an_event(), HTTP_X_API_KEY=clear)
    assert answer.status == 200
    assert set(answer.json) == {"state", "reason", "detail", "would_send"}
    assert not Event.objects.exists()


def test_validating_shows_the_very_bodies_klaviyo_would_get(source, clear):
    connection(source.merchant)
    event = first_order(datetime(2026, 3, 2, 17, 0, tzinfo=UTC))
    told = post("/api/v1/events/validate", event, HTTP_X_API_KEY=clear).json
    placed = next(one for one in told["would_send"] if one["metric"] == "Placed Order")
    assert placed["connection"] == "Klaviyo Production"
    assert placed["body"]["data"]["attributes"]["unique_id"] == placed["unique_id"]
    assert not Delivery.objects.exists()


@pytest.mark.parametrize(("body", "status"), [(b"{", 400), ({}, 422), ([an_event(1), an_event(2)], 422)])
def test_validating_refuses_what_the_door_refuses(clear, body, status):
    assert post("/api/v1/events/validate", body, HTTP_X_API_KEY=clear).status == status
