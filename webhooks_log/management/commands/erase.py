"""`manage.py erase`: forgets one person at one merchant everywhere, and waits until it is done.

The same as the owner's page of privacy, for whoever runs Viaduct.
"""

import getpass
import time
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser

from connections.models import Merchant
from webhooks_log import erasure
from webhooks_log.models import Erasure


class Command(BaseCommand):
    help = "Forget one person: suppress, empty, and ask Klaviyo to delete the profile."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("merchant", help="the merchant's short name, as in addresses")
        parser.add_argument("email")
        parser.add_argument("--klaviyo", action="store_true", help="also delete the profile in Klaviyo")
        parser.add_argument("--later-purchases", action="store_true", help="tell Klaviyo if the person buys again")
        parser.add_argument("--reason", default="", help="for the record, without personal data")
        parser.add_argument("--seconds", type=float, default=60.0, help="how long to wait until it is done")

    def handle(self, *args: Any, **options: Any) -> None:
        merchant = Merchant.objects.filter(slug=options["merchant"]).first()
        if merchant is None:
            raise CommandError(f"There is no merchant {options['merchant']}.")
        row = erasure.request(
            merchant,
            options["email"],
            actor=None,
            reason=options["reason"] or f"manage.py erase, by {getpass.getuser()}",
            tells_klaviyo=options["klaviyo"],
            sends_later_purchases=options["later_purchases"],
        )
        self._wait(row, options["seconds"])

    def _wait(self, row: Erasure, seconds: float) -> None:
        ends_at = time.monotonic() + seconds
        while erasure.advance(row).state != Erasure.State.DONE and time.monotonic() < ends_at:
            time.sleep(0.5)
        self.stdout.write(f"Erasure {row.pk}: {row.get_state_display()}.")
        for call in row.calls.select_related("account"):
            self.stdout.write(f"  {call.account}: {call.get_state_display()}. {call.detail}".rstrip())
        if row.state != Erasure.State.DONE:
            self.stdout.write("  The clock goes on with it.")
