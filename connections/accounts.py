"""Which Klaviyo account a connection belongs to: learnt from Klaviyo's answers, changed only when the owner says so.

Between the doctor and the lanes: a lane is an account, and two keys of one account share one.
"""

from django.db import transaction
from django.db.models import ProtectedError

from connections.klaviyo.budget import smaller
from connections.models import Connection, KlaviyoAccount


@transaction.atomic
def recognise(connection: Connection, cid: str, name: str = "") -> bool:
    """Tie the connection to the account of this Cid; False if it is tied to another one, and then nothing changes.

    What is owed under the provisional account follows on the upper floor (`webhooks_log.accounts`).
    """
    provisional = KlaviyoAccount.objects.select_for_update().get(pk=connection.account_id)
    if provisional.cid not in (None, cid):
        return False
    if provisional.cid is None:
        known = KlaviyoAccount.objects.select_for_update().filter(cid=cid).first()
        if known is not None:
            _join(connection, provisional, known)
        else:
            KlaviyoAccount.objects.filter(pk=provisional.pk).update(cid=cid)
    if name:
        KlaviyoAccount.objects.filter(pk=connection.account_id).update(name=name)
    connection.refresh_from_db(fields=("account",))
    return True


@transaction.atomic
def move(connection: Connection, cid: str) -> KlaviyoAccount:
    """Tie the connection to another account because its owner confirmed it; returns the account of before."""
    before = connection.account
    connection.account = KlaviyoAccount.objects.get_or_create(cid=cid)[0]
    connection.save(update_fields=("account",))
    return before


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
