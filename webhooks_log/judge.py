"""The gates: whether a message may go through a connection now, must wait, or will not go, and why.

Dispatch asks for every message and connection; releases and previews ask the same again. Reads nothing.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from connections.models import Connection
from events.facts import Facts, Kind, Known, Message
from events.gates import email_gate, test_order_gate
from events.models import Suppression
from events.suppression import digests
from webhooks_log.models import Delivery
from webhooks_log.reasons import sentence

QUEUED, WAITING, SKIPPED = Delivery.State.QUEUED, Delivery.State.WAITING, Delivery.State.SKIPPED


@dataclass(frozen=True, slots=True)
class Judgement:
    """A Delivery's first state, with the code and the sentence of its reason."""

    state: str = QUEUED
    reason: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Gatekeeper:
    """What the gates of one connection look at: the connection, its campaigns, and who was erased."""

    connection: Connection
    campaigns: frozenset[str]
    erased: Mapping[str, Suppression] = field(default_factory=dict)

    def judge(self, source_id: int, facts: Facts, known: Known, message: Message, email: str) -> Judgement:
        """The first gate that says no decides; no gate is a QUEUED."""
        if not self.connection.is_active:
            return skipped("connection_inactive")
        if not self.connection.push_events:
            return skipped("push_off")
        if is_erased(self.erased, source_id, facts, email):
            return skipped("erased")
        if not self.connection.send_test_orders and (test := test_order_gate(facts, known)):
            return skipped(test.reason)
        return self.by_campaign(known, message) or by_person(facts, known, email) or Judgement()

    def by_campaign(self, known: Known, message: Message) -> Judgement | None:
        """An empty filter takes all. A profile alone goes through a filter only with a campaign that is in it."""
        if not self.campaigns or known.campaign_id in self.campaigns:
            return None
        if known.campaign_id:
            return skipped("campaign_excluded")
        if message.metric is None:
            return skipped("campaign_excluded", "The profile goes out with the first order of a campaign that is sent.")
        return Judgement(WAITING, "campaign_unknown", sentence("campaign_unknown"))


def by_person(facts: Facts, known: Known, email: str) -> Judgement | None:
    """Without an e-mail address: a customer nobody named yet may still get one, one who was named without will not."""
    if not email and facts.customer is None and known.customer is None and facts.customer_id:
        return Judgement(WAITING, "customer_unknown", sentence("customer_unknown"))
    gate = email_gate(email)
    return skipped(gate.reason, gate.sentence) if gate else None


def skipped(reason: str, detail: str = "") -> Judgement:
    return Judgement(SKIPPED, reason, detail or sentence(reason))


def is_erased(erased: Mapping[str, Suppression], source_id: int, facts: Facts, email: str) -> bool:
    """Facts from before an erasure are never told; later ones only where the merchant wants later purchases."""
    if not erased:
        return False
    found = [erased[digest] for digest in digests(source_id, facts.customer_id, email) if digest in erased]
    return any(facts.happened_at <= row.erased_at or not tells_again(row, facts.kind) for row in found)


def tells_again(row: Suppression, kind: Kind) -> bool:
    return row.sends_later_purchases and kind is not Kind.CUSTOMER_CREATED


def is_from_a_test_link(facts: Facts, older_than_days: float) -> bool:
    """Vrio's Test link sends an old record with today's date; a real event is about as old as its record."""
    return facts.judged_at is not None and days(facts.judged_at, facts.told_at) > older_than_days


def days(earlier: datetime, later: datetime) -> float:
    return (later - earlier).total_seconds() / 86400
