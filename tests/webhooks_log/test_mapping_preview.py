"""The mapping preview: what would be sent, to whom, and what differs from last time. Nothing is stored or sent."""

from pathlib import Path

import pytest
from django.urls import reverse

from events.models import Customer, Event
from tests.webhooks_log.shop import NOON, connection, delivery, event, merchant, person, source
from webhooks_log.mapping_preview import difference
from webhooks_log.models import Delivery

pytestmark = pytest.mark.django_db
PLACED = Path("tests/fixtures/events/placed_order/event.json").read_text()


@pytest.fixture
def shop():
    one = merchant()
    source(one)
    return one


@pytest.fixture
def support(client, shop):
    client.force_login(person(shop), backend="django.contrib.auth.backends.ModelBackend")
    return client


def preview(client, shop, body: str = PLACED) -> str:
    return client.post(reverse("admin:mapping_preview"), {"merchant": shop.slug, "body": body}).content.decode()


def test_every_message_to_every_connection_is_shown(support, shop):
    connection(shop, "One")
    connection(shop, "Two")
    page = preview(support, shop)
    assert "Placed Order → One" in page
    assert "Placed Order → Two" in page
    assert "Would be sent" in page


def test_a_gate_that_says_no_is_named(support, shop):
    connection(shop, push_events=False)
    assert "Push Events was off" in preview(support, shop)


@pytest.mark.parametrize(
    ("state", "held"), [("key_refused", {"held_at": NOON}), ("scope_missing", {"held_families": ["events"]})]
)
def test_what_would_wait_for_another_key_is_not_said_to_be_sent(support, shop, state, held):
    connection(shop, state=state, state_detail="Klaviyo does not accept this key.", **held)
    page = preview(support, shop)
    assert "Would be sent" not in page
    assert "It would wait until this is mended: Klaviyo does not accept this key." in page


def test_our_own_test_events_are_not_offered_for_picking(support, shop):
    event(shop, webhook_type="viaduct_test", webhook_event="viaduct_test", event_id="viaduct-test-1")
    assert "viaduct-test-1" not in support.get(reverse("admin:mapping_preview")).content.decode()


def test_nothing_is_stored(support, shop):
    connection(shop)
    preview(support, shop)
    assert not Event.objects.exists()
    assert not Delivery.objects.exists()
    assert not Customer.objects.exists()


def test_what_was_told_before_is_said_with_the_difference(support, shop):
    to = connection(shop)
    delivery(to, content=b'{"data":{"type":"event"}}', metric="Placed Order", unique_id="1668")
    page = preview(support, shop)
    assert "It was told before" in page
    assert "What differs from what was sent" in page


def test_an_event_that_arrived_can_be_picked(support, shop):
    row = event(shop, b'{"picked": "this one"}')
    page = support.get(reverse("admin:mapping_preview"), {"event": row.pk}).content.decode()
    assert "picked&quot;: &quot;this one" in page


def test_anothers_event_is_not_found(support):
    row = event(merchant())
    assert support.get(reverse("admin:mapping_preview"), {"event": row.pk}).status_code == 404


def test_anothers_merchant_is_no_choice(support):
    other = merchant()
    connection(other, "Theirs")
    page = preview(support, other)
    assert "Theirs" not in page
    assert "not one of the available choices" in page


def test_without_personal_data_there_is_nothing_to_preview(client, shop):
    client.force_login(person(shop, sees_personal_data=False), backend="django.contrib.auth.backends.ModelBackend")
    row = event(shop, b'{"picked": "this one"}')
    assert "this one" not in client.get(reverse("admin:mapping_preview"), {"event": row.pk}).content.decode()


@pytest.mark.parametrize("body", ["", "no json", "[1, 2]", '{"webhook_type": 7}', "{" * 5000, '"\\u0000"'])
def test_nonsense_is_answered_in_words(support, shop, body):
    connection(shop)
    assert support.post(reverse("admin:mapping_preview"), {"merchant": shop.slug, "body": body}).status_code == 200


def test_lines_that_differ_are_marked():
    assert difference("a\nb", "a\nc") == [("removed", "b"), ("added", "c")]
    assert difference("a", "a") == []
