"""Remembers who was erased without remembering them: keyed hashes of e-mail and Vrio id.

The mirror asks before it tells anybody anything of a customer who comes back in a late event.
"""

from connections.models import Merchant
from connections.secrets import fingerprint
from events.models import Suppression


def digests(source_id: int, vrio_id: str, email: str) -> list[str]:
    """The hashes under which a person may be suppressed; an id counts within its source."""
    found = [fingerprint(f"{source_id}:{vrio_id}", "suppressed-customer")] if vrio_id else []
    return [*found, fingerprint(email.lower(), "suppressed-email")] if email else found


def suppress(merchant: Merchant, source_id: int, vrio_id: str, email: str, *, sends_later_purchases: bool) -> None:
    """Remember a person as erased from now on; again is fine, and the newest moment counts."""
    for digest in digests(source_id, vrio_id, email):
        Suppression.objects.filter(merchant=merchant, digest=digest).delete()
        Suppression.objects.create(merchant=merchant, digest=digest, sends_later_purchases=sends_later_purchases)


def follow(known: Suppression, source_id: int, vrio_id: str) -> Suppression:
    """Remember one more of Vrio's ids of a person who was erased by address, as from the same moment."""
    (digest,) = digests(source_id, vrio_id, "")
    wishes = {"erased_at": known.erased_at, "sends_later_purchases": known.sends_later_purchases}
    return Suppression.objects.get_or_create(merchant=known.merchant, digest=digest, defaults=wishes)[0]
