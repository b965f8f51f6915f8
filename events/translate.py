"""Runs the table: Facts in, Messages out. Pure, so that the same event says the same thing whenever it is asked.

Dispatch translates what it has mirrored; `manage.py translate` and previews translate what they are given.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache

from events.catalogue import RULES, UNSAID, Anything, Rule, Unsaid
from events.facts import SALES, Facts, Kind, Known, Message, Skipped, Status
from events.fields import Saying, fill
from events.units import Unit


def translate(facts: Facts, known: Known, *, rules: tuple[Rule, ...] = RULES) -> tuple[Message, ...] | Skipped:
    """What Klaviyo hears of this event, in sending order; Skipped with the reason when it hears nothing."""
    spoken = speak(rows_for(rules, facts.kind), facts, known)
    if not spoken:
        spoken = speak(rows_for(rules, Anything.ELSE), facts, known)
    return spoken or why_not(facts, known)


def tell_again(facts: Facts, known: Known, *, metric: str | None, unique_id: str) -> Message | None:
    """The same message anew, with what is known now. What made it true when it was first told is not asked again.

    None if the table has no such message for this event any more.
    """
    rows = [rule for rule in RULES if rule.metric == metric and rule.trigger in (facts.kind, Anything.ELSE)]
    told = (message(rule, unit, facts, known) for rule in rows for unit in rule.once_per(facts))
    return next((message for message in told if metric is None or message.unique_id == unique_id), None)


def known_from(facts: Facts) -> Known:
    """What an event alone makes known, where there is no mirror to ask."""
    lines = [*facts.order.lines, *([facts.subscription.line] if facts.subscription else [])]
    dates = [line.next_charge_on for line in lines if line.next_charge_on and line.status in (None, Status.ACTIVE)]
    if facts.transaction and facts.transaction.next_charge_on:
        dates.append(facts.transaction.next_charge_on)
    bought = facts.transaction and facts.transaction.type in SALES and not facts.transaction.is_declined
    return Known(
        next_charge_on=min(dates, default=None),
        active_subscriber=True if bought and any(line.is_recurring for line in lines) else None,
    )


@lru_cache(maxsize=64)
def rows_for(rules: tuple[Rule, ...], trigger: Kind | Anything) -> tuple[Rule, ...]:
    return tuple(rule for rule in rules if rule.trigger is trigger)


def speak(rules: Iterable[Rule], facts: Facts, known: Known) -> tuple[Message, ...]:
    return tuple(
        message(rule, unit, facts, known)
        for rule in rules
        if rule.condition(facts, known)
        for unit in rule.once_per(facts)
    )


def message(rule: Rule, unit: Unit, facts: Facts, known: Known) -> Message:
    unique_id = rule.unique_id(facts, unit)
    at = replace(facts, happened_at=unit.at) if unit.at != facts.happened_at else facts
    properties, missing = fill(rule.properties, Saying(at, known, unique_id, unit.value, unit.line))
    return Message(
        metric=rule.metric,
        unique_id=unique_id,
        happened_at=unit.at,
        properties=properties,
        value=unit.value,
        currency=facts.order.currency or (known.original.order.currency if known.original else ""),
        notes=tuple(notes(facts, known, missing)),
        rule=rule.name,
    )


def notes(facts: Facts, known: Known, missing: Sequence[str]) -> Iterable[str]:
    if facts.shipment and known.original is None:
        yield "The order behind this shipment is not known here, so the event says only what the shipment says."
    if missing:
        yield f"Not in Vrio's event and not known otherwise, so left out: {', '.join(missing)}."


def why_not(facts: Facts, known: Known) -> Skipped:
    row = next(row for row in UNSAID if applies(row, facts, known))
    return Skipped(row.reason, row.sentence)


def applies(row: Unsaid, facts: Facts, known: Known) -> bool:
    return row.trigger in (facts.kind, Anything.ELSE) and row.condition(facts, known)
