"""Asks each Klaviyo account of a merchant to forget a person, within the account's own limit for such calls.

Last step of an erasure. The limit is counted from the rows of the calls made, so that it holds for all hosts together.
"""

from datetime import datetime, timedelta

from connections import secrets
from connections.klaviyo.client import Client
from connections.klaviyo.exchange import Exchange
from connections.klaviyo.privacy import DELETION_PATH, WINDOWS, deletion
from connections.models import Connection
from webhooks_log.models import Erasure, ErasureCall
from webhooks_log.verdicts import Then, judge

SECONDS = 10.0
LADDER = (60, 300, 1800, 3600)  # seconds; the last one from then on
MOST_TRIES = 50  # about two days
WAITING, ACCEPTED, REFUSED = ErasureCall.State.WAITING, ErasureCall.State.ACCEPTED, ErasureCall.State.REFUSED


def owe(erasure: Erasure, *, now: datetime) -> None:
    """One call for each account that the merchant's connections send to, or ever sent to."""
    for connection in Connection.objects.filter(merchant=erasure.merchant).order_by("archived_at", "pk"):
        ErasureCall.objects.get_or_create(
            erasure=erasure,
            account_id=connection.account_id,
            defaults={"connection": connection, "next_attempt_at": now},
        )


def tell(erasure: Erasure, *, now: datetime) -> bool:
    """Make the calls that are due and allowed now; True when none is waiting any more."""
    waiting = erasure.calls.filter(state=WAITING).select_related("connection")
    for call in waiting.filter(next_attempt_at__lte=now):
        if _is_allowed(call.account_id, now):
            _call(call, erasure, now)
    return not erasure.calls.filter(state=WAITING).exists()


def _is_allowed(account_id: int, now: datetime) -> bool:
    made = ErasureCall.objects.filter(account_id=account_id, called_at__lte=now)
    return all(made.filter(called_at__gt=now - window).count() < most for window, most in WINDOWS)


def _call(call: ErasureCall, erasure: Erasure, now: datetime) -> None:
    authorization = _authorization(call.connection)
    if not authorization:
        _settle(call, REFUSED, "This connection has no key any more. Delete the profile in Klaviyo by hand.")
        return
    # Noted before the first byte leaves: a process that dies here has spent the call.
    taken = ErasureCall.objects.filter(pk=call.pk, state=WAITING, tries=call.tries)
    call.tries, call.called_at = call.tries + 1, now
    call.next_attempt_at = now + timedelta(seconds=LADDER[min(call.tries, len(LADDER)) - 1])
    if not taken.update(tries=call.tries, called_at=now, next_attempt_at=call.next_attempt_at):
        return
    _judge(call, _ask(authorization, secrets.unseal(bytes(erasure.sealed_email or b""))))


def _authorization(connection: Connection) -> str:
    try:
        return secrets.authorization(connection.sealed_key) if connection.sealed_key else ""
    except secrets.KeyLost:
        return ""


def _ask(authorization: str, email: str) -> Exchange:
    client = Client()
    try:
        return client.call_within(SECONDS, "POST", DELETION_PATH, authorization, deletion(email))
    finally:
        client.close()


def _judge(call: ErasureCall, exchange: Exchange) -> None:
    verdict = judge(exchange)
    call.status, call.klaviyo_request_id = exchange.status, exchange.header("X-Klaviyo-Req-Id")[:64]
    if verdict.then is Then.DELIVERED:
        _settle(call, ACCEPTED, "")
    elif verdict.then is Then.FAILED or call.tries >= MOST_TRIES:
        _settle(call, REFUSED, f"{verdict.sentence} Delete the profile in Klaviyo by hand.")
    else:
        needs = " It needs the scope data-privacy:write." if verdict.then is Then.HOLD_FAMILY else ""
        _settle(call, WAITING, verdict.sentence + needs)


def _settle(call: ErasureCall, state: str, detail: str) -> None:
    call.state, call.detail = state, detail
    call.save(update_fields=("state", "detail", "status", "klaviyo_request_id"))
