"""`manage.py replay`: counts what a selection would send again, and starts it with `--yes --reason`.

The worker carries a replay forward; this command only starts, pauses, resumes and stops it.
"""

import argparse
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand, CommandError

from connections.models import Merchant
from webhooks_log import replay
from webhooks_log.models import Delivery, Replay
from webhooks_log.selection import Selection, read

FILTERS = ("connection", "customer", "event", "order", "state", "metric", "http", "since", "until", "ids")
BACKFILL = {"auto": None, "on": True, "off": False}


class Command(BaseCommand):
    help = "Send Deliveries again, below live traffic. Without --yes it only counts and says what would happen."

    def add_arguments(self, parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--merchant", required=True, help="the merchant's short name, as in addresses")
        for name in FILTERS:
            parser.add_argument(f"--{name}", default="", help=HELP.get(name, f"only of this {name}"))
        parser.add_argument("--translate-anew", action="store_true", help="from Vrio's events, not the original bytes")
        parser.add_argument("--include-delivered", action="store_true", help="also what Klaviyo accepted already")
        parser.add_argument("--backfill", choices=BACKFILL, default="auto", help="auto: for what is older than a day")
        parser.add_argument("--yes", action="store_true", help="start it")
        parser.add_argument("--reason", default="", help="why, for the record; needed with --yes")
        parser.add_argument("--actor", default="", help="the user in whose name it is started")
        parser.add_argument("--pause", type=int, metavar="REPLAY")
        parser.add_argument("--resume", type=int, metavar="REPLAY")
        parser.add_argument("--stop", type=int, metavar="REPLAY")

    def handle(self, *args: Any, **options: Any) -> None:
        merchant = Merchant.objects.filter(slug=options["merchant"]).first()
        if merchant is None:
            raise CommandError(f"There is no merchant {options['merchant']!r}.")
        try:
            self.stdout.write(self._turned(merchant, options) or self._replayed(merchant, options))
        except replay.Refused as refused:
            raise CommandError(refused.sentence) from None

    def _turned(self, merchant: Merchant, options: dict[str, Any]) -> str:
        """Pauses, resumes or stops a replay; "" if none of these was asked for."""
        turns = {"pause": replay.pause, "resume": replay.resume, "stop": replay.stop_replay}
        for name, turn in turns.items():
            if options[name] is not None:
                row = Replay.objects.filter(merchant=merchant, pk=options[name]).first()
                if row is None:
                    raise CommandError(f"There is no replay {options[name]} of {merchant}.")
                turn(row, actor=_actor(options["actor"]))
                return f"Replay {row.pk}: {row.get_state_display().lower()}."
        return ""

    def _replayed(self, merchant: Merchant, options: dict[str, Any]) -> str:
        choices = {
            "translates_anew": options["translate_anew"],
            "includes_delivered": options["include_delivered"],
            "backfill": BACKFILL[options["backfill"]],
        }
        selection = _selection(options)
        found = replay.plan(selection, merchant=merchant, **choices)
        self.stdout.write("\n".join([f"{found.count:,} deliveries of {merchant}.", *found.effect]))
        for row in found.sample:
            self.stdout.write(f"  {_line(row)}")
        if not options["yes"]:
            return "Nothing was changed. Add --yes --reason '…' to start."
        actor = _actor(options["actor"])
        begun = replay.start(selection, actor=actor, reason=options["reason"], merchant=merchant, **choices)
        return f"Replay {begun.pk} has begun; the worker carries it forward."


HELP = {
    "connection": "only of this connection (its number)",
    "customer": "only of this customer (our number)",
    "event": "only of this event (our number)",
    "since": "from this day or moment on, in the merchant's zone",
    "until": "up to this day or moment",
    "http": "only with this answer: 2xx, 4xx, 429, 5xx, none",
    "metric": "only of this metric; - is profile only",
    "ids": "only these deliveries, as 12,15",
}


def _selection(options: dict[str, Any]) -> Selection:
    """What the filters ask for. Raises CommandError where one cannot be meant: a typing error must not widen it."""
    selection = read({name: options[name] for name in FILTERS})
    for name in FILTERS:
        if options[name] and not getattr(selection, name):
            raise CommandError(f"--{name} {options[name]} cannot be meant.")
    return selection


def _actor(name: str) -> Any:
    if not name:
        return None
    user = get_user_model().objects.filter(username=name).first()
    if user is None:
        raise CommandError(f"There is no user {name!r}.")
    return user


def _line(row: Delivery) -> str:
    told = f"{row.happened_at:%Y-%m-%d %H:%M} {row.metric or 'Profile'} {row.unique_id}"
    return f"#{row.pk} {told} ({row.get_state_display()}{f', {row.reason}' if row.reason else ''})"
