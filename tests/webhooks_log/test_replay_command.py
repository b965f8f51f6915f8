"""`manage.py replay`: nothing without a word, and nothing wider than what was typed."""

from io import StringIO

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from tests.webhooks_log import shop
from webhooks_log.models import Delivery, Replay

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def row() -> Delivery:
    merchant = shop.merchant()
    owed = shop.delivery(shop.connection(merchant), shop.customer(merchant), state="failed", reason="exhausted")
    Delivery.objects.filter(pk=owed.pk).update(happened_at=timezone.now())
    return owed


def replayed(row: Delivery, **options: object) -> str:
    out = StringIO()
    call_command("replay", merchant=row.merchant.slug, stdout=out, **options)
    return out.getvalue()


def test_without_yes_it_counts_shows_and_changes_nothing(row: Delivery) -> None:
    said = replayed(row, state="failed")
    assert "1 deliveries of Vita Shop." in said
    assert "1 would be new at Klaviyo." in said
    assert f"#{row.pk}" in said
    assert "Nothing was changed" in said
    assert not Replay.objects.exists()


def test_with_yes_and_a_reason_it_starts(row: Delivery) -> None:
    replayed(row, yes=True, reason="Klaviyo was down")
    begun = Replay.objects.get()
    assert (begun.state, begun.total, begun.reason) == ("running", 1, "Klaviyo was down")


def test_every_choice_is_kept_with_who_and_why(row: Delivery, django_user_model) -> None:
    ann = django_user_model.objects.create(username="ann")
    choices = {"translate_anew": True, "include_delivered": True, "backfill": "off", "since": "2020-01-01"}
    replayed(row, connection=str(row.connection_id), yes=True, reason="Klaviyo was down", actor="ann", **choices)
    begun = Replay.objects.get()
    assert (begun.translates_anew, begun.includes_delivered, begun.backfill) == (True, True, False)
    assert (begun.actor, begun.total) == (ann, 1)
    chosen = begun.selection["filter"]
    assert (chosen["since"], chosen["connection"]) == ("2020-01-01", row.connection_id)


def test_a_time_range_leaves_out_what_lies_outside(row: Delivery) -> None:
    assert "0 deliveries" in replayed(row, until="2020-01-01")
    assert "1 deliveries" in replayed(row, since="2020-01-01")


def test_it_does_not_start_without_a_reason(row: Delivery) -> None:
    with pytest.raises(CommandError, match="Say why"):
        replayed(row, yes=True)


def test_a_filter_that_cannot_be_meant_is_an_error_and_not_everything(row: Delivery) -> None:
    with pytest.raises(CommandError, match="--state faild"):
        replayed(row, state="faild")


def test_it_pauses_resumes_and_stops(row: Delivery) -> None:
    replayed(row, yes=True, reason="Klaviyo was down")
    begun = Replay.objects.get()
    states = []
    for turn in ("pause", "resume", "stop"):
        replayed(row, **{turn: begun.pk})
        begun.refresh_from_db()
        states.append(begun.state)
    assert states == ["paused", "running", "stopped"]


def test_another_merchants_replay_is_out_of_reach(row: Delivery) -> None:
    other = Replay.objects.create(merchant=shop.merchant("Other"), reason="theirs")
    with pytest.raises(CommandError, match="no replay"):
        replayed(row, stop=other.pk)
