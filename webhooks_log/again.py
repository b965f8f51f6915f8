"""Makes Deliveries due once more: the same row, the same id, its original bytes or its event translated anew.

Between those who ask (a person for one row, a replay for a block of them) and the lanes, which see rows that are due.
"""

from collections.abc import Iterable, Sequence
from copy import copy
from dataclasses import dataclass, replace
from datetime import datetime

from django.db.models import Q

from connections.klaviyo.payloads import with_backfill, with_identity_only
from connections.writing import update_rows
from events.facts import Facts, Known
from events.translate import tell_again
from webhooks_log.batch import Reopened
from webhooks_log.claim import RETRYING
from webhooks_log.models import Attempt, Body, Delivery, Replay
from webhooks_log.outbox import Draft, key_of
from webhooks_log.packing import packed_body, unpack_body
from webhooks_log.reasons import sentence
from webhooks_log.release import past_before
from webhooks_log.replaced import replacing_bodies

State = Delivery.State
SETTLED_BY_OTHERS = ("already_told", "carried")  # another row has said it
MAYBE_RECEIVED = Q(status=None) | Q(status__lt=300)  # accepted, or nobody knows
RELATED = ("event", "merchant", "connection", "customer", "body")
WRITTEN = (
    "account", "campaign_id",
    "path", "body", "email", "notes", "state", "reason", "detail", "rank", "next_attempt_at", "tries",
    "claims", "claim_token", "phone_dropped_at", "backfill", "identity_only", "replay", "settled_at", "updated_at",
)  # fmt: skip


class Refused(Exception):
    """Why something cannot be sent again, stopped or started: the sentence to show."""

    def __init__(self, sentence: str) -> None:
        super().__init__(sentence)
        self.sentence = sentence


@dataclass(frozen=True, slots=True)
class Wish:
    """How rows are sent again. `backfill` None is on for events older than a day (a setting)."""

    translates_anew: bool = False
    backfill: bool | None = None
    identity_only: bool = False
    rank: int = Delivery.Rank.LIVE
    replay: Replay | None = None


def again(rows: Sequence[Delivery], wish: Wish, *, now: datetime) -> dict[int, str]:
    """Make these rows due; the sentences why not, by id, for those that stay as they are.

    The rows are of one merchant, locked, and read with `RELATED`. What had been skipped without ever being said is
    translated anew in any case, and goes only if no gate stands in its way any more.
    """
    refused = {row.pk: why for row in rows if (why := why_not(row, wish))}
    refused |= rivals(row for row in rows if row.pk not in refused)
    left = [row for row in rows if row.pk not in refused]
    anew = {row.pk for row in left if is_told_anew(row, wish)}
    refused |= translate_anew([row for row in left if row.pk in anew], wish, now=now)
    due = [row for row in left if row.pk not in refused]
    for row in due:
        vary(row, wish, now=now, is_anew=row.pk in anew)
    store([row for row in due if row.pk not in anew])
    with replacing_bodies([row.pk for row in due]):
        update_rows(due, WRITTEN)
    return refused


def locked(pks: Iterable[int]) -> list[Delivery]:
    """The rows with what `again` needs, kept from the lanes until the transaction ends, in the order of arrival."""
    rows = Delivery.objects.filter(pk__in=list(pks)).select_related(*RELATED)
    return list(rows.select_for_update(of=("self",)).order_by("pk"))


# ── May it go ────────────────────────────────────────────────────────────────────────────────────────────────────────


def why_not(row: Delivery, wish: Wish) -> str:
    """Why a row cannot be sent again, in a sentence; "" if it can."""
    if row.state == State.SENDING:
        return "It is on the wire right now. Look again in a moment."
    if row.state == State.QUEUED:
        return "It is due already and goes out by itself."
    if row.state == State.WAITING and row.reason not in RETRYING:
        return sentence(row.reason) or "It is waiting and goes out by itself."
    if row.reason == "erased" or (row.customer and row.customer.erased_at):
        return "The customer was erased at their own wish; nothing of them is sent."
    if row.state == State.SKIPPED and row.reason in SETTLED_BY_OTHERS:
        return row.detail or sentence(row.reason)
    if row.connection.archived_at:
        return "The connection is archived."
    if not has_bytes(row) and row.body is not None and not is_told_anew(row, wish):
        return "The bytes that were sent have expired. It can be translated anew from Vrio's event."
    return ""


def is_told_anew(row: Delivery, wish: Wish) -> bool:
    """A profile alone is told as it is now in every replay, since an old one would overwrite what is newer."""
    return wish.translates_anew or row.body is None or (not row.metric and wish.identity_only)


def has_bytes(row: Delivery) -> bool:
    return row.body is not None and row.body.content is not None


def rivals(rows: Iterable[Delivery]) -> dict[int, str]:
    """Skipped rows whose fact another row has told since, or is about to tell."""
    revived = [row for row in rows if row.state == State.SKIPPED]
    ids = {row.unique_id for row in revived}
    told = Delivery.objects.exclude(state=State.SKIPPED).filter(
        connection_id__in={row.connection_id for row in revived}, unique_id__in=ids
    )
    keys = {key_of(row) for row in told.only("connection_id", "metric", "unique_id")} if revived else set()
    refused = {}
    for row in revived:
        if key_of(row) in keys:
            refused[row.pk] = sentence("already_told")
        keys.add(key_of(row))
    return refused


# ── Anew ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def translate_anew(rows: list[Delivery], wish: Wish, *, now: datetime) -> dict[int, str]:
    """Fill rows with what their events say today, bytes stored; the sentences for those that say nothing any more."""
    if not rows:
        return {}
    today = Reopened(rows[0].merchant, rows, now=now)
    kept = keeps_address(rows)
    refused, owed = {}, []
    for row in rows:
        entry = said_anew(row, wish, today, keeps_email=row.pk in kept)
        if isinstance(entry, str):
            refused[row.pk] = entry
        else:
            owed.append(entry)
    store_bodies([(entry.row, entry.body) for entry in owed if entry.body is not None])
    return refused


def said_anew(row: Delivery, wish: Wish, today: Reopened, *, keeps_email: bool) -> Draft | str:
    facts = today.facts.get(row.event_id)
    if facts is None:
        return "Vrio's event has expired, so it cannot be translated anew."
    known = today.mirror.known(row.event, facts)
    message = tell_again(facts, known, metric=row.metric or None, unique_id=row.unique_id)
    keeper = today.outbox.keeper_of(row)
    if message is None or keeper is None:
        return "Today this event would not say this any more."
    if keeps_email and row.email:
        known = addressed_to(row.email, facts, known)
    judged = copy(row)
    judged.backfill, judged.identity_only = marks(row, wish, today.outbox.now)
    entry = Draft(judged)
    today.outbox.fill(entry, keeper, row.event.source_id, facts, known, message)
    if judged.state != State.QUEUED:
        return judged.detail or sentence(judged.reason)
    row.path, row.email, row.notes, row.phone_dropped_at = judged.path, judged.email, judged.notes, None
    row.campaign_id = judged.campaign_id
    return Draft(row, body=entry.body)


def addressed_to(email: str, facts: Facts, known: Known) -> Known:
    """Another address would be another profile, where the same id counts once more."""
    person = known.customer or facts.customer
    return replace(known, customer=replace(person, email=email)) if person else known


def keeps_address(rows: list[Delivery]) -> set[int]:
    """Rows that Klaviyo has accepted once, or may have."""
    calls = Attempt.objects.filter(MAYBE_RECEIVED, delivery_id__in=[row.pk for row in rows])
    return set(calls.values_list("delivery_id", flat=True))


# ── Due ──────────────────────────────────────────────────────────────────────────────────────────────────────────────


def marks(row: Delivery, wish: Wish, now: datetime) -> tuple[bool, bool]:
    """Whether a row carries Klaviyo's mark for past events, and whether its profile is its address only."""
    is_old = row.happened_at < past_before(now)
    backfill = row.backfill or (is_old if wish.backfill is None else wish.backfill)
    return bool(row.metric) and backfill, bool(row.metric) and (row.identity_only or wish.identity_only)


def vary(row: Delivery, wish: Wish, *, now: datetime, is_anew: bool) -> None:
    """The row as a lane will find it: due now, below live traffic if it is a replay's."""
    had = row.backfill
    row.backfill, row.identity_only = marks(row, wish, now)
    if row.backfill and not had:
        row.notes = [*row.notes, "Recorded at Klaviyo with its own date and without starting flows."]
    row.tries = row.tries if row.state == State.WAITING else 0
    row.state, row.reason, row.detail, row.next_attempt_at = State.QUEUED, "", "", now
    row.rank, row.replay = wish.rank, wish.replay or row.replay
    row.claims, row.claim_token, row.settled_at, row.updated_at = 0, None, None, now
    row.account_id = row.connection.account_id


def store(rows: list[Delivery]) -> None:
    """Original bytes stay where they are; only those that carry a mark now are stored as bytes of their own."""
    changed = []
    for row in rows:
        original = unpack_body(row.body)
        assert original is not None
        body = with_backfill(original) if row.backfill else original
        body = with_identity_only(body) if row.identity_only else body
        if body != original:
            changed.append((row, body))
    store_bodies(changed)


def store_bodies(told: list[tuple[Delivery, bytes]]) -> None:
    bodies = Body.objects.bulk_create([packed_body(body) for _, body in told])
    for (row, _), body in zip(told, bodies, strict=True):
        row.body = body
