""" "Why is it not in Klaviyo?": the troubleshooting list, run step by step on the records, each step with its evidence.

Beside the corridor, reading all of it: the page, `manage.py explain` and the API give the same steps.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from django.db.models import QuerySet
from django.utils import timezone

from connections.models import Connection, Merchant
from events.models import Customer, Event, Order
from webhooks_log.masking import mask_email, mask_sentence
from webhooks_log.models import Attempt, Delivery
from webhooks_log.moments import span
from webhooks_log.reasons import Reason
from webhooks_log.rows import metric_name, reason_of
from webhooks_log.verdicts import BY_NAME

GOOD, BAD, WAIT, UNSURE = "good", "bad", "warn", "dull"
OUTCOMES = {GOOD: "ok", BAD: "stopped", WAIT: "waiting", UNSURE: "unknown"}
MOST_EVENTS = 12
MOST_DELIVERIES = 100
TOLD_OTHERWISE = ("already_told", "carried")  # skipped, and Klaviyo knows it all the same
KEY_STATES = (Connection.State.KEY_REFUSED, Connection.State.KEY_LOST, Connection.State.SCOPE_MISSING)


@dataclass(frozen=True, slots=True)
class Evidence:
    """A record behind a step: its kind ("event", "delivery", "connection", "customer"), id and short name."""

    kind: str
    pk: int
    label: str


@dataclass(frozen=True, slots=True)
class Step:
    """One question of the checklist and what the records answer."""

    question: str
    tone: str  # good, bad, warn (waiting), dull (cannot be said)
    answer: str
    advice: str = ""
    at: datetime | None = None
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """The steps about one event, customer or order, and what they come to in a sentence."""

    title: str
    steps: tuple[Step, ...]
    conclusion: str
    tone: str
    parts: tuple["Explanation", ...] = field(default=())


def explain_event(event: Event, *, clear: bool = True, now: datetime | None = None) -> Explanation:
    """One fact from Vrio, from its arrival to Klaviyo's answer."""
    rows = _rows(Delivery.objects.filter(event=event))
    who = [_email(event.customer, clear=clear)] if event.customer else []
    ready = [*who, *_connections(event.merchant, _campaign(event))]
    return _told(event, rows, ready, now or timezone.now(), clear=clear)


def explain_customer(customer: Customer, *, clear: bool = True, now: datetime | None = None) -> Explanation:
    """A customer: known, named, reachable; then each of the newest events."""
    events = list(_slim(Event.objects.filter(customer=customer)).order_by("-pk")[:MOST_EVENTS])
    steps = [_heard_of(customer, events), _email(customer, clear=clear), *_connections(customer.merchant)]
    parts = _parts(events, now or timezone.now(), clear=clear)
    return _summed_up(str(customer) if clear else f"customer {customer.vrio_id}", steps, parts)


def explain_order(merchants: Iterable[Merchant], order_id: str, *, clear: bool = True) -> Explanation:
    """Everything Vrio told us about one order, and what became of it."""
    merchants = list(merchants)
    found = _slim(Event.objects.filter(merchant__in=merchants, order_id=order_id).exclude(order_id=""))
    events = list(found.order_by("-pk")[:MOST_EVENTS])
    steps = [_heard_of_order(order_id, events)]
    owners = {event.merchant_id for event in events} or {merchant.pk for merchant in merchants[:1]}
    steps += [step for merchant in merchants if merchant.pk in owners for step in _connections(merchant)]
    parts = _parts(events, timezone.now(), clear=clear)
    return _summed_up(f"Order {order_id}", steps, parts)


def as_plain(why: Explanation) -> dict[str, Any]:
    """The explanation as JSON can say it; moments in ISO 8601, UTC."""
    return {
        "about": why.title,
        "conclusion": why.conclusion,
        "outcome": OUTCOMES[why.tone],
        "steps": [
            {
                "question": step.question,
                "outcome": OUTCOMES[step.tone],
                "answer": step.answer,
                "advice": step.advice,
                "at": step.at.isoformat() if step.at else None,
                "evidence": [{"kind": item.kind, "id": item.pk, "name": item.label} for item in step.evidence],
            }
            for step in why.steps
        ],
        "parts": [as_plain(part) for part in why.parts],
    }


def _parts(events: list[Event], now: datetime, *, clear: bool) -> tuple[Explanation, ...]:
    """The events one by one, their Deliveries read at once."""
    rows: dict[int, list[Delivery]] = {event.pk: [] for event in events}
    for row in _rows(Delivery.objects.filter(event__in=events)):
        rows[row.event_id].append(row)
    return tuple(_told(event, rows[event.pk], [], now, clear=clear) for event in events)


def _told(event: Event, rows: list[Delivery], ready: list[Step], now: datetime, *, clear: bool) -> Explanation:
    steps = [_arrived(event), _duplicate(event), _read(event), *ready, _messages(event, rows)]
    steps += [_outcome(row, now, clear=clear) for row in rows]
    return _concluded(f"{event.webhook_event} {event.event_id}", steps, rows)


# ── Did Vrio send it? ────────────────────────────────────────────────────────────────────────────────────────────────
def _arrived(event: Event) -> Step:
    proof = f"Yes, proven by {event.proven_by}."
    return Step("Did Vrio send it?", GOOD, proof, at=event.received_at, evidence=(_of(event),))


def _duplicate(event: Event) -> Step:
    question = "Is it a duplicate?"
    if event.conflict_of_id is not None:
        text = "An event with the same identity and other content came before. Both are kept, both were worked on."
        return Step(question, WAIT, text, evidence=(Evidence("event", event.conflict_of_id, "the first one"),))
    if event.arrivals > 1:
        text = f"It arrived {event.arrivals} times with the same content, and counts once."
        return Step(question, GOOD, text, at=event.last_arrived_at)
    return Step(question, GOOD, "No, it arrived once.")


def _read(event: Event) -> Step:
    question = "Was it understood?"
    words = {
        Event.State.RECEIVED: (WAIT, "Not worked on yet. That takes seconds; if it lasts, the worker is not running."),
        Event.State.DISPATCHED: (GOOD, "Yes."),
        Event.State.IGNORED: (BAD, event.detail or f"It was left aside: {event.reason.replace('_', ' ')}."),
        Event.State.HELD: (WAIT, event.detail or "It is held until the owner releases or discards it."),
        Event.State.BROKEN: (BAD, event.detail or "We failed at it. It can be worked on again after a fix of ours."),
    }
    tone, answer = words[Event.State(event.state)]
    return Step(question, tone, answer, at=event.dispatched_at, evidence=(_of(event),))


def _heard_of(customer: Customer, events: list[Event]) -> Step:
    if not events:
        return Step(
            "Did Vrio send it?", BAD, "No event about this customer has arrived.", "Look at Vrio's webhook log."
        )
    newest = events[0]
    return Step(
        "Did Vrio send it?",
        GOOD,
        "Yes. The newest event is shown here.",
        at=newest.received_at,
        evidence=(_of(newest),),
    )


def _heard_of_order(order_id: str, events: list[Event]) -> Step:
    if not events:
        text = f"No event about order {order_id} has arrived."
        return Step("Did Vrio send it?", BAD, text, "Look at Vrio's webhook log, and at the address it posts to.")
    many = (
        f"{len(events)} or more events"
        if len(events) == MOST_EVENTS
        else f"{len(events)} event" + "s" * (len(events) > 1)
    )
    return Step(
        "Did Vrio send it?", GOOD, f"Yes, {many}.", at=events[0].received_at, evidence=tuple(_of(e) for e in events[:3])
    )


# ── Who is it, and where should it go? ───────────────────────────────────────────────────────────────────────────────
def _email(customer: Customer, *, clear: bool) -> Step:
    question = "Has the customer a valid e-mail address?"
    evidence = (Evidence("customer", customer.pk, customer.vrio_id),)
    if customer.erased_at:
        return Step(
            question, BAD, "The customer was erased at their own wish.", at=customer.erased_at, evidence=evidence
        )
    if customer.email:
        email = customer.email if clear else mask_email(customer.email)
        return Step(question, GOOD, f"Yes, {email}.", at=customer.named_at, evidence=evidence)
    text = "Vrio has not told us an e-mail address of this customer."
    return Step(question, BAD, text, "Add it in Vrio; what waits goes out by itself.", evidence=evidence)


def _connections(merchant: Merchant, campaign: str = "") -> list[Step]:
    found = list(Connection.objects.living().filter(merchant=merchant).order_by("pk")[:20])
    if not found:
        text = f"{merchant.name} has no connection to Klaviyo."
        return [Step("Is there a connection?", BAD, text, "Add one under Settings > Connections.")]
    return [_connection(connection, campaign) for connection in found]


def _connection(connection: Connection, campaign: str = "") -> Step:
    question, evidence = f"Is “{connection.name}” ready?", (Evidence("connection", connection.pk, connection.name),)
    if not connection.is_active:
        return Step(question, BAD, "It is not active.", "Switch it on.", evidence=evidence)
    if not connection.push_events:
        return Step(question, BAD, "Push Events is off.", "Switch it on.", evidence=evidence)
    if connection.held_at or connection.state in KEY_STATES:
        text = connection.state_detail or f"{connection.get_state_display()}."
        return Step(question, BAD, text, "Enter a working key at the connection.", connection.held_at, evidence)
    only = list(connection.campaigns.values_list("vrio_id", flat=True)[:50])
    if only and campaign and campaign not in only:
        text = f"Active, Push Events on, but campaign {campaign} is not among those it sends ({', '.join(only)})."
        return Step(question, BAD, text, "Add the campaign, or leave the list empty to send all.", None, evidence)
    limits = f" It sends only campaigns {', '.join(only)}." if only else " It sends all campaigns."
    return Step(question, GOOD, f"Active, Push Events on.{limits}", at=connection.checked_at, evidence=evidence)


def _campaign(event: Event) -> str:
    """The campaign of the event's order, "" where none is known."""
    if not event.order_id:
        return ""
    order = Order.objects.filter(source_id=event.source_id, vrio_id=event.order_id).first()
    return order.campaign_id if order else ""


# ── What became of it? ───────────────────────────────────────────────────────────────────────────────────────────────
def _messages(event: Event, rows: list[Delivery]) -> Step:
    question = "What does Klaviyo hear of it?"
    if rows:
        heard = ", ".join(dict.fromkeys(metric_name(row.metric) for row in rows))
        return Step(question, GOOD, f"{heard}.")
    if event.state == Event.State.DISPATCHED:
        return Step(question, UNSURE, "Nothing comes of this kind of event.")
    return Step(question, UNSURE, "Nothing so far.")


def _outcome(row: Delivery, now: datetime, *, clear: bool) -> Step:
    question = f"{metric_name(row.metric)} to {row.connection.name}"
    reason = reason_of(row) or Reason("", "", "")
    said = " ".join(dict.fromkeys(text for text in (reason.sentence, row.detail) if text))
    said = said if clear else mask_sentence(said)
    evidence, last = (Evidence("delivery", row.pk, row.unique_id),), _last(row)
    if row.state == Delivery.State.DELIVERED:
        return _accepted(question, row, last, evidence)
    if row.state == Delivery.State.SKIPPED and row.reason in TOLD_OTHERWISE:
        return Step(question, GOOD, f"Not sent of its own. {said}", "", row.settled_at or row.created_at, evidence)
    if row.state == Delivery.State.SKIPPED:
        return Step(question, BAD, f"Not sent. {said}", reason.advice, row.settled_at or row.created_at, evidence)
    answered = _answered(last)
    if row.state == Delivery.State.FAILED:
        return Step(question, BAD, f"Failed. {answered or said}", _advice(last, reason), row.settled_at, evidence)
    text = " ".join(filter(None, (_waiting(row, now), said, answered)))
    return Step(question, WAIT, text, reason.advice, row.next_attempt_at, evidence)


def _accepted(question: str, row: Delivery, last: Attempt | None, evidence: tuple[Evidence, ...]) -> Step:
    phone = " Without the phone number, which Klaviyo refused." if row.phone_dropped_at else ""
    if row.seen_at:
        return Step(question, GOOD, f"Seen in Klaviyo.{phone}", at=row.seen_at, evidence=evidence)
    request = f" Klaviyo's request id is {last.klaviyo_request_id}." if last and last.klaviyo_request_id else ""
    text = f"Accepted by Klaviyo.{phone}{request}"
    return Step(
        question,
        GOOD,
        text,
        "Klaviyo records it within minutes; “Look in Klaviyo” tells for sure.",
        row.settled_at,
        evidence,
    )


def _waiting(row: Delivery, now: datetime) -> str:
    if row.state == Delivery.State.SENDING:
        return "On its way right now."
    if row.next_attempt_at is None:
        return "Waiting." if row.state == Delivery.State.WAITING else "Queued."
    seconds = (row.next_attempt_at - now).total_seconds()
    return f"Waiting: the next try is in {span(seconds)}." if seconds > 0 else "Queued: it is due now."


def _answered(last: Attempt | None) -> str:
    if last is None:
        return ""
    verdict = BY_NAME.get(last.verdict)
    said = verdict.sentence if verdict else last.error
    return (
        f"Last answer: HTTP {last.status}. {said}" if last.status is not None else f"Last call: {said or 'no answer.'}"
    )


def _advice(last: Attempt | None, reason: Reason) -> str:
    verdict = BY_NAME.get(last.verdict) if last else None
    return verdict.advice if verdict else reason.advice


def _last(row: Delivery) -> Attempt | None:
    return max(row.attempts.all(), key=lambda attempt: attempt.pk, default=None)


# ── What it comes to ─────────────────────────────────────────────────────────────────────────────────────────────────
def _concluded(title: str, steps: list[Step], rows: list[Delivery]) -> Explanation:
    stopped = next((step for step in steps if step.tone == BAD), None)
    waiting = next((step for step in steps if step.tone == WAIT), None)
    told = [row for row in rows if row.reason not in TOLD_OTHERWISE]
    if rows and all(row.state == Delivery.State.DELIVERED for row in told):
        seen = bool(told) and all(row.seen_at for row in told)
        words = "All of it was seen in Klaviyo." if seen else "All of it was accepted by Klaviyo."
        return Explanation(title, tuple(steps), words, GOOD)
    if stopped:
        return Explanation(title, tuple(steps), stopped.answer, BAD)
    if waiting:
        return Explanation(title, tuple(steps), waiting.answer, WAIT)
    return Explanation(title, tuple(steps), steps[-1].answer, steps[-1].tone)


def _summed_up(title: str, steps: list[Step], parts: tuple[Explanation, ...]) -> Explanation:
    stopped = next((step for step in steps if step.tone == BAD), None)
    if stopped:
        return Explanation(title, tuple(steps), stopped.answer, BAD, parts)
    worst = next((part for tone in (BAD, WAIT) for part in parts if part.tone == tone), None)
    if worst:
        return Explanation(title, tuple(steps), f"{worst.title}: {worst.conclusion}", worst.tone, parts)
    return Explanation(title, tuple(steps), "Everything we know of was accepted by Klaviyo.", GOOD, parts)


def _rows(rows: QuerySet[Delivery]) -> list[Delivery]:
    slim = rows.select_related("connection").prefetch_related("attempts").defer("draft", "notes")
    return list(slim.order_by("pk")[:MOST_DELIVERIES])


def _slim(events: QuerySet[Event]) -> QuerySet[Event]:
    return events.defer("body", "digest")


def _of(event: Event) -> Evidence:
    return Evidence("event", event.pk, f"{event.webhook_event} {event.event_id}")
