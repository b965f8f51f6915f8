"""Which Klaviyo account a connection belongs to: learnt from Klaviyo's answers, changed only when the owner says so.

Between the doctor and the lanes: a lane is an account, and two keys of one account share one.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta
from enum import Enum, auto

from django.db import IntegrityError, transaction
from django.db.models import ProtectedError

from connections import turns
from connections.klaviyo.budget import smaller
from connections.models import Connection, KlaviyoAccount

HOLDER = "joining"
LEASE_SECONDS = 10.0
PATIENCE_SECONDS = 3.0  # a lane yields as soon as its calls on the wire are answered
LOOK_SECONDS = 0.05


class Tie(Enum):
    """What came of tying a connection to an account."""

    TIED = auto()
    OTHER = auto()  # it belongs to another one, and nothing changed
    LATER = auto()  # two accounts are one, but not both lanes could be had: nothing changed yet


@contextmanager
def joining(connection: Connection, cid: str) -> Iterator[bool]:
    """Hold what it takes to `recognise` this connection as one of that Cid's: both leases, where two accounts are one.

    Yields False if they could not be had. Not inside a transaction: others must see the leases.
    """
    known = KlaviyoAccount.objects.filter(cid=cid).exclude(pk=connection.account_id).first() if cid else None
    if known is None or KlaviyoAccount.objects.filter(pk=connection.account_id, cid__isnull=False).exists():
        yield False
        return
    with _both_lanes(connection.account_id, known.pk) as are_held:
        yield are_held


@transaction.atomic
def recognise(connection: Connection, cid: str, name: str = "", *, joins: bool) -> Tie:
    """Tie the connection to the account of this Cid; `joins` is whether both lanes are held in case two are one.

    What is owed under the provisional account follows on the upper floor (`webhooks_log.accounts`).
    """
    provisional = KlaviyoAccount.objects.select_for_update().get(pk=connection.account_id)
    if provisional.cid not in (None, cid):
        return Tie.OTHER
    if provisional.cid is None:
        known = KlaviyoAccount.objects.select_for_update().filter(cid=cid).first()
        if known is not None and not joins:
            return Tie.LATER
        if known is not None:
            _join(connection, provisional, known)
        elif not _name(provisional, cid):
            return Tie.LATER
    if name:
        KlaviyoAccount.objects.filter(pk=connection.account_id).update(name=name)
    connection.refresh_from_db(fields=("account",))
    return Tie.TIED


@transaction.atomic
def move(connection: Connection, cid: str) -> KlaviyoAccount:
    """Tie the connection to another account because its owner confirmed it; returns the account of before."""
    before = connection.account
    connection.account = KlaviyoAccount.objects.get_or_create(cid=cid)[0]
    connection.save(update_fields=("account",))
    return before


@contextmanager
def _both_lanes(*pks: int) -> Iterator[bool]:
    """The leases of these lanes, in id order, so that two who join cannot wait for each other; False if one is missing.

    Whoever drains one of them is asked to yield, and nobody else takes it meanwhile.
    """
    ends, held = time.monotonic() + PATIENCE_SECONDS, list[turns.Turn]()
    lanes = KlaviyoAccount.objects.filter(pk__in=pks)
    try:
        for pk in sorted(pks):
            turn = _take(pk, ends)
            if turn is None:
                break
            held.append(turn)
        yield len(held) == len(pks)
    finally:
        lanes.update(wanted_until=None)
        for turn in reversed(held):
            turns.release(turn)


def _take(pk: int, ends: float) -> turns.Turn | None:
    """A lane's lease, asked for again and again until it is there or the time is over."""
    while (turn := turns.take(KlaviyoAccount, pk, holder=HOLDER, seconds=LEASE_SECONDS)) is None:
        left = ends - time.monotonic()
        if left <= 0:
            return None
        wanted_until = turns.database_now() + timedelta(seconds=left)
        KlaviyoAccount.objects.filter(pk=pk).update(wanted_until=wanted_until)
        time.sleep(LOOK_SECONDS)
    return turn


def _name(provisional: KlaviyoAccount, cid: str) -> bool:
    """Give the account its Cid; False if somebody gave it to another one just now."""
    with suppress(IntegrityError), transaction.atomic():
        KlaviyoAccount.objects.filter(pk=provisional.pk).update(cid=cid)
        return True
    return False


def _join(connection: Connection, provisional: KlaviyoAccount, known: KlaviyoAccount) -> None:
    known.budget = smaller(provisional.budget, known.budget)
    known.save(update_fields=("budget",))
    Connection.objects.filter(account=provisional).update(account=known)
    connection.refresh_from_db(fields=("account",))
    try:
        with transaction.atomic():
            provisional.delete()
    except ProtectedError:
        return  # Deliveries still name it; it goes when they have followed
