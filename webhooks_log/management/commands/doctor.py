"""`manage.py doctor`: looks at everything that an installation needs, and says what to do about what is wrong.

For the operator; merchants have the doctor of their connection. It changes nothing and calls only Klaviyo's host.
Exit status 1 where something is wrong.
"""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from webhooks_log.checkup import check_all


class Command(BaseCommand):
    help = "Check settings, database, queue, worker, clock, Klaviyo's reach and stuck rows."

    def handle(self, *args: Any, **options: Any) -> None:
        results = check_all(now=timezone.now())
        width = max(len(result.what) for result in results)
        for result in results:
            mark = self.style.SUCCESS("ok   ") if result.is_good else self.style.ERROR("WRONG")
            self.stdout.write(f"{mark} {result.what:<{width}}  {result.found}")
            if result.advice:
                self.stdout.write(f"      {' ' * width}  → {result.advice}")
        if not all(result.is_good for result in results):
            raise SystemExit(1)
        self.stdout.write("Everything is as it should be.")
