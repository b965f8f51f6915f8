"""Sends again on purpose: one Delivery at a person's word, or many as a replay that can be counted, paused and stopped.

Buttons, pages and `manage.py replay` come here; the queue carries replays forward in blocks below live traffic.
Callers have checked tenant and permission; who, when and why is recorded here.
"""

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.db.models import Exists, F, OuterRef, QuerySet
from django.utils import timezone
from django_q.tasks import async_task

from connections import audit, turns
from connections.anonymous import without_people
from connections.models import Merchant
from webhooks_log.again import Refused, Wish, again, locked
from webhooks_log.dispatch import ring_lanes
from webhooks_log.models import Attempt, Delivery, Replay
from webhooks_log.reasons import sentence
from webhooks_log.replay_plan import Plan, merchant_of, plan, selected
from webhooks_log.selection import Selection

__all__ = [
    "Plan",
    "Refused",
    "advance",
    "advance_one",
    "merchant_of",
    "pause",
    "plan",
    "resume",
    "running",
    "send_again",
    "start",
    "stop",
    "stop_replay",
    "try_now",
]

State = Delivery.State
ADVANCE = "webhooks_log.replay.advance_one"
BLOCK = 500
MOST_OUTSTANDING = 1000  # handed to the lanes and not settled: what a pause has to take back at most


# ── One Delivery ─────────────────────────────────────────────────────────────────────────────────────────────────────


def send_again(
    delivery: Delivery, *, actor: AbstractBaseUser | None, reason: str, translate_anew: bool = False
) -> Delivery:
    """Make the same row due now, in whatever state it is; the row as it stands then. Raises Refused.

    Same id, original bytes or translated anew. It takes the place of a planned retry, whose next step its own failure
    would be; an event older than a day carries `backfill`, so that no old flow starts.
    """
    now = turns.database_now()
    with transaction.atomic():
        (row,) = locked([delivery.pk])
        before = row.get_state_display()
        refused = again([row], Wish(translates_anew=translate_anew), now=now)
        if refused:
            raise Refused(refused[row.pk])
        how = "translated anew" if translate_anew else "original bytes"
        audit.record(actor, "sent again", row, {"state": (before, State.QUEUED.label), "as": (None, how)}, reason)
    ring_lanes({row.account_id})
    return row


def stop(delivery: Delivery, *, actor: AbstractBaseUser | None, reason: str) -> Delivery:
    """Give up a row that waits or is due. Raises Refused. Send again takes it up once more."""
    with transaction.atomic():
        (row,) = locked([delivery.pk])
        if row.state not in (State.QUEUED, State.WAITING):
            raise Refused(_cannot_stop(row))
        take_back(Delivery.objects.filter(pk=row.pk), now=timezone.now())
        audit.record(actor, "retries stopped", row, {"state": (row.get_state_display(), State.SKIPPED.label)}, reason)
    row.refresh_from_db()
    return row


def try_now(delivery: Delivery, *, actor: AbstractBaseUser | None) -> Delivery:
    """Bring a planned retry forward: the same bytes, the same place on the ladder. Raises Refused."""
    now = turns.database_now()
    with transaction.atomic():
        (row,) = locked([delivery.pk])
        if row.state != State.WAITING or row.next_attempt_at is None:
            raise Refused(_cannot_try(row))
        before, row.next_attempt_at, row.updated_at = row.next_attempt_at, now, now
        row.save(update_fields=["next_attempt_at", "updated_at"])
        audit.record(actor, "tried now", row, {"next try": (before, now)})
    ring_lanes({row.account_id})
    return row


def take_back(rows: QuerySet[Delivery], *, now: datetime) -> int:
    """End rows that wait or are due. What Klaviyo accepted before is delivered as before, the rest was stopped."""
    rows = rows.filter(state__in=(State.QUEUED, State.WAITING))
    accepted = Exists(Attempt.objects.filter(delivery_id=OuterRef("pk"), status__gte=200, status__lt=300))
    told = list(rows.filter(accepted).values_list("pk", flat=True))
    ended: dict[str, Any] = {"next_attempt_at": None, "settled_at": now, "updated_at": now, "claim_token": None}
    ended["detail"] = ""
    stopped = rows.exclude(pk__in=told).update(state=State.SKIPPED, reason="stopped", **ended)
    accepted_before = Delivery.objects.filter(pk__in=told, state__in=(State.QUEUED, State.WAITING))
    return stopped + accepted_before.update(state=State.DELIVERED, reason="", **ended)


def _cannot_stop(row: Delivery) -> str:
    if row.state == State.SENDING:
        return "It is on the wire right now. Look again in a moment."
    return "There is nothing to stop: no further try is planned."


def _cannot_try(row: Delivery) -> str:
    if row.state == State.SENDING:
        return "It is on the wire right now. Look again in a moment."
    if row.state == State.WAITING:
        return sentence(row.reason) or "It goes out by itself."
    if row.state == State.QUEUED:
        return "It is due already and goes out by itself."
    return "No further try is planned. Use Send again."


# ── Many: go ─────────────────────────────────────────────────────────────────────────────────────────────────────────


def start(
    selection: Selection,
    *,
    actor: AbstractBaseUser | None,
    reason: str,
    translates_anew: bool = False,
    includes_delivered: bool = False,
    backfill: bool | None = None,
    merchant: Merchant | None = None,
) -> Replay:
    """Begin to send a selection again, below live traffic; the queue carries it forward. Raises Refused."""
    if not reason.strip():
        raise Refused("Say why, so that others can understand it later.")
    choices = {"translates_anew": translates_anew, "includes_delivered": includes_delivered, "backfill": backfill}
    found = plan(selection, merchant=merchant, **choices)
    if not found.count:
        raise Refused("There is nothing to send again.")
    with transaction.atomic():
        replay = Replay.objects.create(
            merchant=found.merchant,
            actor=actor if actor is not None and actor.pk else None,
            reason=without_people(reason.strip()),
            selection={"filter": asdict(selection), "last_id": found.last_id},
            total=found.count,
            **choices,
        )
        audit.record(actor, "replay started", replay, {"deliveries": (None, found.count)}, reason)
    async_task(ADVANCE, replay.pk)
    return replay


def pause(replay: Replay, *, actor: AbstractBaseUser | None) -> None:
    """Hand out no more, and hold what has not left yet. Raises Refused."""
    with transaction.atomic():
        _turn(replay, actor, "replay paused", Replay.State.PAUSED, [Replay.State.RUNNING])
        _waiting(replay).update(
            state=State.WAITING, reason="replay_paused", next_attempt_at=None, updated_at=timezone.now()
        )


def resume(replay: Replay, *, actor: AbstractBaseUser | None) -> None:
    """Go on where it was paused. Raises Refused."""
    now = turns.database_now()
    with transaction.atomic():
        _turn(replay, actor, "replay resumed", Replay.State.RUNNING, [Replay.State.PAUSED])
        held = Delivery.objects.filter(replay=replay, state=State.WAITING, reason="replay_paused")
        accounts = set(held.values_list("account_id", flat=True))
        held.update(state=State.QUEUED, reason="", next_attempt_at=now, updated_at=now)
    ring_lanes(accounts)


def stop_replay(replay: Replay, *, actor: AbstractBaseUser | None, reason: str = "") -> None:
    """End it for good. What has not left is delivered, where Klaviyo accepted it before, or stopped. Raises Refused."""
    now = timezone.now()
    with transaction.atomic():
        _turn(
            replay, actor, "replay stopped", Replay.State.STOPPED, [Replay.State.RUNNING, Replay.State.PAUSED], reason
        )
        Replay.objects.filter(pk=replay.pk).update(finished_at=now)
        take_back(_waiting(replay), now=now)


def _turn(
    replay: Replay, actor: AbstractBaseUser | None, action: str, to: str, allowed: list[str], reason: str = ""
) -> None:
    if not Replay.objects.filter(pk=replay.pk, state__in=allowed).update(state=to):
        raise Refused(f"It is {Replay.objects.get(pk=replay.pk).get_state_display().lower()} already.")
    before, replay.state = replay.state, to
    audit.record(actor, action, replay, {"state": (before, to)}, reason)


def _waiting(replay: Replay) -> QuerySet[Delivery]:
    """What it handed to the lanes and nobody has taken yet."""
    open_states = (State.QUEUED, State.WAITING)
    return Delivery.objects.filter(replay=replay, rank=Delivery.Rank.REPLAY, state__in=open_states)


# ── For the queue ────────────────────────────────────────────────────────────────────────────────────────────────────


def running() -> list[int]:
    return list(Replay.objects.filter(state=Replay.State.RUNNING).order_by("pk").values_list("pk", flat=True))


def advance(*, now: datetime) -> int:
    """Hand the next block of every running replay to the lanes; how many rows."""
    return sum(advance_one(pk, now=now) for pk in running())


def advance_one(pk: int, *, now: datetime | None = None) -> int:
    """Hand the next block of a replay to the lanes; how many rows. Safe from several workers at once."""
    now = now or turns.database_now()
    with transaction.atomic():
        replay = Replay.objects.select_for_update(of=("self",)).select_related("merchant").get(pk=pk)
        room = MOST_OUTSTANDING - _outstanding(replay)
        if replay.state != Replay.State.RUNNING or room <= 0:
            return 0
        rows = _next_rows(replay, min(BLOCK, room))
        if not rows:
            return _finish(replay, room, now)
        refused = again(rows, _wish(replay), now=now)
        due = [row for row in rows if row.pk not in refused]
        Replay.objects.filter(pk=pk).update(cursor=rows[-1].pk, queued=F("queued") + len(due))
    ring_lanes({row.account_id for row in due})
    return len(due)


def _next_rows(replay: Replay, limit: int) -> list[Delivery]:
    kept = replay.selection
    rows = selected(
        Selection(**kept["filter"]),
        replay.merchant,
        includes_delivered=replay.includes_delivered,
        last_id=kept["last_id"],
    )
    ids = rows.filter(pk__gt=replay.cursor).order_by("pk").values_list("pk", flat=True)[:limit]
    return locked(ids)


def _wish(replay: Replay) -> Wish:
    return Wish(
        translates_anew=replay.translates_anew,
        backfill=replay.backfill,
        identity_only=True,
        rank=Delivery.Rank.REPLAY,
        replay=replay,
    )


def _outstanding(replay: Replay) -> int:
    return Delivery.objects.filter(replay=replay, state__in=Delivery.OPEN).count()


def _finish(replay: Replay, room: int, now: datetime) -> int:
    """Done once everything it handed out is settled."""
    if room == MOST_OUTSTANDING:
        Replay.objects.filter(pk=replay.pk).update(state=Replay.State.DONE, finished_at=now)
    return 0
