"""Slows down who guesses or pesters: so many tries within so long a time, from one place or about one person.

Before signing in and before mails to people who forgot their password. Counted in the database, for all processes
together, by keyed hashes: neither names nor addresses are kept.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone

from connections.models import Knock
from connections.secrets import fingerprint


@dataclass(frozen=True, slots=True)
class Brake:
    """`most` tries within `window`; then wait."""

    name: str
    most: int
    window: timedelta


QUARTER, HOUR = timedelta(minutes=15), timedelta(hours=1)
# An office behind one address types many wrong passwords in a morning; who tries a list of names types more.
SIGN_IN_FROM = Brake("sign-in from", 50, QUARTER)
# From everywhere together; places where the person has signed in before are not asked.
SIGN_IN_AS = Brake("sign-in as", 30, QUARTER)
PASSWORD_MAIL_TO = Brake("password mail to", 3, HOUR)
PASSWORD_MAIL_FROM = Brake("password mail from", 20, HOUR)
LONGEST = HOUR


def is_pulled(brake: Brake, who: str, *, now: datetime | None = None) -> bool:
    """Whether they have used up their tries for now."""
    since = (now or timezone.now()) - brake.window
    knocks = Knock.objects.filter(brake=brake.name, digest=_digest(who), at__gt=since)
    return len(knocks.values_list("pk")[: brake.most]) >= brake.most


def note(brake: Brake, who: str) -> None:
    """Count one more."""
    Knock.objects.create(brake=brake.name, digest=_digest(who))


def prune(now: datetime) -> int:
    """Delete what no brake asks for any more; how many rows."""
    return Knock.objects.filter(at__lt=now - LONGEST).delete()[0]


def _digest(who: str) -> str:
    return fingerprint(who.lower(), "knock")
