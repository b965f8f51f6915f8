"""Keeps the mirror of the shop true from Facts, and answers what single events leave out.

Dispatch loads it for a batch, shows it one event after the other, asks it what is known, and saves it with the batch.
A late event fills what is empty and overwrites nothing newer; the rest follows from each fact's own time.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from connections.models import Merchant
from events.facts import SALES, Broken, Facts, Ignored, Kind, Known, Line, Person, Status
from events.history import Entry, entry_of
from events.lifetime import lifetime_value
from events.mirrored import Key, Rows
from events.models import Customer, Event, Order, Subscription, Transaction
from events.phones import to_e164
from events.profile import location, place
from events.vrio import read

FIRST_ORDER = timedelta(days=1)  # a customer made this shortly before a first order had none before


@dataclass(frozen=True, slots=True)
class Noted:
    """What the mirror learned from one event besides its rows.

    `named` is a customer who had been a stub. `successor` is the event that a late status makes look different.
    """

    customer: Customer | None = None
    is_named_now: bool = False
    has_ended: bool = False
    status_entry: Entry | None = None
    successor: Entry | None = None
    learned_campaign_of: str = ""


class Mirror:
    """The mirror of one merchant's shop, as far as a batch of events touches it.

    `note` every event in order of time, ask `known` right after, and `save` once. Nothing is written before that.
    """

    def __init__(self, merchant: Merchant, told: Iterable[tuple[Event, Facts]], *, now: datetime, locks: bool) -> None:
        self.merchant, self.now = merchant, now
        self.rows = Rows(merchant, list(told), locks=locks)
        self.facts: dict[Key, Facts] = {}

    def save(self) -> None:
        """Write what changed; call it inside the batch's transaction."""
        self.rows.save()

    # ── Learning ─────────────────────────────────────────────────────────────────────────────────────────────────────

    def note(self, event: Event, facts: Facts) -> Noted:
        """Take in one event. Taking it in again changes nothing."""
        customer = self.customer_of(event, facts)
        had_active = bool(customer and self.active(customer))
        is_named_now = bool(customer and self.note_person(customer, facts))
        known_order = self.rows.orders.get((event.source_id, facts.order.order_id))
        had_campaign = bool(known_order and known_order.campaign_id)
        order = self.note_order(event.source_id, customer, facts)
        self.note_transaction(event, customer, facts, order)
        entry, successor = self.note_subscriptions(event, customer, facts)
        self.rows.note_campaign(facts.campaign_id, facts.campaign_name)
        self.rows.note_products(facts.order.lines)
        return Noted(
            customer=customer,
            is_named_now=is_named_now,
            has_ended=had_active and customer is not None and not self.active(customer),
            status_entry=entry,
            successor=successor,
            learned_campaign_of=facts.order.order_id if facts.campaign_id and not had_campaign else "",
        )

    def customer_of(self, event: Event, facts: Facts) -> Customer | None:
        """The customer a fact belongs to, by its own word or by its order's."""
        if facts.customer_id:
            return self.rows.customer((event.source_id, facts.customer_id[:50]))
        order = self.rows.orders.get((event.source_id, facts.order.order_id))
        return order.customer if order else None

    def note_person(self, customer: Customer, facts: Facts) -> bool:
        """True if this gave a stub its e-mail address."""
        was_stub = not customer.email
        is_newer = customer.facts_at is None or facts.told_at >= customer.facts_at
        tracking = dict(facts.order.tracking)
        if tracking and (is_newer or not customer.tracking) and tracking != customer.tracking:
            customer.tracking = tracking
            self.rows.touch(customer)
        person = facts.customer
        if person is None:
            return False
        self.judge_history(customer, person, facts)
        self.fill(customer, person, is_newer)
        customer.facts_at = max(customer.facts_at or facts.told_at, facts.told_at)
        self.rows.touch(customer)
        if was_stub and customer.email:
            customer.named_at = self.now
            return True
        return False

    def judge_history(self, customer: Customer, person: Person, facts: Facts) -> None:
        """Whether all their payments are known here: a value that is too small is worse than none."""
        if customer.has_full_history or customer.facts_at is not None:
            return
        created_at, source = person.created_at, self.rows.source(customer.source_id)
        if source.history_imported_at or (created_at and created_at >= source.created_at):
            customer.has_full_history = True
        elif is_beginning(facts):
            customer.has_full_history = created_at is None or created_at >= facts.happened_at - FIRST_ORDER

    def fill(self, customer: Customer, person: Person, is_newer: bool) -> None:
        words = {
            "email": person.email[:254],
            "first_name": person.first_name[:100],
            "last_name": person.last_name[:100],
            "phone": person.phone[:60],
            "location": dict(location(person.address)),
        }
        for name, value in words.items():
            if value and (is_newer or not getattr(customer, name)):
                setattr(customer, name, value)
        if person.phone and customer.phone == words["phone"]:
            customer.phone_e164 = to_e164(person.phone, person.country, default_country=self.merchant.country) or ""
        if is_newer:
            customer.clv = person.clv
            customer.active_subscriber = person.active_subscriber

    def note_order(self, source_id: int, customer: Customer | None, facts: Facts) -> Order | None:
        if not facts.order.order_id:
            return None
        order = self.rows.order((source_id, facts.order.order_id[:50]))
        before = (order.campaign_id, order.is_test, order.tracking, order.customer_id, order.customer)
        is_newer = order.facts_at is None or facts.told_at >= order.facts_at
        if facts.campaign_id and (is_newer or not order.campaign_id):
            order.campaign_id = facts.campaign_id[:50]
        if facts.is_test is not None and (is_newer or order.is_test is None):
            order.is_test = facts.is_test
        if facts.order.tracking and (is_newer or not order.tracking):
            order.tracking = dict(facts.order.tracking)
        if customer and order.customer is None:
            order.customer = customer
        if before != (order.campaign_id, order.is_test, order.tracking, order.customer_id, order.customer):
            order.facts_at = max(order.facts_at or facts.told_at, facts.told_at)
            self.rows.touch(order)
        return order

    def note_transaction(self, event: Event, customer: Customer | None, facts: Facts, order: Order | None) -> None:
        told = facts.transaction
        if told is None or facts.kind is not Kind.TRANSACTION_COMPLETED:
            return
        row = self.rows.transaction((event.source_id, told.transaction_id[:50]))
        if row.facts_at is not None and facts.told_at < row.facts_at:
            return
        self.facts[event.source_id, told.transaction_id] = facts
        row.customer = customer or row.customer
        row.order_id = facts.order.order_id[:50] or row.order_id
        row.parent_id = told.parent_id[:50] or row.parent_id
        row.type = told.type.value
        row.is_approved = not told.is_declined
        row.is_test = bool(facts.is_test if facts.is_test is not None else order and order.is_test)
        row.amount = None if told.total is None else round(told.total, 2)
        row.currency = facts.order.currency or self.merchant.currency
        row.completed_at = facts.happened_at
        row.event = event
        row.facts_at = facts.told_at
        self.rows.touch(row)

    def note_subscriptions(
        self, event: Event, customer: Customer | None, facts: Facts
    ) -> tuple[Entry | None, Entry | None]:
        """The entry this event adds to a status history, and the entry after it that must be judged again."""
        if facts.subscription:
            return self.note_offer(event, customer, facts)
        is_sale = bool(facts.transaction and facts.transaction.type in SALES and not facts.transaction.is_declined)
        if is_sale or facts.kind is Kind.ORDER_UPDATED:
            for line in facts.order.lines:
                if line.order_offer_id and line.is_recurring:
                    self.note_line(event, customer, facts, line, is_sale=is_sale)
        return None, None

    def note_offer(self, event: Event, customer: Customer | None, facts: Facts) -> tuple[Entry | None, Entry | None]:
        told = facts.subscription
        assert told is not None
        key = (event.source_id, told.order_offer_id[:50])
        row, history = self.rows.subscription(key), self.rows.history(key)
        entry = entry_of(event, facts)
        if row.facts_at is None or facts.told_at >= row.facts_at:
            row.status = entry.status if entry else row.status
            row.is_recurring = told.is_recurring is not False
            self.note_offer_row(row, event, customer, facts, told.line, told.next_charge_on)
        if entry is None:
            return None, None
        history.note(entry)
        return entry, history.successor(entry)

    def note_line(self, event: Event, customer: Customer | None, facts: Facts, line: Line, *, is_sale: bool) -> None:
        """A bought item keeps its subscription's dates fresh; only a first purchase begins its history."""
        key = (event.source_id, line.order_offer_id[:50])
        row = self.rows.subscription(key)
        next_charge = line.next_charge_on or (facts.transaction.next_charge_on if facts.transaction else None)
        if row.facts_at is None or facts.told_at >= row.facts_at:
            row.status = line.status or row.status or Status.ACTIVE
            row.is_recurring = True
            self.note_offer_row(row, event, customer, facts, line, next_charge)
        if is_sale and facts.transaction and facts.transaction.cycle == "1":
            self.rows.history(key).note(Entry(facts.happened_at.astimezone(UTC), 0, event.pk or 0, Status.ACTIVE, True))

    def note_offer_row(
        self, row: Subscription, event: Event, customer: Customer | None, facts: Facts, line: Line, next_on: date | None
    ) -> None:
        row.customer = customer or row.customer
        row.order_id = facts.order.order_id[:50] or row.order_id
        row.offer_id = line.offer_id[:50] or row.offer_id
        row.next_charge_on = next_on or row.next_charge_on
        row.facts_at = facts.told_at
        row.event = event
        self.rows.touch(row)

    # ── Answering ────────────────────────────────────────────────────────────────────────────────────────────────────

    def known(self, event: Event, facts: Facts, noted: Noted | None = None) -> Known:
        """What is known besides what the event says, as of now. Without `noted` for an event taken in before."""
        customer = noted.customer if noted else self.customer_of(event, facts)
        original = self.original(event.source_id, facts)
        entry = noted.status_entry if noted else entry_of(event, facts)
        order = self.rows.orders.get((event.source_id, facts.order.order_id))
        cleared = bool(noted and noted.has_ended and customer and customer.has_full_history)
        return Known(
            customer=person_of(customer) if customer and customer.facts_at else None,
            tracking=customer.tracking if customer else {},
            clv=self.lifetime_value(customer) if customer else None,
            next_charge_on=self.next_charge_on(customer) if customer else None,
            next_charge_is_cleared=cleared,
            active_subscriber=self.active_subscriber(customer) if customer else None,
            original=original,
            status_before=self.status_before(event.source_id, facts, entry),
            is_first_sight=bool(customer and customer.email and customer.announced_at is None),
            campaign_id=self.campaign_of(event.source_id, facts) or (original.campaign_id if original else ""),
            is_test=order.is_test if order else None,
            products=self.rows.known_products,
        )

    def people(self) -> list[Person]:
        """Everybody this batch is about, as far as they are known."""
        return [person_of(customer) for customer in self.rows.customers.values() if customer.facts_at]

    def announce(self, customer: Customer) -> None:
        """Klaviyo has been, or is about to be, told that this customer exists."""
        if customer.announced_at is None and customer.email:
            customer.announced_at = self.now
            self.rows.touch(customer)

    def campaign_of(self, source_id: int, facts: Facts) -> str:
        order = self.rows.orders.get((source_id, facts.order.order_id))
        return facts.campaign_id or (order.campaign_id if order else "")

    def status_before(self, source_id: int, facts: Facts, entry: Entry | None) -> Status | None:
        if entry is None or facts.subscription is None:
            return None
        return self.rows.history((source_id, facts.subscription.order_offer_id[:50])).status_before(entry)

    def active(self, customer: Customer) -> list[Subscription]:
        return [row for row in self.rows.subscriptions_of(customer) if row.is_recurring and row.status == Status.ACTIVE]

    def next_charge_on(self, customer: Customer) -> date | None:
        return min((row.next_charge_on for row in self.active(customer) if row.next_charge_on), default=None)

    def active_subscriber(self, customer: Customer) -> bool | None:
        """True as soon as one is active; False only where no other can be; else Vrio's last word, if nothing since."""
        if self.active(customer):
            return True
        changed = max((row.facts_at for row in self.rows.subscriptions_of(customer)), default=None)
        if (
            customer.active_subscriber is not None
            and customer.facts_at
            and not (changed and changed > customer.facts_at)
        ):
            return customer.active_subscriber
        return False if customer.has_full_history else None

    def lifetime_value(self, customer: Customer) -> Decimal | None:
        """Vrio's own figure where the newest fact carries one, ours where all payments are known, else none."""
        payments = self.rows.payments_of(customer)
        paid = max((row.facts_at for row in payments), default=None)
        if customer.clv is not None and customer.facts_at and not (paid and paid > customer.facts_at):
            return customer.clv
        return lifetime_value(payments) if customer.has_full_history else None

    def original(self, source_id: int, facts: Facts) -> Facts | None:
        """The purchase behind a shipment: the payment that it names, else its order's last approved sale."""
        if facts.shipment is None:
            return None
        row = self.rows.payment_behind(source_id, facts)
        original = self.facts_of(row) if row else None
        if original:
            self.rows.need_products(original.order.lines)
        return original

    def facts_of(self, row: Transaction) -> Facts | None:
        """What a payment's own event said; None when its body is gone."""
        key = (row.source_id, row.vrio_id)
        if key not in self.facts:
            try:
                facts = read(self.rows.body_of(row), time_zone=self.merchant.time_zone)
            except Broken:
                return None
            if isinstance(facts, Ignored):
                return None
            self.facts[key] = facts
        return self.facts[key]


def is_beginning(facts: Facts) -> bool:
    """Whether a customer may begin with this: their creation, unless a record of history tells it, or a first cycle."""
    if facts.kind is Kind.CUSTOMER_CREATED:
        return not facts.event_id.startswith("rest:")
    return facts.transaction is not None and facts.transaction.cycle == "1"


def person_of(customer: Customer) -> Person:
    """The mirrored customer as a fact; what Vrio said of value and status is answered apart."""
    return Person(
        customer_id=customer.vrio_id,
        email=customer.email,
        first_name=customer.first_name,
        last_name=customer.last_name,
        phone=customer.phone_e164 or customer.phone,
        country=customer.location.get("country", ""),
        address=place(customer.location),
    )
