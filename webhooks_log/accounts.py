"""What is owed follows its connection when the doctor learns, or the owner changes, the Klaviyo account behind it.

Rung by the doctor after every check. Everything here is read from the tables, so it may run twice or late.
"""

from datetime import timedelta

from django.db import transaction
from django.db.models import ProtectedError, QuerySet
from django.utils import timezone

from connections.models import Connection, KlaviyoAccount
from webhooks_log.models import Delivery

OWED = (Delivery.State.QUEUED, Delivery.State.WAITING)


def after_check(connection_id: int) -> None:
    """The queue's entrance: bring what this connection owes to its account."""
    connection = Connection.objects.select_related("account").filter(pk=connection_id).first()
    if connection is not None:
        follow(connection)


def follow(connection: Connection) -> tuple[int, int]:
    """Repoint or skip what the connection owes under other accounts; (repointed, skipped).

    Rows of a provisional account (no Cid yet, so nothing of it ever left) go along; rows owed to another account are
    never told to this one. Rows on the wire are left to their lane, which judges the account again when it claims.
    """
    moved = skipped = 0
    others = Delivery.objects.filter(connection=connection).exclude(account=connection.account_id)
    owed = others.filter(state__in=OWED)
    for account in KlaviyoAccount.objects.filter(pk__in=owed.values("account")).order_by("pk"):
        with transaction.atomic():
            # Both rows in id order, as every lane takes them: two merges cannot wait for each other.
            list(
                KlaviyoAccount.objects.select_for_update()
                .filter(pk__in=(account.pk, connection.account_id))
                .order_by("pk")
            )
            rows = owed.filter(account=account)
            if account.cid is None:
                moved += rows.update(account=connection.account, updated_at=timezone.now())
            else:
                skipped += skip(rows, "account_changed")
    _forget_provisional()
    return moved, skipped


def skip(rows: QuerySet[Delivery], reason: str) -> int:
    """Settle owed rows as SKIPPED with this reason."""
    now = timezone.now()
    return rows.update(
        state=Delivery.State.SKIPPED,
        reason=reason,
        detail="",
        next_attempt_at=None,
        settled_at=now,
        updated_at=now,
    )


def _forget_provisional() -> None:
    """Accounts that never got a Cid and have nothing left are only litter."""
    long_ago = timezone.now() - timedelta(hours=1)
    empty = KlaviyoAccount.objects.filter(cid=None, created_at__lt=long_ago, connections=None, deliveries=None)
    for account in empty[:10]:
        try:
            account.delete()
        except ProtectedError:  # somebody came to use it just now
            continue
