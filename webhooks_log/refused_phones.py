"""Remembers per account which phone numbers Klaviyo refused, so that one costs a second call once and not every time.

Lanes remember, dispatch asks. A number that Vrio changes is another number; the same one is tried again after a month.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from connections.klaviyo.payloads import loads, profiles_in
from connections.secrets import fingerprint
from webhooks_log.models import RefusedPhone

REMEMBERED = timedelta(days=30)


def remember(account_id: int, bodies: Iterable[bytes], *, now: datetime) -> None:
    """Klaviyo refused the phone numbers in these bodies."""
    digests = sorted({digest(number) for body in bodies for number in numbers_in(body)})
    RefusedPhone.objects.bulk_create(
        [RefusedPhone(account_id=account_id, digest=one, refused_at=now) for one in digests],
        update_conflicts=True,
        unique_fields=["account", "digest"],
        update_fields=["refused_at"],
    )


def refused(account_ids: Iterable[int], numbers: Iterable[str], *, now: datetime) -> dict[int, set[str]]:
    """Which of these numbers (E.164) each account has refused lately."""
    digests = {digest(number): number for number in numbers if number}
    if not digests:
        return {}
    rows = RefusedPhone.objects.filter(account_id__in=account_ids, digest__in=digests, refused_at__gt=now - REMEMBERED)
    found: dict[int, set[str]] = {}
    for row in rows:
        found.setdefault(row.account_id, set()).add(digests[row.digest])
    return found


def forget_old(*, now: datetime) -> int:
    """Delete what is remembered no longer; how many."""
    return RefusedPhone.objects.filter(refused_at__lte=now - REMEMBERED).delete()[0]


def numbers_in(body: bytes) -> set[str]:
    return {number for profile in profiles_in(loads(body)) if (number := profile.get("phone_number"))}


def digest(number: str) -> str:
    return fingerprint(number, "refused-phone")
