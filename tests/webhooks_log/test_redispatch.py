"""`manage.py redispatch` and what breaks: a fault stops one event, and after a fix it goes its way."""

import io

import pytest
from django.core.management import CommandError, call_command

from events.models import Customer, Event
from tests.events.vrio_records import customer, sale
from tests.webhooks_log.inbox import NOW, connect, post, rows, shop, tell
from webhooks_log import dispatch

pytestmark = pytest.mark.django_db


def redispatched(*arguments: str) -> str:
    out = io.StringIO()
    call_command("redispatch", *arguments, stdout=out)
    return out.getvalue()


def test_ignored_events_are_told_to_a_new_connection() -> None:
    merchant = shop()
    merchant.connections.all().delete()
    tell(merchant, sale())
    connect(merchant, "New")
    assert redispatched("--ignored", "--reason", "no_connection") == "1 events will be dispatched again.\n"
    dispatch.run(now=NOW)
    assert len(rows(merchant)) == 3


def test_only_what_was_asked_for_is_taken_up() -> None:
    merchant = shop()
    tell(merchant, sale(transaction_type_id="Barter"))
    assert redispatched("--broken").startswith("0 ")
    assert redispatched("--ignored", "--type", "order_updated").startswith("0 ")
    assert redispatched("--ignored", "--since", "2026-01-01").startswith("0 ")
    assert redispatched("--ignored", "--merchant", "vita", "--dry-run") == "1 events would be dispatched again.\n"


def test_it_wants_to_know_which() -> None:
    with pytest.raises(CommandError, match="--ignored, --broken"):
        redispatched()
    with pytest.raises(CommandError, match="is not a day"):
        redispatched("--broken", "--since", "yesterday")


def test_a_fault_breaks_one_event_of_a_batch_and_a_fix_mends_it() -> None:
    merchant = shop()
    tell(merchant, sale("1"))
    Customer.objects.update(location=["not", "an", "address"])  # what a bug of ours may have stored
    other = customer("99", email="other@klaviyo-demo.com")
    post(merchant, sale("2"), sale("3", customer=other, order={"id": "3", "campaign_id": "14"}))
    dispatch.run(now=NOW)
    assert list(Event.objects.order_by("pk").values_list("state", flat=True)) == ["dispatched", "broken", "dispatched"]
    Customer.objects.filter(vrio_id="68441").update(location={})
    redispatched("--broken")
    dispatch.run(now=NOW)
    assert {row.unique_id.partition("_")[0] for row in rows(merchant)} == {"1", "2", "3"}
