"""Floor 1: what happened. The Event as received, and the mirror of the shop that Facts keep true.

Between the door and dispatch: the Event row is the outbox, and nothing else remembers that work is owed.
"""

from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from connections.models import ApiKey, Lease, Merchant, Source

PROOFS = {
    "bearer": "an API key",
    "address": "the secret address",
    "hmac": "a signature",
    "command": "a command of ours",
    "upload": "an upload of an owner",
    "resubmit": "a person, after a refusal",
    "test": "a signed-in person",
}


class Inbox(Lease):
    """The line in which a merchant's Events wait for dispatch: one dispatcher at a time."""

    merchant = models.OneToOneField(Merchant, models.CASCADE, related_name="inbox")

    def __str__(self) -> str:
        return f"inbox of {self.merchant}"


class Event(models.Model):
    """A fact Vrio told us, stored once, its body byte for byte as received.

    Identity is (source, webhook_type, webhook_event, event_id). The same identity with other content is a row of its
    own that points to the first by `conflict_of`; a second arrival with the same content only counts `arrivals`.
    """

    class State(models.TextChoices):
        RECEIVED = "received", "Received"
        DISPATCHED = "dispatched", "Dispatched"
        IGNORED = "ignored", "Ignored"
        HELD = "held", "Held"
        BROKEN = "broken", "Broken"

    merchant = models.ForeignKey(Merchant, models.PROTECT, related_name="+", db_index=False)
    source = models.ForeignKey(Source, models.PROTECT, related_name="+", db_index=False)
    key = models.ForeignKey(ApiKey, models.SET_NULL, null=True, related_name="+", db_index=False)
    authenticated_by = models.CharField(max_length=10)  # see PROOFS
    webhook_type = models.CharField(max_length=40)
    webhook_event = models.CharField(max_length=60)
    event_id = models.CharField(max_length=200)
    event_date = models.CharField(max_length=40, blank=True)  # as Vrio wrote it
    body = models.BinaryField()  # empty once it has expired or was erased; none is received empty
    digest = models.BinaryField(max_length=32)  # SHA-256 of the body
    conflict_of = models.ForeignKey("self", models.PROTECT, null=True, related_name="conflicts", db_index=False)
    arrivals = models.IntegerField(default=1, db_default=1)
    last_arrived_at = models.DateTimeField(default=timezone.now)
    received_at = models.DateTimeField(default=timezone.now)
    request_id = models.CharField(max_length=40, blank=True)
    backfill = models.BooleanField(default=False)  # recorded at Klaviyo without starting flows
    history = models.BooleanField(default=False)  # fills the mirror, sends nothing

    state = models.CharField(max_length=10, choices=State.choices, default=State.RECEIVED)
    reason = models.CharField(max_length=40, blank=True)
    detail = models.TextField(blank=True)  # the reason in a sentence
    dispatched_at = models.DateTimeField(null=True)
    happened_at = models.DateTimeField(null=True)
    customer = models.ForeignKey("Customer", models.SET_NULL, null=True, related_name="events", db_index=False)
    order_id = models.CharField(max_length=50, blank=True)
    transaction_id = models.CharField(max_length=50, blank=True)
    order_offer_id = models.CharField(max_length=50, blank=True)
    shipment_id = models.CharField(max_length=50, blank=True)
    tracking_number = models.CharField(max_length=100, blank=True)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=("source", "webhook_type", "webhook_event", "event_id", "digest"), name="event_stored_once"
            ),
            models.UniqueConstraint(
                fields=("source", "webhook_type", "webhook_event", "event_id"),
                condition=Q(conflict_of=None),
                name="event_identity",
            ),
        ]
        indexes = [
            models.Index(
                "merchant", "history", "backfill", "id", condition=Q(state="received"), name="event_undispatched"
            ),
            models.Index(fields=["merchant", "id"], name="event_of_merchant"),
            models.Index(fields=["merchant", "state", "id"], name="event_in_state"),
            models.Index(
                F("customer"), F("id").desc(), condition=Q(customer__isnull=False), name="event_by_known_customer"
            ),
            models.Index("conflict_of", condition=Q(conflict_of__isnull=False), name="event_by_conflict"),
            models.Index("merchant", "order_id", condition=~Q(order_id=""), name="event_by_order"),
            models.Index("merchant", "transaction_id", condition=~Q(transaction_id=""), name="event_by_transaction"),
            models.Index("merchant", "order_offer_id", condition=~Q(order_offer_id=""), name="event_by_order_offer"),
            models.Index("merchant", "tracking_number", condition=~Q(tracking_number=""), name="event_by_tracking"),
            models.Index("merchant", "event_id", name="event_by_vrio_id"),
        ]

    def __str__(self) -> str:
        return f"{self.webhook_event} {self.event_id}"

    @property
    def proven_by(self) -> str:
        """How its sender was proven, in words."""
        return PROOFS.get(self.authenticated_by, self.authenticated_by or "nothing")


class Refusal(models.Model):
    """What a proven caller sent and we refused: kept for a while, shown, counted, resubmittable."""

    merchant = models.ForeignKey(Merchant, models.CASCADE, related_name="refusals")
    source = models.ForeignKey(Source, models.CASCADE, related_name="refusals")
    key = models.ForeignKey(ApiKey, models.SET_NULL, null=True, related_name="+")
    received_at = models.DateTimeField(default=timezone.now, db_index=True)
    status = models.SmallIntegerField()
    code = models.CharField(max_length=40)
    detail = models.TextField()
    field = models.CharField(max_length=200, blank=True)
    body = models.BinaryField()
    is_cut = models.BooleanField(default=False)
    resubmitted_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.code} at {self.received_at:%Y-%m-%d %H:%M}"


class Customer(models.Model):
    """The person at Vrio. A row may be a stub: named by id in some event, its e-mail not known yet."""

    merchant = models.ForeignKey(Merchant, models.PROTECT, related_name="customers")
    source = models.ForeignKey(Source, models.PROTECT, related_name="+", db_index=False)
    vrio_id = models.CharField(max_length=50)
    email = models.CharField(max_length=254, blank=True)  # lower case
    first_name = models.CharField(max_length=100, blank=True)
    last_name = models.CharField(max_length=100, blank=True)
    phone = models.CharField(max_length=60, blank=True)  # as Vrio wrote it
    phone_e164 = models.CharField(max_length=20, blank=True)
    location = models.JSONField(default=dict)  # Klaviyo's keys
    tracking = models.JSONField(default=dict)  # tracking1…tracking20 of the latest order
    active_subscriber = models.BooleanField(null=True)  # as Vrio last said
    clv = models.DecimalField(max_digits=14, decimal_places=2, null=True)  # as Vrio last said
    facts_at = models.DateTimeField(null=True)  # the event time of the newest fact that named the customer
    named_at = models.DateTimeField(null=True)  # when the stub got its name
    announced_at = models.DateTimeField(null=True)  # when Customer Created was owed
    has_full_history = models.BooleanField(default=False)
    erased_at = models.DateTimeField(null=True)
    first_seen_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("source", "vrio_id"), name="customer_once_per_source")]
        indexes = [
            models.Index("merchant", "email", condition=~Q(email=""), name="customer_by_email"),
            models.Index("merchant", "vrio_id", name="customer_by_vrio_id"),
            models.Index("merchant", "phone_e164", condition=~Q(phone_e164=""), name="customer_by_phone"),
            models.Index("merchant", "last_name", "first_name", name="customer_by_name"),
        ]

    def __str__(self) -> str:
        return self.email or f"customer {self.vrio_id}"

    @property
    def name_in_history(self) -> str:
        """What an entry of the history calls the customer: entries outlive an erasure."""
        return f"customer {self.vrio_id}"


class Order(models.Model):
    """What later events leave out about their order: its campaign, test flag and marketing variables."""

    source = models.ForeignKey(Source, models.PROTECT, related_name="+", db_index=False)
    vrio_id = models.CharField(max_length=50)
    customer = models.ForeignKey(Customer, models.CASCADE, null=True, related_name="orders")
    campaign_id = models.CharField(max_length=50, blank=True)
    is_test = models.BooleanField(null=True)
    tracking = models.JSONField(default=dict)
    facts_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("source", "vrio_id"), name="order_once_per_source")]

    def __str__(self) -> str:
        return f"order {self.vrio_id}"


class Transaction(models.Model):
    """One payment at Vrio: what lifetime value and *Fulfilled Order* are computed from."""

    source = models.ForeignKey(Source, models.PROTECT, related_name="+", db_index=False)
    vrio_id = models.CharField(max_length=50)
    customer = models.ForeignKey(Customer, models.CASCADE, null=True, related_name="transactions")
    order_id = models.CharField(max_length=50, blank=True)
    parent_id = models.CharField(max_length=50, blank=True)
    type = models.CharField(max_length=20)
    is_approved = models.BooleanField()
    is_test = models.BooleanField(default=False)
    amount = models.DecimalField(max_digits=14, decimal_places=2, null=True)
    currency = models.CharField(max_length=3, blank=True)
    completed_at = models.DateTimeField()
    event = models.ForeignKey(Event, models.PROTECT, related_name="+")
    facts_at = models.DateTimeField()

    class Meta:
        constraints = [models.UniqueConstraint(fields=("source", "vrio_id"), name="transaction_once_per_source")]
        indexes = [models.Index("source", "order_id", "completed_at", name="transaction_by_order")]

    def __str__(self) -> str:
        return f"{self.type} {self.vrio_id}"


class Subscription(models.Model):
    """An order offer at Vrio, as its newest fact describes it."""

    source = models.ForeignKey(Source, models.PROTECT, related_name="+", db_index=False)
    vrio_id = models.CharField(max_length=50)
    customer = models.ForeignKey(Customer, models.CASCADE, null=True, related_name="subscriptions")
    order_id = models.CharField(max_length=50, blank=True)
    offer_id = models.CharField(max_length=50, blank=True)
    is_recurring = models.BooleanField(default=False)
    status = models.CharField(max_length=20, blank=True)
    next_charge_on = models.DateField(null=True)
    facts_at = models.DateTimeField()
    event = models.ForeignKey(Event, models.PROTECT, null=True, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=("source", "vrio_id"), name="subscription_once_per_source")]

    def __str__(self) -> str:
        return f"subscription {self.vrio_id}"


class SubscriptionStatus(models.Model):
    """One entry of a subscription's status history; a late one re-judges itself and its successor."""

    subscription = models.ForeignKey(Subscription, models.CASCADE, related_name="history")
    at = models.DateTimeField()
    status = models.CharField(max_length=20)
    event = models.ForeignKey(Event, models.PROTECT, related_name="+")

    class Meta:
        constraints = [models.UniqueConstraint(fields=("subscription", "at", "event"), name="status_once_per_event")]
        ordering = ("at", "id")

    def __str__(self) -> str:
        return f"{self.status} at {self.at:%Y-%m-%d %H:%M}"


class Product(models.Model):
    """Name, SKU and categories of an item, which Vrio's events often leave out. Seen, edited, or imported."""

    merchant = models.ForeignKey(Merchant, models.CASCADE, related_name="products")
    offer_id = models.CharField(max_length=50, blank=True)
    item_id = models.CharField(max_length=50, blank=True)
    offer_name = models.CharField(max_length=200, blank=True)
    name = models.CharField(max_length=200, blank=True)
    sku = models.CharField("SKU", max_length=100, blank=True)
    categories = models.JSONField(default=list, blank=True)
    is_edited = models.BooleanField(default=False)  # a person's words win over what events say
    first_seen_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("merchant", "offer_id", "item_id"), name="product_once")]

    def __str__(self) -> str:
        return self.name or self.offer_name or f"{self.offer_id}/{self.item_id}"


class Suppression(models.Model):
    """A person who was erased, known by a keyed hash of e-mail or Vrio id, so that late events do not return them."""

    merchant = models.ForeignKey(Merchant, models.CASCADE, related_name="suppressions")
    digest = models.CharField(max_length=64)
    erased_at = models.DateTimeField(default=timezone.now)
    sends_later_purchases = models.BooleanField(default=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("merchant", "digest"), name="suppressed_once")]

    def __str__(self) -> str:
        return f"erased {self.erased_at:%Y-%m-%d}"
