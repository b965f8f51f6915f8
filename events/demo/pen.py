"""The pen that writes the demo shop's day: draws shoppers and times from the seed, and puts scenes on the page.

Ids come from one counter that starts anew with every half day and seed, so the same day is the same bytes.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Any

from events.demo.records import MONTH, Purchase, Record, abandoned, envelope, local, order_offer, shipment, transaction
from events.demo.shop import Article, Shopper, shopper

WEB, PHONE = ("1", "Web shop"), ("2", "Phone orders")
HALF_DAY = 12 * 3600
OPENING_HOURS = timedelta(hours=10)
CARRIERS = (("2", "1Z{:09d}"), ("1", "9400{:09d}"), ("3", "7749{:09d}"))


@dataclass(frozen=True, slots=True)
class Scene:
    """One event to post, by the shop's or the outlet's Vrio; before it, faults are ordered from the sandbox."""

    title: str
    at: datetime
    event: Record
    is_outlet: bool = False
    faults: Sequence[dict[str, Any]] = ()
    times: int = 1


@dataclass(slots=True)
class Pen:
    """Writes scenes, each of them before the half day that `now` is in began."""

    seed: int
    now: datetime
    scenes: list[Scene] = field(default_factory=list)
    number: int = 0
    person: int = 0
    chance: Random = field(init=False)
    base: int = field(init=False)
    closing: datetime = field(init=False)

    def __post_init__(self) -> None:
        half_day = int(self.now.timestamp()) // HALF_DAY
        self.closing = datetime.fromtimestamp(half_day * HALF_DAY, UTC)
        self.chance = Random(f"{self.seed} {half_day}")
        self.base = (half_day % 100_000 * 1000 + self.seed % 1000) * 100_000

    def opens(self) -> tuple[datetime, Shopper]:
        """Somebody comes in, early enough to do everything before closing time."""
        latest = OPENING_HOURS - timedelta(hours=4)
        at = self.closing - OPENING_HOURS + timedelta(seconds=self.chance.randrange(int(latest.total_seconds())))
        return at, self.stranger(500_000)

    def stranger(self, first_id: int) -> Shopper:
        self.person += 1
        return shopper(self.seed % 1000 * 1000 + self.person, first_id)

    def basket(
        self,
        who: Shopper,
        articles: Sequence[Article],
        campaign: tuple[str, str] = WEB,
        *,
        quantity: int = 1,
        code: str = "",
    ) -> Purchase:
        lines = [(self.next(), article, quantity) for article in articles]
        return Purchase(self.next(), who, lines, campaign, code)

    def sale(self, title: str, bought: Purchase, at: datetime, kind: str = "Sale", **more: Any) -> str:
        """Post a transaction and return its id; what is no part of the scene goes into the record."""
        scene = {name: more.pop(name) for name in ("is_outlet", "faults", "times") if name in more}
        transaction_id = self.next()
        record = transaction(bought, transaction_id, at, kind, **more)
        self.post(f"{title} ({bought.shopper.name})", "transaction", "transaction_completed", at, record, **scene)
        return transaction_id

    def ship(self, bought: Purchase, paid_by: str, at: datetime, title: str = "… and gets a parcel") -> None:
        carrier, number = self.chance.choice(CARRIERS)
        record = shipment(bought, self.next(), paid_by, at, carrier, number.format(int(self.next()) % 10**9))
        self.post(title, "shipment", "shipment_shipped", at, record)

    def status(self, title: str, bought: Purchase, at: datetime, status: str, date: str) -> None:
        record = order_offer(bought, at, status, **{date: local(at), "next_recurring_date": local(at + MONTH)[:10]})
        self.post(title, "order_offer", "order_offer_updated", at, record)

    def later(self, bought: Purchase, at: datetime) -> None:
        self.post("… an order is touched", "order", "order_updated", at, abandoned(bought, at))

    def post(self, title: str, type_: str, event: str, at: datetime, record: Record, **scene: Any) -> None:
        self.scenes.append(Scene(title, at, envelope(type_, event, self.next(), at, record), **scene))

    def next(self) -> str:
        self.number += 1
        return str(self.base + self.number)
