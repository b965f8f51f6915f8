"""`manage.py translate [FILE|-]`: what Klaviyo would hear of one Vrio event. Sends nothing, stores nothing.

Runs the reading and the table without a database, so a question about an event can be answered on any machine.
"""

import json
import sys
from pathlib import Path
from typing import Any
from zoneinfo import available_timezones

from django.core.management.base import BaseCommand, CommandError, CommandParser

from connections.klaviyo.payloads import LimitExceeded, render
from events.facts import Broken, Facts, Ignored, Skipped
from events.gates import customer_gate, email_gate, test_order_gate
from events.profile import event_content, profile_of
from events.translate import known_from, translate
from events.vrio import read

Said = list[dict[str, Any]] | dict[str, str]


class Command(BaseCommand):
    help = "Show what Klaviyo would hear of a Vrio event. Nothing is sent or stored, and no connection is needed."
    requires_system_checks = ()
    requires_migrations_checks = False

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("file", nargs="?", default="-", help="A file with one Vrio event; - reads standard input.")
        parser.add_argument("--ndjson", action="store_true", help="One event a line in, one answer a line out.")
        parser.add_argument("--time-zone", default="America/New_York", help="The clock of Vrio's dates.")
        parser.add_argument("--currency", default="USD", help="For amounts whose currency Vrio does not tell.")
        parser.add_argument("--country", default="US", help="For phone numbers without a country.")
        parser.add_argument("--send-test-orders", action="store_true", help="Do not skip test orders.")

    def handle(self, *, file: str, ndjson: bool, **options: Any) -> None:
        if options["time_zone"] not in available_timezones():
            raise CommandError(f"There is no time zone {options['time_zone']}; try America/New_York.")
        body = sys.stdin.buffer.read() if file == "-" else content(file)
        if ndjson:
            for line in body.splitlines():
                if line.strip():
                    self.stdout.write(compact(answer(line, options)))
            return
        self.stdout.write(json.dumps(answer(body, options), ensure_ascii=False, indent=2))


def content(file: str) -> bytes:
    try:
        return Path(file).read_bytes()
    except OSError as error:
        raise CommandError(f"{file} cannot be read: {error.strerror}.") from None


def answer(body: bytes, options: dict[str, Any]) -> Said:
    try:
        facts = read(body, time_zone=options["time_zone"])
        return {"skipped": facts.sentence} if isinstance(facts, Ignored) else said(facts, options)
    except Broken as broken:
        return {"skipped": f"The record cannot be read. {broken.field}: {broken.why}"}
    except LimitExceeded as exceeded:
        return {"skipped": exceeded.sentence}


def said(facts: Facts, options: dict[str, Any]) -> Said:
    known = known_from(facts)
    messages = translate(facts, known)
    if isinstance(messages, Skipped):
        return {"skipped": messages.sentence}
    profile, _ = profile_of(facts, known, country=options["country"])
    test_order = None if options["send_test_orders"] else test_order_gate(facts, known)
    if gate := customer_gate(facts, known) or email_gate(profile.email) or test_order:
        return {"skipped": gate.sentence}
    rendered = [
        (message, render(event_content(message, currency=options["currency"]), profile)) for message in messages
    ]
    return [
        {"metric": message.metric, "unique_id": message.unique_id, "path": call.path, "body": json.loads(call.body)}
        for message, call in rendered
    ]


def compact(said: Said) -> str:
    return json.dumps(said, ensure_ascii=False, separators=(",", ":"))
