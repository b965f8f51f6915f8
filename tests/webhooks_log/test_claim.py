"""What a lane claims and takes back: in order, committed, and a row that kills workers alone."""

from datetime import timedelta

import pytest
from django.utils import timezone

from connections import turns
from connections.models import KlaviyoAccount
from tests.twin import Twin
from tests.webhooks_log.lanes import Shop, pump
from webhooks_log import claim
from webhooks_log.models import Delivery

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop(twin: Twin, settings) -> Shop:
    settings.KLAVIYO_BASE_URL = twin.url
    return Shop(twin)


def take(shop: Shop) -> turns.Turn:
    return turns.take(KlaviyoAccount, shop.account.pk, holder="one:1", seconds=60)


def claimed(shop: Shop, turn: turns.Turn, limit: int = 10, *, is_empty: bool = True) -> list[str]:
    rows = claim.claim(turn, [shop.connection.pk], limit, now=timezone.now(), is_empty=is_empty)
    names = dict(Delivery.objects.values_list("pk", "unique_id"))
    return [names[row.id] for row in rows]


def die(shop: Shop) -> turns.Turn:
    """The holder is gone without a word; the next one takes over and takes back."""
    KlaviyoAccount.objects.update(leased_until=timezone.now() - timedelta(seconds=1))
    turn = take(shop)
    claim.recover(turn, now=timezone.now())
    return turn


def states() -> dict[str, str]:
    return dict(Delivery.objects.values_list("unique_id", "state"))


def test_live_goes_before_backlog_before_replays_each_in_the_order_it_became_due(shop: Shop) -> None:
    long_ago = timezone.now() - timedelta(hours=1)
    shop.owe("replay", rank=2, next_attempt_at=long_ago)
    shop.owe("backlog", rank=1, next_attempt_at=long_ago)
    shop.owe("new")
    shop.owe("old", next_attempt_at=long_ago)
    assert claimed(shop, take(shop)) == ["old", "new", "backlog", "replay"]


@pytest.mark.parametrize("rank", [0, 1, 2])
def test_one_question_tells_whether_anything_is_due(shop: Shop, rank: int) -> None:
    now = timezone.now()
    shop.owe("later", rank=rank, next_attempt_at=now + timedelta(hours=1))
    shop.owe("parked", rank=rank, state="waiting", next_attempt_at=None)
    shop.owe("sent", rank=rank, state="delivered")
    assert not claim.is_anything_due(shop.account.pk, now)
    assert claim.is_anything_due(shop.account.pk, now + timedelta(hours=1))


def test_what_is_not_due_or_has_no_body_is_left(shop: Shop) -> None:
    shop.owe("later", next_attempt_at=timezone.now() + timedelta(hours=1))
    shop.owe("parked", state="waiting", next_attempt_at=None)
    shop.owe("sent", state="delivered")
    shop.owe("draft")
    Delivery.objects.filter(unique_id="draft").update(body=None)
    assert claimed(shop, take(shop)) == []
    assert claim.due_accounts(timezone.now(), mine=[], limit=9) == []


def test_a_lost_lease_claims_nothing(shop: Shop) -> None:
    shop.owe("1")
    old = take(shop)
    die(shop)
    assert claimed(shop, old) == []


def test_a_claim_is_not_a_try_and_what_is_given_back_was_none(shop: Shop) -> None:
    delivery = shop.owe("1")
    turn = take(shop)
    claimed(shop, turn)
    claim.unclaim(turn, [delivery.pk], now=timezone.now(), due_at=timezone.now())
    delivery.refresh_from_db()
    assert (delivery.state, delivery.claims, delivery.tries, delivery.claim_token) == ("queued", 0, 0, None)


def test_a_row_that_survived_two_deaths_is_claimed_alone_and_only_by_an_empty_lane(shop: Shop) -> None:
    shop.owe("suspect", claims=2)
    shop.owe("other", claims=2)
    shop.owe("young")
    turn = take(shop)
    assert claimed(shop, turn, is_empty=False) == []
    assert claimed(shop, turn) == ["suspect"]


def test_rows_before_a_suspect_do_not_wait_for_it(shop: Shop) -> None:
    shop.owe("young")
    shop.owe("suspect", claims=2)
    shop.owe("younger")
    assert claimed(shop, take(shop)) == ["young"]


def test_of_a_block_that_dies_three_times_only_the_row_on_the_wire_ends_failed(shop: Shop) -> None:
    for name in ("poison", "a", "b", "c"):
        shop.owe(name)
    turn = take(shop)
    for _ in range(3):
        claimed(shop, turn)
        turn = die(shop)
    assert states() == {"poison": "failed", "a": "waiting", "b": "waiting", "c": "waiting"}


def test_the_others_of_that_block_are_delivered_and_trusted_again(shop: Shop, twin: Twin) -> None:
    for name in ("poison", "a", "b", "c"):
        shop.owe(name)
    turn = take(shop)
    for _ in range(3):
        claimed(shop, turn)
        turn = die(shop)
    turns.release(turn)
    pump()
    assert states() == {"poison": "failed", "a": "delivered", "b": "delivered", "c": "delivered"}
    assert not Delivery.objects.filter(state="delivered", claims__gt=0).exists()


def test_a_pause_beyond_the_longest_comes_from_a_wrong_clock_and_stops_no_lane(shop: Shop) -> None:
    shop.owe("1")
    KlaviyoAccount.objects.update(breaker_until=timezone.now() + timedelta(hours=5))
    assert claim.due_accounts(timezone.now(), mine=[], limit=9) == [shop.account.pk]
    KlaviyoAccount.objects.update(breaker_until=timezone.now() + timedelta(seconds=50))
    assert claim.due_accounts(timezone.now(), mine=[], limit=9) == []
