"""Leases and bells: one holder at a time, a token that fences off the last one, and a bell that rings once."""

from datetime import timedelta

import pytest
from django.db import connection
from django.utils import timezone
from django_q.tasks import queue_size

from connections import turns
from connections.models import KlaviyoAccount
from webhooks_log.dispatch import DRAIN

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def lane() -> KlaviyoAccount:
    return KlaviyoAccount.objects.create(cid="DemoA1")


def take(lane: KlaviyoAccount, holder: str = "one:1", seconds: float = 60) -> turns.Turn | None:
    return turns.take(KlaviyoAccount, lane.pk, holder=holder, seconds=seconds)


def expire(lane: KlaviyoAccount) -> None:
    KlaviyoAccount.objects.filter(pk=lane.pk).update(leased_until=timezone.now() - timedelta(seconds=1))


# ── Leases ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_one_holds_it_and_nobody_else(lane: KlaviyoAccount) -> None:
    assert take(lane) is not None
    assert take(lane, "two:2") is None
    assert take(lane) is None  # not even the same process twice


def test_the_row_says_who_holds_it_and_since_when(lane: KlaviyoAccount) -> None:
    take(lane)
    lane.refresh_from_db()
    assert lane.lease_holder == "one:1"
    assert lane.served_at <= lane.leased_until - timedelta(seconds=59)


def test_given_back_it_is_free(lane: KlaviyoAccount) -> None:
    turns.release(take(lane))
    assert take(lane, "two:2") is not None


def test_run_out_it_is_free_and_the_old_token_is_worth_nothing(lane: KlaviyoAccount) -> None:
    old = take(lane)
    expire(lane)
    new = take(lane, "two:2")
    assert new.token > old.token
    assert not turns.held(old).exists()
    turns.release(old)
    assert turns.held(new).exists()


def test_run_out_and_not_yet_taken_it_is_lost_all_the_same(lane: KlaviyoAccount) -> None:
    turn = take(lane)
    expire(lane)
    assert not turns.held(turn).exists()


def test_a_turn_on_what_is_not_there_is_none() -> None:
    assert turns.take(KlaviyoAccount, 0, holder="one:1", seconds=60) is None


# ── Bells ────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_a_bell_rings_once_until_it_is_answered(lane: KlaviyoAccount) -> None:
    before = queue_size()
    assert turns.ring(KlaviyoAccount, lane.pk, DRAIN)
    assert not turns.ring(KlaviyoAccount, lane.pk, DRAIN)
    assert queue_size() == before + 1
    turns.answer(KlaviyoAccount, lane.pk)
    assert turns.ring(KlaviyoAccount, lane.pk, DRAIN)


def test_a_bell_nobody_answered_may_ring_again(lane: KlaviyoAccount) -> None:
    turns.ring(KlaviyoAccount, lane.pk, DRAIN)
    KlaviyoAccount.objects.update(rung_at=timezone.now() - turns.BELL_HOLDS - timedelta(seconds=1))
    assert turns.ring(KlaviyoAccount, lane.pk, DRAIN)


def test_a_ring_the_queue_could_not_take_leaves_no_flag(lane: KlaviyoAccount, monkeypatch) -> None:
    class Full(Exception):
        pass

    def refuse(*args: object, **kwargs: object) -> None:
        raise Full

    monkeypatch.setattr(turns, "async_task", refuse)  # django-q's own, as when its Redis is away
    with pytest.raises(Full):
        turns.ring(KlaviyoAccount, lane.pk, DRAIN)
    lane.refresh_from_db()
    assert lane.rung_at is None


# ── Time ─────────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_databases_clock_is_aware_and_close_to_ours() -> None:
    assert abs(turns.database_now() - timezone.now()) < timedelta(minutes=1)


def test_a_clock_carries_its_reading_on_and_reads_again_when_that_is_old(django_assert_num_queries) -> None:
    asks = 0 if connection.vendor == "sqlite" else 1
    with django_assert_num_queries(asks):
        clock = turns.Clock()
        first, second = clock.now(), clock.now()
    assert first <= second
    with django_assert_num_queries(2 * asks):
        turns.Clock(trusted_seconds=-1).now()


@pytest.mark.parametrize("by", [HOUR, -HOUR])
def test_a_clock_that_is_set_is_noticed_once_and_read_anew(monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    real, watch, clock = timezone.now, turns.Watch(), turns.Clock()
    assert not watch.was_set()
    monkeypatch.setattr(timezone, "now", lambda: real() + by)
    assert [watch.was_set(), watch.was_set()] == [True, False]
    assert abs(clock.now() - turns.database_now()) < timedelta(minutes=1)
