"""Collects what a batch owes and writes it: each message once per connection, whatever was told before.

Dispatch fills it event by event and saves it with the batch.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.db.models import Q

from connections.klaviyo.payloads import LimitExceeded, Prepared, ProfileContent, Rendered, prepare, render
from connections.making import new
from connections.models import Merchant
from connections.pipelining import Pipeline
from connections.standing import Among, Standing
from connections.writing import insert_rows, update_rows
from events.facts import Facts, Known, Message, Person
from events.models import Customer, Event
from events.phones import to_e164
from events.profile import event_content, profile_of
from webhooks_log import refused_phones
from webhooks_log.judge import QUEUED, SKIPPED, WAITING, Gatekeeper, Judgement, skipped
from webhooks_log.models import Delivery
from webhooks_log.packing import packed_body
from webhooks_log.replaced import replacing_bodies

Key = tuple[int, str, str]  # connection, metric, unique id

SKIPPED_ROWS = Q(state=SKIPPED)
PAST = ("pk", "event_id", "connection_id", "metric", "unique_id", "state", "created_at")
TOLD = Standing(
    lambda: Delivery.objects.filter(
        ~SKIPPED_ROWS, Among("connection_id", "connections"), Among("metric", "metrics"), Among("unique_id", "ids")
    ).only(*PAST)
)
SKIPPED_BEFORE = Standing(lambda: Delivery.objects.filter(SKIPPED_ROWS, Among("event_id", "events")).only(*PAST))
PAUSING = Standing(
    lambda: Delivery.objects.filter(Among("customer_id", "customers"), state=WAITING, reason="profile_pause")
)
WRITTEN = (
    "campaign_id",
    "path",
    "body",
    "email",
    "notes",
    "state",
    "reason",
    "detail",
    "rank",
    "next_attempt_at",
    "backfill",
    "identity_only",
    "updated_at",
)


@dataclass(slots=True)
class Draft:
    """A Delivery in the making: the row, and the bytes it will send."""

    row: Delivery
    body: bytes | None = None
    was_skipped: bool = False
    clears: bool = False  # a profile that says what no event can say, so that no event carries it

    @property
    def key(self) -> Key:
        return self.row.connection_id, self.row.metric, self.row.unique_id

    @property
    def is_pausing(self) -> bool:
        return self.row.reason == "profile_pause" and self.row.state == WAITING


class Outbox:
    """What one batch owes to a merchant's connections."""

    def __init__(self, merchant: Merchant, gatekeepers: list[Gatekeeper], *, now: datetime, pause: timedelta) -> None:
        self.merchant, self.gatekeepers, self.now, self.pause = merchant, gatekeepers, now, pause
        self.owed: list[Draft] = []
        self.refused: dict[int, set[str]] = {}
        self.last_profile: tuple[Facts, Known, set[str] | None, tuple[ProfileContent, tuple[str, ...]]] | None = None
        self.last_prepared: tuple[ProfileContent, Prepared] | None = None

    def expect(self, people: Iterable[Person | None]) -> None:
        """Look up in one go which of these people's numbers Klaviyo has refused."""
        numbers = {
            number
            for person in people
            if person and person.phone
            if (number := to_e164(person.phone, person.country, default_country=self.merchant.country))
        }
        accounts = {keeper.connection.account_id for keeper in self.gatekeepers}
        self.refused = refused_phones.refused(accounts, numbers, now=self.now)

    def keeper_of(self, row: Delivery) -> Gatekeeper | None:
        """Who judges for the row's connection; nobody once that is archived."""
        return next((keeper for keeper in self.gatekeepers if keeper.connection.pk == row.connection_id), None)

    def owe(self, event: Event, customer: Customer | None, facts: Facts, known: Known, message: Message) -> list[Draft]:
        """One Delivery per connection, judged and rendered; nothing is written yet."""
        made = [self.make(keeper, event, customer, facts, known, message) for keeper in self.gatekeepers]
        self.owed += made
        return made

    def make(
        self, keeper: Gatekeeper, event: Event, customer: Customer | None, facts: Facts, known: Known, message: Message
    ) -> Draft:
        row = new(
            Delivery,
            merchant_id=self.merchant.pk,
            connection_id=keeper.connection.pk,
            account_id=keeper.connection.account_id,
            event=event,
            customer=customer,
            metric=message.metric or "",
            unique_id=(message.unique_id if message.metric else f"profile:{event.pk}")[:255],
            order_id=facts.order.order_id[:50],
            rank=Delivery.Rank.BACKLOG if event.backfill else Delivery.Rank.LIVE,
            backfill=event.backfill,
            identity_only=event.backfill,
            happened_at=message.happened_at,
            created_at=self.now,
        )
        owed = Draft(row, clears=message.metric is None and known.next_charge_is_cleared)
        self.fill(owed, keeper, event.source_id, facts, known, message)
        if owed.row.state == QUEUED and message.metric is None and not owed.clears:
            row.state, row.reason, row.next_attempt_at = WAITING, "profile_pause", self.now + self.pause
        return owed

    def fill(
        self, owed: Draft, keeper: Gatekeeper, source_id: int, facts: Facts, known: Known, message: Message
    ) -> None:
        """Judge a row and, if it may go, give it its path, bytes, address and notes."""
        row = owed.row
        row.campaign_id = known.campaign_id[:50]
        profile, notes = self.profile(row.account_id, facts, known)
        judgement = keeper.judge(source_id, facts, known, message, profile.email)
        if judgement.state == QUEUED:
            try:
                call = self.rendered(row, profile, message)
                row.path, row.email, owed.body = call.path, profile.email[:254], call.body
                notes += call.notes
            except LimitExceeded as exceeded:
                judgement = skipped("outside_time" if exceeded.limit == "time" else "too_large", exceeded.sentence)
        row.notes = [*message.notes, *notes] if judgement.state != SKIPPED else []
        self.state(row, judgement)

    def state(self, row: Delivery, judgement: Judgement) -> None:
        row.state, row.reason, row.detail = judgement.state, judgement.reason, judgement.detail
        row.next_attempt_at = self.now if judgement.state == QUEUED else None
        row.updated_at = self.now

    def profile(self, account_id: int, facts: Facts, known: Known) -> tuple[ProfileContent, tuple[str, ...]]:
        """Of whom this event is told; the messages of one event share it, unless an account refused the number."""
        refused = self.refused.get(account_id)
        same = self.last_profile and self.last_profile[0] is facts and self.last_profile[1] is known
        if self.last_profile is None or not same or self.last_profile[2] != refused:
            told = profile_of(facts, known, country=self.merchant.country, refused_phones=refused or ())
            self.last_profile = (facts, known, refused, told)
        return self.last_profile[3]

    def rendered(self, row: Delivery, profile: ProfileContent, message: Message) -> Rendered:
        if self.last_prepared is None or self.last_prepared[0] is not profile:
            self.last_prepared = (profile, prepare(profile))
        person = ProfileContent(email=profile.email) if row.identity_only else self.last_prepared[1]
        content = event_content(message, currency=self.merchant.currency)
        return render(content, person, backfill=row.backfill, now=self.now)

    # ── Once ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def save(self) -> set[int]:
        """Write what is new; the accounts whose lanes have something to do now."""
        if not self.owed:
            return set()
        told, skipped_before, pausing = self.past()
        self.merge_with(told, skipped_before)
        self.let_events_carry_profiles(pausing)
        return write(self.owed)

    def past(self) -> tuple[list[Delivery], list[Delivery], list[Delivery]]:
        """Rows that may speak of the same things: told ones by their key, skipped ones by their event; and profiles
        that pause for these customers."""
        rows = [owed.row for owed in self.owed]
        with Pipeline():
            told = TOLD.ask(
                connections={row.connection_id for row in rows},
                metrics={row.metric for row in rows},
                ids={row.unique_id for row in rows},
            )
            skipped_before = SKIPPED_BEFORE.ask(events={row.event_id for row in rows if row.event_id})
            pausing = PAUSING.ask(customers={row.customer_id for row in rows if row.customer_id})
        return told.models(), skipped_before.models(), pausing.models()

    def merge_with(self, told_before: list[Delivery], skipped_before: list[Delivery]) -> None:
        """What was told stays told; what this event was skipped with before is judged anew in the same row."""
        told = {key_of(row): row for row in told_before}
        mine = {(row.event_id, *key_of(row)): row for row in skipped_before}
        kept: list[Draft] = []
        for owed in self.owed:
            first = told.get(owed.key)
            if first and first.event_id == owed.row.event_id:
                continue
            if first and owed.row.state != SKIPPED:
                already_told(owed, first)
            old = mine.pop((owed.row.event_id, *owed.key), None)
            if old:
                owed.row.pk, owed.row._state.adding, owed.row.created_at = old.pk, False, old.created_at
            if owed.row.state != SKIPPED:
                told[owed.key] = owed.row
            kept.append(owed)
        self.owed = kept

    def let_events_carry_profiles(self, pausing: list[Delivery]) -> None:
        """A profile that still pauses needs no call of its own when an event of its customer goes now."""
        carriers = {
            (owed.row.connection_id, owed.row.customer_id): owed.row
            for owed in self.owed
            if owed.row.metric and owed.row.state == QUEUED and owed.row.customer_id and not owed.row.identity_only
        }
        for owed in self.owed:
            carrier = carriers.get((owed.row.connection_id, owed.row.customer_id))
            if carrier and owed.is_pausing:
                carried(owed.row, carrier, self.now)
                owed.body = None
        for row in pausing:
            carrier = carriers.get((row.connection_id, row.customer_id))
            if carrier:
                carried(row, carrier, self.now)
                self.owed.append(Draft(row))


def write(owed: Iterable[Draft]) -> set[int]:
    """Bodies first, then the rows that name them; the accounts with a row that is due."""
    rows = list(owed)
    carriers = [(entry.row, entry.body) for entry in rows if entry.body is not None]
    bodies = [packed_body(body) for _, body in carriers]
    insert_rows(bodies)
    for (row, _), body in zip(carriers, bodies, strict=True):
        row.body = body
    known = [entry.row for entry in rows if entry.row.pk is not None]
    insert_rows([entry.row for entry in rows if entry.row.pk is None])
    with replacing_bodies([row.pk for row in known]):
        update_rows(known, WRITTEN)
    return {entry.row.account_id for entry in rows if entry.row.state == QUEUED}


def key_of(row: Delivery) -> Key:
    return row.connection_id, row.metric, row.unique_id


def already_told(owed: Draft, first: Delivery) -> None:
    detail = f"Klaviyo has been told this already by event {first.event_id}."
    row = owed.row
    row.state, row.reason, row.detail, row.next_attempt_at, owed.body = SKIPPED, "already_told", detail, None, None


def carried(row: Delivery, carrier: Delivery, now: datetime) -> None:
    row.state, row.reason, row.next_attempt_at, row.updated_at = SKIPPED, "carried", None, now
    row.detail = f"The profile went along with {carrier.metric} {carrier.unique_id}."
