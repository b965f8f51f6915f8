"""The gates at the moment of sending: which connections may send now, and what is parked until they may.

Dispatch judges an event when it arrives; a switch may be turned, a key refused or a scope found missing afterwards.
What is then due is parked: WAITING with its reason and no date, until the clock finds the gate open again.
"""

from collections.abc import Container, Iterable
from datetime import datetime

from django.db.models import Exists, OuterRef, Q, QuerySet
from django.utils import timezone

from connections.doctor import SOONER
from connections.klaviyo.budget import family_of
from connections.klaviyo.exchange import Exchange
from connections.models import Connection
from connections.turns import Turn
from events.models import Customer, Suppression
from webhooks_log import trial_message
from webhooks_log.accounts import OWED, follow
from webhooks_log.claim import Owed
from webhooks_log.models import Delivery
from webhooks_log.reasons import sentence
from webhooks_log.verdicts import Verdict

BLOCK = 1000
OFF, REFUSED, NO_SCOPE, ARCHIVED = "connection_off", "key_refused", "scope_missing", "archived"
PARKED = (OFF, REFUSED, NO_SCOPE)
ERASED, EXCLUDED, UNPLACED = "erased", "campaign_excluded", "campaign_unknown"

SENDING = Q(is_active=True, push_events=True, archived_at=None)
FREE = Q(held_at=None, sealed_key__isnull=False)


def open_connections(account_id: int) -> QuerySet[Connection]:
    """The connections of a lane that may send now; an endpoint family may still be held."""
    return Connection.objects.filter(SENDING & FREE, account_id=account_id).prefetch_related("campaigns")


def park(account_id: int) -> int:
    """Park what is due for connections that may not send; returns how many rows (at most a block each)."""
    closed = Connection.objects.filter(account_id=account_id).exclude(SENDING & FREE)
    return sum(_park(connection) for connection in closed)


def follow_moved(account_id: int, *, now: datetime) -> int:
    """Let what is due here follow connections that moved to another account; returns how many moved.

    The doctor rings for that as well, but a bell can be lost, and no lane sends for a connection that is not its own.
    """
    strangers = Delivery.objects.filter(account_id=account_id, state__in=OWED, next_attempt_at__lte=now)
    moved = strangers.exclude(connection__account_id=account_id).values("connection")
    found = list(Connection.objects.filter(pk__in=moved)[:10])
    for connection in found:
        follow(connection)
    return len(found)


def unpark(*, now: datetime) -> int:
    """Let go what was parked for connections whose gate is open again; returns how many rows."""
    released = 0
    for reason, is_open in ((OFF, SENDING), (REFUSED, SENDING & FREE), (NO_SCOPE, SENDING & FREE)):
        waits = Delivery.objects.filter(connection_id=OuterRef("pk"), **_parked(reason))
        for connection in Connection.objects.filter(is_open).filter(Exists(waits)):
            released += _unpark(connection, reason, now)
    return released


def hold_connection(pk: int, verdict: Verdict, exchange: Exchange, *, now: datetime) -> None:
    """A refused key holds the whole connection until the doctor finds a key that works, and he looks soon."""
    _asked_with(exchange, pk).update(
        held_at=now, state=Connection.State.KEY_REFUSED, state_detail=verdict.sentence, check_due_at=now + SOONER
    )


def hold_wrong_account(pk: int, cid: str) -> None:
    """The key answers for another account than before: nothing more leaves until the owner confirms."""
    Connection.objects.filter(pk=pk).update(
        held_at=timezone.now(), state=Connection.State.WRONG_ACCOUNT, state_detail=f"The key belongs to account {cid}."
    )


def hold_key_lost(pk: int, detail: str) -> None:
    """Our own encryption key is gone: a clear state, and nothing is lost."""
    Connection.objects.filter(pk=pk).update(
        held_at=timezone.now(), state=Connection.State.KEY_LOST, state_detail=detail
    )


def hold_family(pk: int, family: str, exchange: Exchange, *, now: datetime) -> None:
    """A missing scope holds its endpoint family only."""
    detail = next((problem.detail for problem in exchange.problems()), "")
    for connection in _asked_with(exchange, pk):
        held = sorted({*connection.held_families, family})
        Connection.objects.filter(pk=pk).update(
            held_families=held, state=Connection.State.SCOPE_MISSING, state_detail=detail, check_due_at=now + SOONER
        )


def _asked_with(exchange: Exchange, pk: int) -> QuerySet[Connection]:
    """The connection, if it still has the key that was refused: a new one may have come while the call was out."""
    hint = dict(exchange.request_headers).get("Authorization", "")[-4:]
    return Connection.objects.filter(pk=pk, key_hint__in=("", hint))


def against(row: Owed, held_families: Container[str], campaigns: Container[str], erased: Container[int]) -> str:
    """Why a claimed row must not leave now, as a code; "" if it may. An empty campaign filter takes all."""
    if row.customer_id in erased:
        return ERASED
    if row.family in held_families:
        return NO_SCOPE
    if not campaigns or row.campaign_id in campaigns or row.metric == trial_message.METRIC:
        return ""
    if row.campaign_id:
        return EXCLUDED
    return UNPLACED if row.metric else ""


def forgets(account_id: int) -> bool:
    """Whether anybody was ever erased at the merchants of a lane."""
    merchants = Connection.objects.filter(account_id=account_id).values("merchant_id")
    return Suppression.objects.filter(merchant_id__in=merchants).exists()


def erased_among(rows: Iterable[Owed]) -> set[int]:
    """The erased customers of these rows."""
    customers = {row.customer_id for row in rows}
    return set(Customer.objects.filter(pk__in=customers, erased_at__isnull=False).values_list("pk", flat=True))


def turn_away(turn: Turn, ids: list[int], reason: str, *, now: datetime) -> None:
    """Claimed rows that must not leave: they wait for their gate, or are skipped for good."""
    claimed = Delivery.objects.filter(pk__in=ids, claim_token=turn.token, state=Delivery.State.SENDING)
    waits = reason in (NO_SCOPE, UNPLACED)
    claimed.update(
        state=Delivery.State.WAITING if waits else Delivery.State.SKIPPED,
        reason=reason,
        detail=sentence(reason),
        next_attempt_at=None,
        settled_at=None if waits else now,
        claim_token=None,
        claims=0,
        updated_at=now,
    )


def _park(connection: Connection) -> int:
    now = timezone.now()
    due = Delivery.objects.filter(
        account_id=connection.account_id,
        connection=connection,
        state__in=(Delivery.State.QUEUED, Delivery.State.WAITING),
        next_attempt_at__isnull=False,
    )
    rows = Delivery.objects.filter(pk__in=list(due.values_list("pk", flat=True)[:BLOCK]))
    if connection.archived_at:
        return rows.update(
            state=Delivery.State.SKIPPED, reason=ARCHIVED, next_attempt_at=None, settled_at=now, updated_at=now
        )
    reason = REFUSED if connection.is_active and connection.push_events else OFF
    return rows.update(state=Delivery.State.WAITING, reason=reason, next_attempt_at=None, updated_at=now)


def _unpark(connection: Connection, reason: str, now: datetime) -> int:
    waiting = Delivery.objects.filter(connection=connection, **_parked(reason))
    paths = waiting.order_by("path").values_list("path", flat=True).distinct()
    free = [path for path in paths if family_of(path) not in connection.held_families]
    ids = list(waiting.filter(path__in=free).order_by("id").values_list("pk", flat=True)[:BLOCK])
    return Delivery.objects.filter(pk__in=ids, **_parked(reason)).update(
        state=Delivery.State.QUEUED, reason="", next_attempt_at=now, updated_at=now
    )


def _parked(reason: str) -> dict[str, object]:
    return {"state": Delivery.State.WAITING, "reason": reason, "next_attempt_at": None}
