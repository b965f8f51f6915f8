"""`manage.py prune`: lets go, now and to the end, whatever is older than its merchant keeps it.

The clock does the same in small turns; this is for whoever cannot wait, and for after a restored backup.
"""

from typing import Any

from django.core.management.base import BaseCommand, CommandParser

from webhooks_log.purge import SLICE_SECONDS, purge


class Command(BaseCommand):
    help = "Empty bodies and delete rows whose time is over."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--seconds", type=float, default=0.0, help="stop after so long; 0 goes on to the end")

    def handle(self, *args: Any, **options: Any) -> None:
        if options["seconds"]:
            is_done = purge(seconds=options["seconds"])
        else:
            while not purge(seconds=SLICE_SECONDS):
                pass
            is_done = True
        self.stdout.write("Nothing is left to let go." if is_done else "There is more; the clock goes on with it.")
