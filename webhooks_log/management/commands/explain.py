"""`manage.py explain`: why something is not in Klaviyo, step by step, in the terminal.

The same explanation as the page and the API.
"""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from connections.models import Merchant
from events.models import Customer, Event
from webhooks_log.explain import Explanation, as_plain, explain_customer, explain_event, explain_order

MARKS = {"good": "ok", "bad": "NO", "warn": "..", "dull": " ?"}


class Command(BaseCommand):
    """explain customer sarah@…, explain order 1253, explain event evt_17."""

    help = "Why is it not in Klaviyo? Checks every step on the records."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("kind", choices=("customer", "order", "event"))
        parser.add_argument("which", help="e-mail address or Vrio id of a customer, order id, or Vrio's event id")
        parser.add_argument("--merchant", default="", help="the merchant's short name, where several know this id")
        parser.add_argument("--json", action="store_true", help="print the steps as JSON")

    def handle(self, *args: Any, kind: str, which: str, merchant: str, **options: Any) -> None:
        merchants = list(Merchant.objects.filter(slug=merchant) if merchant else Merchant.objects.all())
        if not merchants:
            raise CommandError(f"There is no merchant {merchant!r}.")
        found = FINDERS[kind](merchants, which)
        if not found:
            raise CommandError(f"No {kind} {which!r} is known.")
        if options["json"]:
            self.stdout.write(json.dumps([as_plain(why) for why in found], indent=2))
            return
        for why in found:
            self._print(why)

    def _print(self, why: Explanation, indent: str = "") -> None:
        self.stdout.write(f"{indent}{why.title}: {why.conclusion}")
        for step in why.steps:
            at = f" ({step.at:%Y-%m-%d %H:%M:%S} UTC)" if step.at else ""
            self.stdout.write(f"{indent}  [{MARKS[step.tone]}] {step.question} {step.answer}{at}")
            if step.advice and step.tone != "good":
                self.stdout.write(f"{indent}       What to do: {step.advice}")
        for part in why.parts:
            self._print(part, indent + "  ")


def _customers(merchants: list[Merchant], which: str) -> list[Explanation]:
    column = "email" if "@" in which else "vrio_id"
    rows = Customer.objects.filter(merchant__in=merchants, **{column: which.lower() if column == "email" else which})
    return [explain_customer(row) for row in rows.order_by("pk")[:10]]


def _orders(merchants: list[Merchant], which: str) -> list[Explanation]:
    return [explain_order(merchants, which)]


def _events(merchants: list[Merchant], which: str) -> list[Explanation]:
    rows = Event.objects.filter(merchant__in=merchants, event_id=which).defer("body", "digest")
    return [explain_event(row) for row in rows.order_by("pk")[:10]]


FINDERS = {"customer": _customers, "order": _orders, "event": _events}
