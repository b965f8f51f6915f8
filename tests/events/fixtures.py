"""The fixture folders: one for each row of the table and each condition, with an event and what Klaviyo hears of it.

A folder is named after a row, with a variant after a dot; `silent.` is what is kept and not sent, `skipped.` a gate.
`known.json` holds what the mirror would answer, where the event alone does not decide.
"""

import json
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

from connections.klaviyo.payloads import render
from events import fields
from events.catalogue import RULES, Anything, Rule
from events.facts import Facts, Ignored, Known, Person, Skipped, Status
from events.gates import customer_gate, email_gate, test_order_gate
from events.profile import event_content, profile_of
from events.translate import known_from, translate
from events.vrio import read

FOLDER = Path(__file__).parent.parent / "fixtures" / "events"
ZONE = "America/New_York"


@dataclass(frozen=True)
class Fixture:
    name: str

    @property
    def row(self) -> str:
        return self.name.partition(".")[0]

    @property
    def event(self) -> bytes:
        return (FOLDER / self.name / "event.json").read_bytes()

    @property
    def messages(self) -> Any:
        return json.loads((FOLDER / self.name / "messages.json").read_text())

    @property
    def needs_a_mirror(self) -> bool:
        return (FOLDER / self.name / "known.json").exists()

    @property
    def facts(self) -> Facts:
        facts = read(self.event, time_zone=ZONE)
        assert isinstance(facts, Facts)
        return facts

    @property
    def known(self) -> Known:
        if not self.needs_a_mirror:
            facts = read(self.event, time_zone=ZONE)
            return known_from(facts) if isinstance(facts, Facts) else Known()
        told = json.loads((FOLDER / self.name / "known.json").read_text())
        if "customer" in told:
            told["customer"] = Person(**told["customer"])
        if "clv" in told:
            told["clv"] = Decimal(told["clv"])
        if "status_before" in told:
            told["status_before"] = Status(told["status_before"])
        if "original" in told:
            told["original"] = Fixture(told["original"]).facts
        return Known(**told)


def all_fixtures() -> list[Fixture]:
    return [Fixture(folder.name) for folder in sorted(FOLDER.iterdir())]


def said(body: bytes, known: Known, *, rules: tuple[Rule, ...] = RULES) -> Any:
    """What is said of an event: messages as `manage.py translate` prints them, or the code of the reason."""
    facts = read(body, time_zone=ZONE)
    if isinstance(facts, Ignored):
        return {"skipped": facts.reason}
    messages = translate(facts, known, rules=rules)
    if isinstance(messages, Skipped):
        return {"skipped": messages.reason}
    profile, _ = profile_of(facts, known)
    if gate := customer_gate(facts, known) or email_gate(profile.email) or test_order_gate(facts, known):
        return {"skipped": gate.reason}
    return [
        {"metric": message.metric, "unique_id": message.unique_id, "path": call.path, "body": json.loads(call.body)}
        for message in messages
        for call in [render(event_content(message, currency="USD"), profile)]
    ]


def readme_rows() -> list[str]:
    """The lines of the README's event table, without its head."""
    readme = (FOLDER.parents[2] / "README.md").read_text(encoding="utf-8")
    table = readme.partition("<!-- events -->")[2].partition("<!-- /events -->")[0]
    return [line.strip() for line in table.splitlines() if line.startswith("|")][2:]


def readme_row(rule: Rule) -> str:
    """One row of the table as the README words it: from the docstrings of what stands in its columns."""
    trigger = "any other event" if isinstance(rule.trigger, Anything) else f"`{rule.trigger.value}`"
    hears = f"**{rule.metric}**" if rule.metric else "the profile alone"
    blocks = {id(block): name for name, block in vars(fields).items() if name.isupper() and isinstance(block, tuple)}
    properties = "" if not rule.properties else blocks[id(rule.properties)].replace("_", " ").lower()
    cells = [trigger, word(rule.condition), hears, word(rule.once_per), f"`{word(rule.unique_id)}`", properties]
    return f"| {' | '.join(cells)} |"


def word(part: Any) -> str:
    return str(part.__doc__)
