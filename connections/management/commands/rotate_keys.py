"""`manage.py rotate_keys`: seal every stored secret under the newest of FIELD_KEYS.

Put the new key first into FIELD_KEYS and restart everything; run this; then the old key may go.
"""

from typing import Any

from django.core.management.base import BaseCommand, CommandError

from connections.rotation import rotate


class Command(BaseCommand):
    help = "Seal every stored secret under the newest of FIELD_KEYS. Safe to repeat."

    def handle(self, *args: Any, **options: Any) -> None:
        done, lost = rotate()
        self.stdout.write(f"{done} secrets are sealed under the newest key.")
        if lost:
            raise CommandError("No key of FIELD_KEYS opens these; enter them again: " + ", ".join(lost))
