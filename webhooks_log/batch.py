"""One batch of a merchant's events, from stored bodies to Deliveries, in one transaction.

Between the inbox and the lanes. Everything is read in a few statements, decided in memory and written in a few.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import Q

from connections.models import Connection, Merchant
from connections.pipelining import Pipeline
from connections.standing import Among, Given, Standing
from connections.writing import update_rows
from events.facts import Broken, Facts, Ignored, Known, Message, Order, Skipped
from events.history import Entry
from events.mirror import Mirror, Noted
from events.models import Customer, Event, Suppression
from events.suppression import digests, follow
from events.translate import translate
from events.vrio import read
from webhooks_log import counts, erasure, trial_message
from webhooks_log.judge import Gatekeeper, is_erased, is_from_a_test_link, skipped
from webhooks_log.models import Delivery
from webhooks_log.outbox import Draft, Outbox
from webhooks_log.release import UNNAMED, UNPLACED, facts_of, release

JUDGED = (
    "state",
    "reason",
    "detail",
    "dispatched_at",
    "happened_at",
    "customer",
    "order_id",
    "transaction_id",
    "order_offer_id",
    "shipment_id",
    "tracking_number",
)
RELEASED = "released"  # the owner let a held event go
# A customer is of one merchant. To say so besides would offer PostgreSQL the merchant's rows to look through.
UNNAMED_OF = Standing(lambda: Delivery.objects.filter(UNNAMED, Among("customer_id", "customers")).values_list("pk"))
UNPLACED_OF = Standing(
    lambda: Delivery.objects.filter(
        UNPLACED, ~Q(order_id=""), Among("order_id", "orders"), merchant=Given("merchant")
    ).values_list("pk")
)
LIVING = Standing(lambda: Connection.objects.living().filter(merchant=Given("merchant")).order_by("pk"))
CHOSEN = Standing(
    lambda: Connection.campaigns.through.objects.filter(connection__merchant=Given("merchant")).values_list(
        "connection_id", "campaign__vrio_id"
    )
)
ANY_ERASED = Standing(lambda: Suppression.objects.filter(merchant=Given("merchant")).values_list("pk")[:1])


@dataclass(frozen=True, slots=True)
class Told:
    """An event that could be read."""

    event: Event
    facts: Facts


class Batch:
    """What becomes of some events of one merchant. `decide` writes nothing but stubs, `save` everything."""

    def __init__(self, merchant: Merchant, events: Sequence[Event], *, now: datetime, locks: bool = True) -> None:
        self.merchant, self.events, self.now = merchant, events, now
        self.received = sum(event.dispatched_at is None and not trial_message.is_test(event) for event in events)
        self.told = sorted((told for event in events if (told := self.open(event))), key=turn)
        recipients = Recipients.of(merchant)
        self.erased = recipients.erased_among(self.told)
        self.erased |= {digests(event.source_id, vrio_id, "")[0]: row for row, event, vrio_id in self.known_besides()}
        self.outbox = Outbox(
            merchant,
            recipients.gatekeepers(self.erased),
            now=now,
            pause=timedelta(seconds=settings.PROFILE_WAIT_SECONDS),
        )
        tests = [event for event in events if trial_message.is_test(event)]
        self.outbox.owed += [owed for event in tests if (owed := trial_message.owed(event, merchant, now))]
        living = [(told.event, told.facts) for told in self.told if not self.was_erased(told.event, told.facts)]
        self.mirror = Mirror(merchant, living, now=now, locks=locks)
        self.outbox.expect([*self.mirror.people(), *(told.facts.customer for told in self.told)])
        self.named: set[int] = set()
        self.forgotten: list[tuple[Event, Facts]] = []  # of people who were erased: judged, noted, emptied
        self.placed: set[str] = set()

    def decide(self) -> list[Draft]:
        """Judge every event, in order of time."""
        for told in self.told:
            self.judge(told.event, told.facts)
        return self.outbox.owed

    def save(self) -> set[int]:
        """Write mirror, Deliveries and events; the accounts whose lanes have something to do."""
        self.mirror.save()
        accounts = self.outbox.save()
        self.forget()
        with Pipeline():
            update_rows(self.events, JUDGED)
            counts.add(self.counted(), self.now)
            unnamed = UNNAMED_OF.ask(customers=self.named)
            unplaced = UNPLACED_OF.ask(merchant=self.merchant.pk, orders=self.placed)
        return accounts | self.let_go({pk for (pk,) in (*unnamed.rows(), *unplaced.rows())})

    def counted(self) -> Counter[counts.What]:
        """For the hourly roll-up: events seen for the first time, and what of them waits or is not sent, by reason."""
        merchant = self.merchant.pk
        found: Counter[counts.What] = Counter({(merchant, None, "", "received"): self.received})
        for row in (owed.row for owed in self.outbox.owed):
            if row.created_at != self.now:
                continue
            if row.state == Delivery.State.SKIPPED:
                found[merchant, row.connection_id, row.metric, "skipped"] += 1
                found[merchant, None, row.reason, "skip_reason"] += 1
            elif row.state == Delivery.State.WAITING and row.reason != "profile_pause":
                found[merchant, row.connection_id, row.metric, "waiting"] += 1
        return +found

    # ── One event ────────────────────────────────────────────────────────────────────────────────────────────────────

    def open(self, event: Event) -> Told | None:
        """Read an event; one that cannot be, is not known, is held or is our own test gets its end here."""
        if trial_message.is_test(event):
            self.end(event, Event.State.DISPATCHED)
            return None
        try:
            facts = read(bytes(event.body), time_zone=self.merchant.time_zone)
        except Broken as broken:
            self.end(event, Event.State.BROKEN, "unreadable", f"{broken.field}: {broken.why}")
            return None
        if isinstance(facts, Ignored):
            self.end(event, Event.State.IGNORED, facts.reason, facts.sentence)
            return None
        name(event, facts)
        is_live = not (event.history or event.backfill or event.reason == RELEASED)
        if is_live and is_from_a_test_link(facts, settings.TEST_LINK_DAYS):
            self.end(event, Event.State.HELD, "test_link", HELD.format(facts.judged_at))
            return None
        return Told(event, facts)

    def judge(self, event: Event, facts: Facts) -> None:
        if self.was_erased(event, facts) or self.is_about_the_erased(event, facts):
            self.pass_over(event, facts)
            return
        noted = self.mirror.note(event, facts)
        event.customer = noted.customer
        if event.history:
            self.end(event, Event.State.DISPATCHED, "history", "It fills the mirror of the shop; nothing is sent.")
        else:
            self.owe(event, noted.customer, facts, self.mirror.known(event, facts, noted))
            self.remember(noted)
            if noted.successor:
                self.judge_again(noted.successor)
        if noted.customer:
            self.mirror.announce(noted.customer)

    def was_erased(self, event: Event, facts: Facts) -> bool:
        """Whether it names, by address or by Vrio's id, somebody who was erased and is not to be told of again."""
        return is_erased(self.erased, event.source_id, facts, facts.customer.email if facts.customer else "")

    def is_about_the_erased(self, event: Event, facts: Facts) -> bool:
        """Whether it names nobody, but an order of somebody who was erased."""
        customer = self.mirror.customer_of(event, facts)
        return customer is not None and customer.erased_at is not None

    def pass_over(self, event: Event, facts: Facts) -> None:
        """Note what happened without whom it happened to; none of it goes out, now or later."""
        self.forgotten.append((event, facts))
        event.tracking_number = ""
        before = len(self.outbox.owed)
        self.owe(event, None, anonymous(facts), Known())
        for owed in self.outbox.owed[before:]:
            if owed.row.state == Delivery.State.WAITING:
                self.outbox.state(owed.row, skipped("erased"))

    def forget(self) -> None:
        """Empty what came of people who were erased, and remember the ids under which Vrio knows them besides."""
        Event.objects.filter(pk__in=[event.pk for event, _ in self.forgotten]).update(body=b"")
        forgotten = {event.pk: facts for event, facts in self.forgotten}
        for row, event, vrio_id in self.known_besides():
            if event.pk in forgotten:
                follow(row, event.source_id, vrio_id)
                email = forgotten[event.pk].customer.email
                erasure.erase_stub(self.merchant, email, event.source_id, vrio_id[:50])

    def known_besides(self) -> list[tuple[Suppression, Event, str]]:
        """Under which ids of Vrio's these events name people who were erased by address."""
        if not self.erased:
            return []
        named = [(told.event, told.facts, told.facts.customer) for told in self.told if told.facts.customer_id]
        return [
            (row, event, facts.customer_id)
            for event, facts, person in named
            if person and person.email and (row := self.erased.get(digests(0, "", person.email)[0]))
        ]

    def owe(self, event: Event, customer: Customer | None, facts: Facts, known: Known) -> None:
        said = translate(facts, known)
        if isinstance(said, Skipped):
            self.end(event, Event.State.IGNORED, said.reason, said.sentence)
        elif not self.outbox.gatekeepers:
            self.end(event, Event.State.IGNORED, "no_connection", "There was no connection to Klaviyo yet.")
        else:
            self.end(event, Event.State.DISPATCHED)
            for message in said:
                self.outbox.owe(event, customer, facts, known, message)

    def remember(self, noted: Noted) -> None:
        """Whom and what this event named, for those who wait for it."""
        if noted.is_named_now and noted.customer:
            self.named.add(noted.customer.pk)
        if noted.learned_campaign_of:
            self.placed.add(noted.learned_campaign_of)

    def judge_again(self, entry: Entry) -> None:
        """A late status changed what came before this one; what it says now is owed, what it said is not unsaid."""
        event = Event.objects.filter(pk=entry.event_id).first()
        facts = facts_of(event, self.merchant) if event else None
        if event is None or facts is None or event.history:
            return
        known = self.mirror.known(event, facts)
        said = translate(facts, known)
        if not isinstance(said, Skipped):
            for message in said:
                self.owe_late(event, facts, known, message)

    def owe_late(self, event: Event, facts: Facts, known: Known, message: Message) -> None:
        if message.metric is not None:
            late = replace(message, notes=(*message.notes, "Told after an earlier change arrived late."))
            self.outbox.owe(event, self.mirror.customer_of(event, facts), facts, known, late)

    def end(self, event: Event, state: str, reason: str = "", detail: str = "") -> None:
        event.state, event.reason, event.detail, event.dispatched_at = state, reason, detail, self.now

    # ── Those who waited ─────────────────────────────────────────────────────────────────────────────────────────────

    def let_go(self, waiting: set[int]) -> set[int]:
        """Release what waited for a name or a campaign that this batch has told; nearly always nothing."""
        if not waiting:
            return set()
        outbox = Outbox(self.merchant, self.outbox.gatekeepers, now=self.now, pause=self.outbox.pause)
        return release(Delivery.objects.filter(pk__in=waiting).select_related("event").order_by("pk"), outbox)


class Reopened:
    """What is needed to tell anew what rows owe: the facts of their events, the mirror as it is now, an outbox.

    The rows are of one merchant and read with their events; facts are missing where Vrio's event has expired.
    """

    def __init__(self, merchant: Merchant, rows: Iterable[Delivery], *, now: datetime) -> None:
        read = {row.event_id: Told(row.event, facts) for row in rows if (facts := facts_of(row.event, merchant))}
        self.facts = {event: told.facts for event, told in read.items()}
        self.mirror = Mirror(merchant, [(told.event, told.facts) for told in read.values()], now=now, locks=False)
        recipients = Recipients.of(merchant)
        self.outbox = Outbox(
            merchant, recipients.gatekeepers(recipients.erased_among(read.values())), now=now, pause=timedelta()
        )
        self.outbox.expect(self.mirror.people())


HELD = (
    "It looks like a click on Vrio's Test link: the record is of {:%Y-%m-%d}. Release it if it is real, or discard it."
)


def turn(told: Told) -> tuple[bool, bool, datetime, str, int, int]:
    """Live before history, then the event's time; ties by Vrio's id within one type, else by arrival."""
    event, facts = told.event, told.facts
    vrio_id = int(event.event_id) if event.event_id.isdigit() else 0
    return event.history, event.backfill, facts.told_at, event.webhook_type, vrio_id, event.pk or 0


def name(event: Event, facts: Facts) -> None:
    """What an event is about, so that it can be found."""
    event.happened_at = facts.happened_at
    event.order_id = facts.order.order_id[:50]
    event.transaction_id = facts.transaction.transaction_id[:50] if facts.transaction else ""
    event.order_offer_id = facts.subscription.order_offer_id[:50] if facts.subscription else ""
    event.shipment_id = facts.shipment.shipment_id[:50] if facts.shipment else ""
    event.tracking_number = facts.shipment.tracking_number[:100] if facts.shipment else ""


def anonymous(facts: Facts) -> Facts:
    """What happened, without the person it happened to."""
    return replace(facts, customer=None, order=Order(order_id=facts.order.order_id))


@dataclass(frozen=True, slots=True)
class Recipients:
    """Who is to be told: a merchant's connections, the campaigns that each has chosen, and whether anybody was ever
    erased."""

    merchant: Merchant
    living: list[Connection]
    chosen: dict[int, set[str]]
    any_erased: bool

    @classmethod
    def of(cls, merchant: Merchant) -> "Recipients":
        with Pipeline():
            living = LIVING.ask(merchant=merchant.pk)
            campaigns = CHOSEN.ask(merchant=merchant.pk)
            erased = ANY_ERASED.ask(merchant=merchant.pk)
        chosen: dict[int, set[str]] = defaultdict(set)
        for connection, vrio_id in campaigns.rows():
            chosen[connection].add(vrio_id)
        return cls(merchant, living.models(), chosen, bool(erased.rows()))

    def gatekeepers(self, erased: dict[str, Suppression]) -> list[Gatekeeper]:
        return [Gatekeeper(row, frozenset(self.chosen.get(row.pk, ())), erased) for row in self.living]

    def erased_among(self, told: Iterable[Told]) -> dict[str, Suppression]:
        """Who among these people was erased, by digest."""
        if not self.any_erased:
            return {}
        asked = [
            digest
            for one in told
            for digest in digests(
                one.event.source_id, one.facts.customer_id, one.facts.customer.email if one.facts.customer else ""
            )
        ]
        return {row.digest: row for row in Suppression.objects.filter(merchant=self.merchant, digest__in=asked)}
