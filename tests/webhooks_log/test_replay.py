"""Sending again on purpose: one row or many, with the same ids, below live traffic, and recorded."""

from datetime import timedelta
from typing import Any

import pytest
from django.utils import timezone

from connections import secrets
from connections.models import AuditEntry, Connection, KlaviyoAccount
from events.models import Customer
from tests.events.vrio_records import sale
from tests.twin import Twin
from tests.webhooks_log.inbox import only, sent, tell
from tests.webhooks_log.inbox import shop as dispatched_shop
from tests.webhooks_log.lanes import Shop, pump
from webhooks_log import replay
from webhooks_log.models import Body, Delivery, Replay
from webhooks_log.packing import unpack_body
from webhooks_log.replay import Refused
from webhooks_log.selection import Selection

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def shop(twin: Twin, settings) -> Shop:
    settings.KLAVIYO_BASE_URL = twin.url
    settings.LANE_THREADS = 4
    return Shop(twin)


def ids(twin: Twin) -> list[str]:
    return [event["unique_id"] for event in twin.events()]


def failed(shop: Shop, unique_id: str, **fields: Any) -> Delivery:
    now = timezone.now()
    given = {"happened_at": now, "state": "failed", "reason": "exhausted", "next_attempt_at": None, "tries": 10}
    return shop.owe(unique_id, **{**given, **fields})


def again(delivery: Delivery, **choices: Any) -> Delivery:
    return replay.send_again(delivery, actor=None, reason="asked for", **choices)


def everything(shop: Shop) -> Selection:
    return Selection(connection=shop.connection.pk)


# ── One Delivery ─────────────────────────────────────────────────────────────────────────────────────────────────────


def test_a_failed_row_goes_again_with_its_bytes_and_id(shop: Shop, twin: Twin) -> None:
    row = failed(shop, "1668")
    bytes_before = unpack_body(row.body)
    again(row)
    pump()
    row.refresh_from_db()
    assert (row.state, row.tries, ids(twin)) == ("delivered", 0, ["1668"])
    assert twin.requests()[-1]["body"].encode() == bytes_before


def test_a_planned_retry_is_replaced_and_not_joined(shop: Shop, twin: Twin) -> None:
    later = timezone.now() + timedelta(hours=4)
    row = failed(shop, "1668", state="waiting", reason="retrying", next_attempt_at=later, tries=5)
    again(row)
    pump()
    row.refresh_from_db()
    assert (row.state, row.next_attempt_at, len(twin.requests())) == ("delivered", None, 1)
    assert Delivery.objects.count() == 1


def test_its_failure_is_the_next_step_of_the_ladder(shop: Shop, twin: Twin) -> None:
    twin.fault(count=1, status=500)
    row = failed(shop, "1668", state="waiting", reason="retrying", next_attempt_at=timezone.now(), tries=5)
    again(row)
    pump()
    row.refresh_from_db()
    assert (row.state, row.reason, row.tries) == ("waiting", "retrying", 6)


def test_a_delivered_row_is_accepted_again_and_counts_once(shop: Shop, twin: Twin) -> None:
    row = shop.owe("1668", happened_at=timezone.now())
    pump()
    again(row)
    pump()
    row.refresh_from_db()
    assert (row.state, row.attempt_count, ids(twin)) == ("delivered", 2, ["1668"])


def test_what_is_older_than_a_day_starts_no_flow(shop: Shop, twin: Twin) -> None:
    old = failed(shop, "1", happened_at=timezone.now() - timedelta(hours=25))
    fresh = failed(shop, "2", happened_at=timezone.now() - timedelta(hours=23))
    again(old)
    again(fresh)
    pump()
    assert {event["unique_id"]: bool(event["backfill"]) for event in twin.events()} == {"1": True, "2": False}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"state": "sending", "claim_token": 1}, "on the wire"),
        ({"state": "queued"}, "goes out by itself"),
        ({"state": "waiting", "reason": "connection_off"}, "switched off"),
        ({"state": "skipped", "reason": "already_told"}, "already by another event"),
        ({"state": "skipped", "reason": "erased"}, "erased"),
    ],
)
def test_what_cannot_be_sent_again_says_why(shop: Shop, fields: dict[str, str], words: str) -> None:
    row = failed(shop, "1668", **fields)
    with pytest.raises(Refused, match=words):
        again(row)


def test_an_expired_body_is_refused_and_the_way_out_is_named(shop: Shop) -> None:
    row = failed(shop, "1668")
    Body.objects.update(content=None)
    with pytest.raises(Refused, match="translated anew"):
        again(row)


def test_a_skipped_fact_that_another_row_told_stays_skipped(shop: Shop) -> None:
    row = failed(shop, "1668", state="skipped", reason="stopped")
    failed(shop, "1668", state="delivered", reason="")
    with pytest.raises(Refused, match="told this already"):
        again(row)


def test_who_when_and_why_is_recorded(shop: Shop, django_user_model) -> None:
    ann = django_user_model.objects.create_user("ann")
    row = failed(shop, "1668")
    replay.send_again(row, actor=ann, reason="Klaviyo was down")
    entry = AuditEntry.objects.get()
    assert (entry.actor, entry.action, entry.reason) == (ann, "sent again", "Klaviyo was down")
    assert entry.object_id == str(row.pk)


def test_stopped_retries_are_skipped_and_can_be_taken_up(shop: Shop, twin: Twin) -> None:
    row = failed(shop, "1668", state="waiting", reason="retrying", next_attempt_at=timezone.now())
    replay.stop(row, actor=None, reason="wrong address")
    pump()
    row.refresh_from_db()
    assert (row.state, row.reason, twin.requests()) == ("skipped", "stopped", [])
    again(row)
    pump()
    assert ids(twin) == ["1668"]


def test_stopping_what_klaviyo_accepted_before_leaves_it_delivered(shop: Shop) -> None:
    row = shop.owe("1668", happened_at=timezone.now())
    pump()
    again(row)
    assert replay.stop(row, actor=None, reason="not needed").state == "delivered"


def test_try_now_brings_a_retry_forward_on_its_step(shop: Shop) -> None:
    later = timezone.now() + timedelta(hours=4)
    row = failed(shop, "1668", state="waiting", reason="retrying", next_attempt_at=later, tries=5)
    replay.try_now(row, actor=None)
    pump()
    row.refresh_from_db()
    assert (row.state, row.tries) == ("delivered", 5)


def test_try_now_says_what_a_parked_row_waits_for(shop: Shop) -> None:
    row = failed(shop, "1668", state="waiting", reason="key_refused")
    with pytest.raises(Refused, match="private API key"):
        replay.try_now(row, actor=None)


# ── Translated anew ──────────────────────────────────────────────────────────────────────────────────────────────────


def test_translated_anew_says_what_is_known_today(django_user_model) -> None:
    merchant = dispatched_shop()
    tell(merchant, sale())
    row = only(merchant, "Placed Order")
    Delivery.objects.filter(pk=row.pk).update(state="failed", reason="rejected")
    Customer.objects.update(first_name="Sally", email="sally@klaviyo-demo.com")
    fresh = again(row, translate_anew=True)
    person = sent(fresh)["profile"]["data"]["attributes"]
    assert (person["first_name"], person["email"], fresh.unique_id) == ("Sally", "sally@klaviyo-demo.com", "1668")
    assert (fresh.pk, fresh.email) == (row.pk, "sally@klaviyo-demo.com")


def test_the_address_first_accepted_is_kept_since_another_would_count_again() -> None:
    merchant = dispatched_shop()
    tell(merchant, sale())
    row = only(merchant, "Placed Order")
    row.attempts.create(started_at=timezone.now(), status=202, verdict="accepted")
    Delivery.objects.filter(pk=row.pk).update(state="delivered")
    Customer.objects.update(email="sally@klaviyo-demo.com")
    fresh = again(row, translate_anew=True)
    assert sent(fresh)["profile"]["data"]["attributes"]["email"] == "sarah.mason@klaviyo-demo.com"


def test_a_row_that_was_never_said_is_judged_again() -> None:
    merchant = dispatched_shop(is_active=False)
    tell(merchant, sale())
    row = only(merchant, "Placed Order")
    with pytest.raises(Refused, match="not active"):
        again(row)
    Connection.objects.update(is_active=True)
    assert sent(again(row))["unique_id"] == "1668"


# ── Many ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def start(shop: Shop, **choices: Any) -> Replay:
    return replay.start(everything(shop), actor=None, reason="Klaviyo was down", **choices)


def go(seconds: float = 2) -> None:
    for _ in range(5):
        replay.advance(now=timezone.now())
        pump(seconds)


def test_a_plan_counts_shows_a_few_and_says_what_will_happen(shop: Shop) -> None:
    long_ago = timezone.now() - timedelta(days=3)
    for number in range(7):
        failed(shop, f"f{number}", happened_at=long_ago if number < 2 else timezone.now())
    failed(shop, "d", state="delivered")
    failed(shop, "q", state="queued")
    plan = replay.plan(everything(shop), includes_delivered=True)
    assert (plan.count, len(plan.sample)) == (8, 5)
    assert plan.effect == (
        "7 would be new at Klaviyo.",
        "1 were accepted before: they carry the same ids, and Klaviyo discards them as duplicates.",
        "2 carry Klaviyo's mark for past events (backfill), so that they start no flow.",
    )


def test_a_plan_is_about_one_merchant(shop: Shop) -> None:
    with pytest.raises(Refused, match="one merchant"):
        replay.plan(Selection(state="failed"))
    assert replay.plan(Selection(state="failed"), merchant=shop.merchant).count == 0


def test_a_replay_sends_what_is_not_delivered_and_is_done(shop: Shop, twin: Twin) -> None:
    for number in range(12):
        failed(shop, f"{number:02}")
    failed(shop, "told", state="delivered")
    begun = start(shop)
    go()
    begun.refresh_from_db()
    assert sorted(ids(twin)) == [f"{number:02}" for number in range(12)]
    assert (begun.state, begun.total, begun.queued) == ("done", 12, 12)
    assert begun.finished_at is not None


def test_a_replay_may_translate_anew(twin: Twin, settings) -> None:
    """The same ids, in the words of today."""
    settings.KLAVIYO_BASE_URL = twin.url
    merchant = dispatched_shop(sealed_key=secrets.seal(twin.key("DemoA1")), state="connected")
    KlaviyoAccount.objects.update(cid="DemoA1")
    tell(merchant, sale())
    before = set(Delivery.objects.values_list("unique_id", flat=True))
    Delivery.objects.update(state="failed", reason="rejected", next_attempt_at=None)
    Body.objects.update(content=None, expired_at=timezone.now())
    replay.start(Selection(merchant=merchant.slug), actor=None, reason="bodies had expired", translates_anew=True)
    go()
    assert {event["unique_id"] for event in twin.events()} == before


def test_a_replay_touches_no_profile_but_by_its_address(shop: Shop, twin: Twin) -> None:
    failed(shop, "1", phone="+12025550123", email="ann@klaviyo-demo.com")
    start(shop)
    go()
    assert "2025550123" not in twin.requests()[-1]["body"]
    assert Delivery.objects.get(unique_id="1").identity_only


def test_a_replay_leaves_behind_live_traffic(shop: Shop, twin: Twin, settings) -> None:
    settings.LANE_THREADS = 1
    failed(shop, "old")
    start(shop)
    replay.advance(now=timezone.now())
    shop.owe("fresh")
    pump()
    assert [row["body"].count('"fresh"') for row in twin.requests()] == [1, 0]


def test_rows_picked_one_by_one(shop: Shop, twin: Twin) -> None:
    picked = [failed(shop, "1"), failed(shop, "2")]
    failed(shop, "3")
    chosen = Selection(ids=",".join(str(row.pk) for row in picked))
    replay.start(chosen, actor=None, reason="asked for", merchant=shop.merchant)
    go()
    assert sorted(ids(twin)) == ["1", "2"]


def test_a_paused_replay_sends_nothing_and_a_resumed_one_the_rest(shop: Shop, twin: Twin) -> None:
    failed(shop, "1")
    begun = start(shop)
    replay.advance(now=timezone.now())
    replay.pause(begun, actor=None)
    go(1)
    assert twin.requests() == []
    assert Delivery.objects.get().reason == "replay_paused"
    replay.resume(begun, actor=None)
    go()
    assert ids(twin) == ["1"]


def test_a_stopped_replay_gives_back_what_has_not_left(shop: Shop, twin: Twin) -> None:
    told, lost = shop.owe("1"), failed(shop, "2")
    pump()
    begun = start(shop, includes_delivered=True)
    replay.advance(now=timezone.now())
    replay.stop_replay(begun, actor=None)
    go(1)
    told.refresh_from_db()
    lost.refresh_from_db()
    assert (told.state, lost.state, lost.reason, len(twin.requests())) == ("delivered", "skipped", "stopped", 1)
    assert AuditEntry.objects.filter(action="replay stopped").exists()


def test_blocks_are_bounded_by_what_is_outstanding(shop: Shop, monkeypatch) -> None:
    monkeypatch.setattr(replay, "MOST_OUTSTANDING", 3)
    for number in range(5):
        failed(shop, str(number))
    start(shop)
    now = timezone.now()
    assert [replay.advance(now=now), replay.advance(now=now)] == [3, 0]
    assert Delivery.objects.filter(state="queued", rank=Delivery.Rank.REPLAY).count() == 3


def test_another_merchants_rows_are_never_taken(shop: Shop, twin: Twin) -> None:
    other = Shop(twin, cid="DemoB2", name="other")
    failed(other, "1")
    chosen = Selection(ids=str(Delivery.objects.get().pk))
    assert replay.plan(chosen, merchant=shop.merchant).count == 0


def test_a_replay_wants_a_reason(shop: Shop) -> None:
    failed(shop, "1")
    with pytest.raises(Refused, match="Say why"):
        replay.start(everything(shop), actor=None, reason=" ")
