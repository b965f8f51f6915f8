"""`manage.py redispatch`: take up again events that were ignored or broke, after a fix or a new connection.

Makes them due and rings; what has been told already is not told again, because a Delivery is unique.
"""

from datetime import datetime
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.utils import timezone
from django.utils.dateparse import parse_date

from connections.models import Merchant
from connections.turns import ring
from events.models import Event, Inbox
from webhooks_log.dispatch import DISPATCH


class Command(BaseCommand):
    help = "Dispatch again events that were ignored or broke. Nothing that Klaviyo was told is told twice."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--ignored", action="store_true", help="Events that said nothing when they arrived.")
        parser.add_argument("--broken", action="store_true", help="Events that could not be read or dispatched.")
        parser.add_argument("--type", help="Only this event of Vrio, such as transaction_completed.")
        parser.add_argument("--reason", help="Only those with this reason, such as no_connection.")
        parser.add_argument("--merchant", help="Only this merchant, by its short name.")
        parser.add_argument("--since", type=day, help="Only those received on or after this day (YYYY-MM-DD, UTC).")
        parser.add_argument("--backfill", action="store_true", help="Record them at Klaviyo without starting flows.")
        parser.add_argument("--dry-run", action="store_true", help="Only count.")

    def handle(self, *, ignored: bool, broken: bool, dry_run: bool, backfill: bool, **only: Any) -> None:
        states = [Event.State.IGNORED] * ignored + [Event.State.BROKEN] * broken
        if not states:
            raise CommandError("Say which: --ignored, --broken or both.")
        wanted = {
            "state__in": states,
            "webhook_event": only["type"],
            "reason": only["reason"],
            "received_at__gte": only["since"],
            "merchant__slug": only["merchant"],
        }
        events = Event.objects.filter(**{name: value for name, value in wanted.items() if value})
        if dry_run:
            self.stdout.write(f"{events.count()} events would be dispatched again.")
            return
        merchants = list(events.values_list("merchant", flat=True).distinct())
        marks = {"backfill": True} if backfill else {}
        count = events.update(state=Event.State.RECEIVED, reason="", detail="", dispatched_at=None, **marks)
        for merchant in Merchant.objects.filter(pk__in=merchants):
            ring(Inbox, Inbox.objects.get_or_create(merchant=merchant)[0].pk, DISPATCH)
        self.stdout.write(f"{count} events will be dispatched again.")


def day(words: str) -> datetime:
    found = parse_date(words)
    if found is None:
        raise CommandError(f"{words} is not a day; write it as 2025-08-30.")
    return datetime(found.year, found.month, found.day, tzinfo=timezone.get_default_timezone())
