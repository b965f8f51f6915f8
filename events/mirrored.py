"""The mirror's rows for one batch: read in a few statements, changed in memory, written in a few statements.

Part of the mirror; what the rows mean is decided in `events.mirror`.
"""

from collections import defaultdict
from collections.abc import Iterable

from django.db.models import Model

from connections.making import new
from connections.models import Campaign, Merchant, Source
from connections.pipelining import Pipeline
from connections.standing import Among, Given, Standing
from connections.writing import insert_rows, update_rows
from events.facts import SALES, Facts, Line
from events.facts import Product as KnownProduct
from events.history import Entry, History, stored_entry
from events.models import Customer, Event, Order, Product, Subscription, SubscriptionStatus, Transaction

Key = tuple[int, str]  # source and Vrio's id

# What may change after a row was first written.
CHANGES: dict[type[Model], tuple[str, ...]] = {
    Customer: (
        "email",
        "first_name",
        "last_name",
        "phone",
        "phone_e164",
        "location",
        "tracking",
        "active_subscriber",
        "clv",
        "facts_at",
        "named_at",
        "announced_at",
        "has_full_history",
    ),
    Order: ("customer", "campaign_id", "is_test", "tracking", "facts_at"),
    Transaction: (
        "customer",
        "order_id",
        "parent_id",
        "type",
        "is_approved",
        "is_test",
        "amount",
        "currency",
        "completed_at",
        "event",
        "facts_at",
    ),
    Subscription: (
        "customer",
        "order_id",
        "offer_id",
        "is_recurring",
        "status",
        "next_charge_on",
        "facts_at",
        "event",
    ),
    Product: ("offer_name", "name", "sku", "categories"),
    Campaign: ("name",),
}

# ── What is asked for every batch ────────────────────────────────────────────────────────────────────────────────────
KEYED = Among("source_id", "sources") & Among("vrio_id", "ids")
OF_CUSTOMERS = Among("customer_id", "customers")
SOURCES = Standing(lambda: Source.objects.filter(merchant=Given("merchant")))
ORDERS = Standing(lambda: Order.objects.filter(KEYED))
CUSTOMERS = Standing(lambda: Customer.objects.filter(KEYED | Among("pk", "customers")).order_by("pk"))
CUSTOMERS_LOCKED = Standing(
    lambda: Customer.objects.filter(KEYED | Among("pk", "customers")).order_by("pk").select_for_update()
)
CUSTOMERS_KNOWN = Standing(lambda: Customer.objects.filter(KEYED).values_list("source_id", "vrio_id"))
TRANSACTIONS = Standing(
    lambda: Transaction.objects.filter(
        KEYED | (Among("source_id", "sources") & Among("order_id", "shipped")) | OF_CUSTOMERS
    )
)
SUBSCRIPTIONS = Standing(lambda: Subscription.objects.filter(KEYED | OF_CUSTOMERS))
STATUSES = Standing(
    lambda: SubscriptionStatus.objects.filter(Among("subscription_id", "subscriptions")).values_list(
        "subscription_id", "at", "status", "event_id", "event__event_id", "event__webhook_type"
    )
)
PRODUCTS = Standing(lambda: Product.objects.filter(Among("offer_id", "offers"), merchant=Given("merchant")))
CAMPAIGNS = Standing(lambda: Campaign.objects.filter(Among("vrio_id", "ids"), merchant=Given("merchant")))


class Rows:
    """The rows that a batch of facts touches. With `locks` unknown customers are inserted and all of them locked."""

    def __init__(self, merchant: Merchant, told: list[tuple[Event, Facts]], *, locks: bool) -> None:
        self.merchant = merchant
        self.touched: dict[int, Model] = {}
        self.paid: defaultdict[int, dict[Key, Transaction]] = defaultdict(dict)  # by identity of the customer's object
        self.subscribed: defaultdict[int, dict[Key, Subscription]] = defaultdict(dict)
        self.sold: defaultdict[Key, dict[Key, Transaction]] = defaultdict(dict)  # by order
        self.products: dict[tuple[str, str], Product] = {}
        self.known_products: dict[tuple[str, str], KnownProduct] = {}
        self.asked: set[tuple[str, str]] = set()
        self.load(told, locks=locks)

    def load(self, told: list[tuple[Event, Facts]], *, locks: bool) -> None:
        sources = {event.source_id for event, _ in told}
        people = {key(event, facts.customer_id) for event, facts in told if facts.customer_id}
        ids = {vrio_id for _, vrio_id in people}
        order_ids = {facts.order.order_id[:50] for _, facts in told} - {""}
        campaigns = {facts.campaign_id[:50] for _, facts in told} - {""}
        wanted = self.wanted_products(line for _, facts in told for line in facts.order.lines)
        with Pipeline():
            known_sources = SOURCES.ask(merchant=self.merchant.pk)
            orders = ORDERS.ask(sources=sources, ids=order_ids)
            customers = CUSTOMERS_KNOWN.ask(sources=sources, ids=ids) if locks else None
            products = PRODUCTS.ask(merchant=self.merchant.pk, offers=wanted) if wanted else None
            known_campaigns = CAMPAIGNS.ask(merchant=self.merchant.pk, ids=campaigns)
        self.sources: dict[int, Source] = {source.pk: source for source in known_sources.models()}
        self.orders: dict[Key, Order] = {(row.source_id, row.vrio_id): row for row in orders.models()}
        self.campaigns: dict[str, Campaign] = {row.vrio_id: row for row in known_campaigns.models()}
        self.know_products(products.models() if products else ())
        stubs = [self.stub(missing) for missing in sorted(people - set(customers.rows()))] if customers else []
        self.load_customers(sources, ids, stubs, locks)
        self.load_what_they_bought(sources, told, order_ids)
        self.load_bodies(told)

    def load_customers(self, sources: set[int], ids: set[str], stubs: list[Customer], locks: bool) -> None:
        """Known ones, and with `locks` a stub for each that is not: two that meet in one customer see each other."""
        ordered = {order.customer_id for order in self.orders.values() if order.customer_id}
        with Pipeline():
            insert_rows(stubs, unless_there=True)
            rows = (CUSTOMERS_LOCKED if locks else CUSTOMERS).ask(sources=sources, ids=ids, customers=ordered)
        self.customers: dict[Key, Customer] = {(row.source_id, row.vrio_id): row for row in rows.models()}
        self.customers_by_pk = {row.pk: row for row in self.customers.values()}
        for order in self.orders.values():
            order.customer = self.customers_by_pk.get(order.customer_id or 0)

    def load_what_they_bought(self, sources: set[int], told: list[tuple[Event, Facts]], order_ids: set[str]) -> None:
        """All payments and subscriptions of these customers, and what these facts name besides."""
        paid = {facts.transaction.transaction_id[:50] for _, facts in told if facts.transaction}
        paid |= {facts.shipment.transaction_id[:50] for _, facts in told if facts.shipment}
        shipped = {facts.order.order_id[:50] for _, facts in told if facts.shipment} & order_ids
        ordered = {facts.subscription.order_offer_id[:50] for _, facts in told if facts.subscription}
        ordered |= {line.order_offer_id[:50] for _, facts in told for line in facts.order.lines}
        known = self.customers_by_pk
        with Pipeline():
            payments = TRANSACTIONS.ask(sources=sources, ids=paid, shipped=shipped, customers=known)
            subscriptions = SUBSCRIPTIONS.ask(sources=sources, ids=ordered - {""}, customers=known)
        self.transactions: dict[Key, Transaction] = {(row.source_id, row.vrio_id): row for row in payments.models()}
        self.subscriptions: dict[Key, Subscription] = {
            (row.source_id, row.vrio_id): row for row in subscriptions.models()
        }
        entries: defaultdict[int, list[Entry]] = defaultdict(list)
        by_pk = {row.pk: row for row in self.subscriptions.values()}
        for subscription, *stored in STATUSES.rows(subscriptions=by_pk) if by_pk else ():
            entries[subscription].append(stored_entry(*stored))
        self.histories: dict[Key, History] = {
            place: History(entries[row.pk]) for place, row in self.subscriptions.items()
        }
        for row in (*self.transactions.values(), *self.subscriptions.values()):
            self.adopt(row)

    def load_bodies(self, told: list[tuple[Event, Facts]]) -> None:
        """What the payments behind this batch's shipments said."""
        rows = [self.payment_behind(event.source_id, facts) for event, facts in told if facts.shipment]
        events = {row.event_id for row in rows if row}
        self.bodies = dict(Event.objects.filter(pk__in=events).values_list("pk", "body")) if events else {}

    # ── Rows by key ──────────────────────────────────────────────────────────────────────────────────────────────────

    def source(self, pk: int) -> Source:
        return self.sources.get(pk) or Source(merchant=self.merchant)  # a preview may come before any source

    def stub(self, place: Key) -> Customer:
        return new(Customer, merchant=self.merchant, source_id=place[0], vrio_id=place[1])

    def customer(self, place: Key) -> Customer:
        if place not in self.customers:
            self.customers[place] = self.stub(place)
        return self.customers[place]

    def order(self, place: Key) -> Order:
        if place not in self.orders:
            self.orders[place] = new(Order, source_id=place[0], vrio_id=place[1])
        return self.orders[place]

    def transaction(self, place: Key) -> Transaction:
        if place not in self.transactions:
            self.transactions[place] = new(Transaction, source_id=place[0], vrio_id=place[1])
        return self.transactions[place]

    def subscription(self, place: Key) -> Subscription:
        if place not in self.subscriptions:
            self.subscriptions[place] = new(Subscription, source_id=place[0], vrio_id=place[1])
            self.histories[place] = History()
        return self.subscriptions[place]

    def history(self, place: Key) -> History:
        return self.histories.get(place) or History()

    def payments_of(self, customer: Customer) -> list[Transaction]:
        return list(self.paid[id(customer)].values())

    def subscriptions_of(self, customer: Customer) -> list[Subscription]:
        return list(self.subscribed[id(customer)].values())

    def payment_behind(self, source_id: int, facts: Facts) -> Transaction | None:
        """The payment a shipment names, else its order's last approved sale."""
        named = facts.shipment.transaction_id[:50] if facts.shipment else ""
        row = self.transactions.get((source_id, named))
        if row:
            return row
        sales = [sale for sale in self.sold[source_id, facts.order.order_id[:50]].values() if sale.order_id]
        return max(sales, key=lambda sale: (sale.completed_at, sale.vrio_id), default=None)

    def body_of(self, row: Transaction) -> bytes:
        if row.event_id not in self.bodies:
            self.bodies[row.event_id] = Event.objects.values_list("body", flat=True).get(pk=row.event_id)
        return bytes(self.bodies[row.event_id])

    # ── Products and campaigns ───────────────────────────────────────────────────────────────────────────────────────

    def need_products(self, lines: Iterable[Line]) -> None:
        """Make sure that what is known of these items is loaded."""
        wanted = self.wanted_products(lines)
        if wanted:
            self.know_products(PRODUCTS.models(merchant=self.merchant.pk, offers=wanted))

    def wanted_products(self, lines: Iterable[Line]) -> set[str]:
        """The offers of these items that nobody has asked for yet; from now on somebody has."""
        wanted = {product_key(line) for line in lines} - self.asked - {("", "")}
        self.asked |= wanted
        return {offer for offer, _ in wanted}

    def know_products(self, rows: Iterable[Product]) -> None:
        for row in rows:
            self.products.setdefault((row.offer_id, row.item_id), row)
            self.know(row)

    def note_products(self, lines: Iterable[Line]) -> None:
        """Remember what events say of items; a person's own words win over them."""
        for line in lines:
            place = product_key(line)
            told: dict[str, str | list[str]] = {
                "offer_name": line.offer_name[:200],
                "name": line.item_name[:200],
                "sku": line.sku[:100],
            }
            told["categories"] = list(line.categories)
            row = self.products.get(place) or Product(merchant=self.merchant, offer_id=place[0], item_id=place[1])
            changed = {name: value for name, value in told.items() if value and getattr(row, name) != value}
            if place == ("", "") or not changed or row.is_edited:
                continue
            for name, value in changed.items():
                setattr(row, name, value)
            self.products[place] = row
            self.know(row)
            self.touch(row)

    def know(self, row: Product) -> None:
        self.known_products[row.offer_id, row.item_id] = KnownProduct(
            name=row.name, sku=row.sku, categories=tuple(row.categories), offer_name=row.offer_name
        )

    def note_campaign(self, vrio_id: str, name: str) -> None:
        vrio_id, name = vrio_id[:50], name[:200]
        if not vrio_id:
            return
        row = self.campaigns.get(vrio_id)
        if row is None:
            row = self.campaigns[vrio_id] = Campaign(merchant=self.merchant, vrio_id=vrio_id)
            self.touch(row)
        if name and row.name != name:
            row.name = name
            self.touch(row)

    # ── Writing ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def touch(self, row: Model) -> None:
        """This row has to be written; a payment or subscription is found by its customer and order from now on."""
        self.touched[id(row)] = row
        if isinstance(row, Transaction | Subscription):
            self.adopt(row)

    def adopt(self, row: Transaction | Subscription) -> None:
        place = (row.source_id, row.vrio_id)
        if row.customer_id in self.customers_by_pk:
            row.customer = self.customers_by_pk[row.customer_id]
        if isinstance(row, Subscription):
            if row.customer:
                self.subscribed[id(row.customer)][place] = row
            return
        if row.customer:
            self.paid[id(row.customer)][place] = row
        if row.order_id and row.is_approved and row.type in SALES:
            self.sold[row.source_id, row.order_id][place] = row

    def save(self) -> None:
        """Insert and update what was touched. Whatever names a customer finds it there: stubs were inserted at the
        beginning."""
        with Pipeline() as pipeline:
            for model, names in CHANGES.items():
                rows = [row for row in self.touched.values() if type(row) is model]
                update_rows([row for row in rows if row.pk is not None], names)
                insert_rows([row for row in rows if row.pk is None], within=pipeline)
        entries = [
            entry for place, history in self.histories.items() for entry in history.unsaved(self.subscriptions[place])
        ]
        insert_rows(entries)
        self.touched.clear()


def key(event: Event, vrio_id: str) -> Key:
    return event.source_id, vrio_id[:50]


def product_key(line: Line) -> tuple[str, str]:
    return line.offer_id[:50], line.item_id[:50]
