"""`manage.py demo_setup`: creates what is missing of the demo shop and prints a card that introduces it."""

from typing import Any

from django.core.management.base import BaseCommand
from django.utils import timezone

from connections import demo
from events.demo.first_order import first_order, pretty

CARD = """
────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
  Viaduct is up:  {web}
  The sandbox:    {sandbox}   (what has arrived at Klaviyo)

{logins}

API key: {api_key}

  Post an order (a new subscription: Placed Order, Ordered Product and Started Subscription follow):

{curl}

  Then log in and open the customer's Webhooks tab. Ctrl-C stops everything.
────────────────────────────────────────────────────────────────────────────────────────────────────────────────────────
"""
CURL = """curl -s {web}/api/v1/events \\
  -H 'Authorization: Bearer {api_key}' -H 'Content-Type: application/json' \\
  -d '{order}'"""


class Command(BaseCommand):
    help = "Create the demo merchant, its people, its key and its sandbox connection; what is there stays as it is."

    def handle(self, *args: Any, **options: Any) -> None:
        demo.set_up()
        order = pretty(first_order(timezone.now()))
        self.stdout.write(
            CARD.format(
                web=demo.web_url(),
                sandbox=demo.sandbox_url(),
                logins="\n".join(
                    f"  Login: {who.username:<10} Password: {who.password}   ({who.may})" for who in demo.logins()
                ),
                api_key=demo.api_key(),
                curl=CURL.format(web=demo.web_url(), api_key=demo.api_key(), order=order),
            )
        )
