"""Floor 0: whom we talk to and how. Merchants and their people, Vrio sources and their keys, Klaviyo connections.

At the corridor's two ends: a Source is who posts to us, a Connection whom we post to.
"""

from typing import Any

from django.conf import settings
from django.core.validators import MinLengthValidator, MinValueValidator
from django.db import models
from django.db.models import F, Q
from django.utils import timezone


class Lease(models.Model):
    """A turn that one worker at a time may hold, and the bell that asks for one.

    `lease_token` is the fencing token: it grows with every grant, and what a holder writes is guarded by it, so
    that one who lost the lease can settle nothing. `rung_at` is the bell's compare-and-set flag. Times are the
    database's clock.
    """

    rung_at = models.DateTimeField(null=True, editable=False)
    lease_token = models.BigIntegerField(default=0, editable=False)
    leased_until = models.DateTimeField(null=True, editable=False)
    lease_holder = models.CharField(max_length=100, blank=True, editable=False)
    served_at = models.DateTimeField(null=True, editable=False)  # whose turn is next: the longest unserved

    class Meta:
        abstract = True


class Merchant(models.Model):
    """The tenant who configures connections. Nothing of one merchant is ever seen by another."""

    name = models.CharField(max_length=200)
    slug = models.SlugField(max_length=60, unique=True)
    time_zone = models.CharField(max_length=64, default="America/New_York")
    currency = models.CharField(max_length=3, default="USD", validators=[MinLengthValidator(3)])
    country = models.CharField(max_length=2, default="US", help_text="Used for phone numbers without a country.")
    requires_two_factor = models.BooleanField(default=False)
    body_days = models.PositiveSmallIntegerField(
        "days bodies are kept",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="What was received, sent and answered, word for word. Empty: as this installation keeps them.",
    )
    row_days = models.PositiveSmallIntegerField(
        "days rows are kept",
        null=True,
        blank=True,
        validators=[MinValueValidator(1)],
        help_text="That something was sent, when, and what came of it. Empty: as this installation keeps them.",
    )
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ("name",)

    def __str__(self) -> str:
        return self.name


class Membership(models.Model):
    """The place a person has at a merchant."""

    class Role(models.TextChoices):
        OWNER = "owner", "Owner: connections, keys and people"
        SUPPORT = "support", "Support: read and send again"

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="memberships")
    merchant = models.ForeignKey(Merchant, models.CASCADE, related_name="memberships")
    role = models.CharField(max_length=10, choices=Role.choices, default=Role.SUPPORT)
    sees_personal_data = models.BooleanField(default=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("user", "merchant"), name="one_place_per_person")]

    def __str__(self) -> str:
        return f"{self.user} at {self.merchant} ({self.role})"


class Invitation(models.Model):
    """An open offer of a place, known by a token of which only the keyed hash is kept."""

    merchant = models.ForeignKey(Merchant, models.CASCADE, related_name="invitations")
    email = models.EmailField()
    role = models.CharField(max_length=10, choices=Membership.Role.choices, default=Membership.Role.SUPPORT)
    token_digest = models.CharField(max_length=64, unique=True)
    invited_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    expires_at = models.DateTimeField()
    accepted_at = models.DateTimeField(null=True, blank=True)

    def __str__(self) -> str:
        return f"{self.email} for {self.merchant}"


class Source(models.Model):
    """One Vrio account in one dialect: the owner of event identities, with as many keys as wanted."""

    class Dialect(models.TextChoices):
        V1 = "v1", "Webhook (v1)"
        V2 = "v2", "Webhook 2.0"
        REST = "rest", "REST and history"

    merchant = models.ForeignKey(Merchant, models.PROTECT, related_name="sources")
    name = models.CharField(max_length=100)
    dialect = models.CharField(max_length=4, choices=Dialect.choices, default=Dialect.V1)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    history_imported_at = models.DateTimeField(null=True, blank=True)
    archived_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("merchant", "name"), name="source_name_once_per_merchant")]

    def __str__(self) -> str:
        return self.name


class ApiKey(models.Model):
    """One way for a Source to prove who it is. Bearer keys and address tokens are kept as keyed hashes only; an HMAC
    secret, which must be known to verify, is sealed."""

    class Kind(models.TextChoices):
        BEARER = "bearer", "API key"
        ADDRESS = "address", "Secret address"
        HMAC = "hmac", "Signature"

    class Scope(models.TextChoices):
        SEND = "send", "Send events"
        READ = "read", "Send and read events"

    source = models.ForeignKey(Source, models.PROTECT, related_name="keys")
    kind = models.CharField(max_length=8, choices=Kind.choices)
    name = models.CharField(max_length=100)
    hint = models.CharField(max_length=4, help_text="The last four characters.")
    digest = models.CharField(max_length=64, unique=True, null=True, editable=False)
    public_id = models.CharField(max_length=24, unique=True, null=True, editable=False)  # names an HMAC key in the URL
    sealed_secret = models.BinaryField(null=True, editable=False)
    scope = models.CharField(max_length=4, choices=Scope.choices, default=Scope.SEND)
    hmac_header = models.CharField(max_length=100, blank=True)
    hmac_algorithm = models.CharField(max_length=6, blank=True, choices=[("sha256", "SHA-256"), ("sha512", "SHA-512")])
    hmac_encoding = models.CharField(max_length=6, blank=True, choices=[("hex", "hex"), ("base64", "base64")])
    hmac_prefix = models.CharField(max_length=20, blank=True)
    allowed_addresses = models.TextField(blank=True, help_text="One IP address or network a line; empty allows all.")
    created_by = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    valid_until = models.DateTimeField(null=True, blank=True)
    revoked_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(null=True, blank=True, editable=False)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="api_key_is_hashed_or_sealed",
                condition=Q(kind="hmac", digest=None, sealed_secret__isnull=False, public_id__isnull=False)
                | Q(kind__in=("bearer", "address"), digest__isnull=False, sealed_secret=None),
            ),
            models.CheckConstraint(
                name="only_bearer_keys_read",
                condition=Q(kind="bearer") | Q(scope="send"),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.name} (…{self.hint})"


class Campaign(models.Model):
    """A sales channel of Vrio, seen in events or typed by the merchant. Never one of Klaviyo's campaigns."""

    merchant = models.ForeignKey(Merchant, models.CASCADE, related_name="campaigns")
    vrio_id = models.CharField(max_length=50)
    name = models.CharField(max_length=200, blank=True)
    first_seen_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("merchant", "vrio_id"), name="campaign_once_per_merchant")]
        ordering = ("vrio_id",)

    def __str__(self) -> str:
        return f"{self.name} ({self.vrio_id})" if self.name else self.vrio_id


class KlaviyoAccount(Lease):
    """One account at Klaviyo, known by the `Cid` of its answers: one lane, one budget, one breaker.

    `cid` is unknown until the first authenticated answer. `budget` holds the measured limits and the counts of the
    current windows (see `connections.klaviyo.budget`), `breaker` the sliding window of outcomes.
    """

    class Breaker(models.TextChoices):
        CLOSED = "closed", "Running"
        OPEN = "open", "Paused: Klaviyo is failing"
        HALF_OPEN = "half_open", "Probing"

    cid = models.CharField(max_length=20, unique=True, null=True, blank=True)
    name = models.CharField(max_length=200, blank=True)
    budget = models.JSONField(default=dict, editable=False)
    throttled_until = models.DateTimeField(null=True, editable=False)
    breaker_state = models.CharField(max_length=10, choices=Breaker.choices, default=Breaker.CLOSED, editable=False)
    breaker = models.JSONField(default=dict, editable=False)
    breaker_until = models.DateTimeField(null=True, editable=False)
    breaker_changed_at = models.DateTimeField(null=True, editable=False)
    wanted_until = models.DateTimeField(null=True, editable=False)  # until then nobody drains it: two are to be joined
    created_at = models.DateTimeField(default=timezone.now, editable=False)

    def __str__(self) -> str:
        return self.name or self.cid or f"account {self.pk}"


class ConnectionQuerySet(models.QuerySet["Connection"]):
    def living(self) -> "ConnectionQuerySet":
        return self.filter(archived_at=None)


class Connection(models.Model):
    """One Klaviyo account of a merchant: the key, the switches, the campaign filter and how it is doing."""

    class State(models.TextChoices):
        UNCHECKED = "unchecked", "Not checked yet"
        CONNECTED = "connected", "Connected"
        KEY_REFUSED = "key_refused", "Key refused"
        SCOPE_MISSING = "scope_missing", "Scope missing"
        UNREACHABLE = "unreachable", "Klaviyo cannot be reached"
        EDGE_BLOCKED = "edge_blocked", "Blocked at Klaviyo's edge"
        WRONG_ACCOUNT = "wrong_account", "Another account than before"
        KEY_LOST = "key_lost", "Key cannot be read"

    merchant = models.ForeignKey(Merchant, models.PROTECT, related_name="connections")
    account = models.ForeignKey(KlaviyoAccount, models.PROTECT, related_name="connections")
    provider = models.CharField(max_length=20, default="klaviyo", editable=False)
    name = models.CharField("connection name", max_length=100)
    sealed_key = models.BinaryField(null=True, editable=False)
    key_hint = models.CharField(max_length=4, blank=True, editable=False)
    key_fingerprint = models.CharField(max_length=64, blank=True, editable=False)
    public_key = models.CharField("public API key", max_length=20, blank=True)
    push_events = models.BooleanField("push events", default=True)
    is_active = models.BooleanField("active", default=True)
    send_test_orders = models.BooleanField(default=False)
    campaigns = models.ManyToManyField(Campaign, blank=True, related_name="connections")

    state = models.CharField(max_length=14, choices=State.choices, default=State.UNCHECKED, editable=False)
    state_detail = models.TextField(blank=True, editable=False)
    check_result = models.JSONField(default=dict, editable=False)
    checked_at = models.DateTimeField(null=True, editable=False)
    check_due_at = models.DateTimeField(default=timezone.now, editable=False)
    held_at = models.DateTimeField(null=True, editable=False)  # a 401 holds everything
    held_families = models.JSONField(default=list, editable=False)  # a missing scope holds its endpoint family
    revision_retires_on = models.DateField(null=True, editable=False)

    created_at = models.DateTimeField(default=timezone.now, editable=False)
    archived_at = models.DateTimeField(null=True, blank=True, editable=False)

    objects = ConnectionQuerySet.as_manager()

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=("merchant", "name"), condition=Q(archived_at=None), name="connection_name_once_per_merchant"
            ),
        ]
        indexes = [
            models.Index("check_due_at", condition=Q(archived_at=None, is_active=True), name="connection_check_due"),
        ]
        ordering = (F("archived_at").asc(nulls_first=True), "name")

    def __str__(self) -> str:
        return self.name


class Knock(models.Model):
    """One try that `connections.brakes` counts: at what, and by a keyed hash of whom."""

    brake = models.CharField(max_length=20)
    digest = models.CharField(max_length=64)
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        indexes = [
            models.Index(fields=("brake", "digest", "at"), name="knock_by_whom"),
            models.Index(fields=("at",), name="knock_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.brake} at {self.at:%Y-%m-%d %H:%M}"


class AuditEntry(models.Model):
    """Who changed what, when and why; values, never keys. Written once, never edited."""

    merchant = models.ForeignKey(Merchant, models.CASCADE, null=True, related_name="audit_entries")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    actor_name = models.CharField(max_length=150, blank=True)
    at = models.DateTimeField(default=timezone.now)
    action = models.CharField(max_length=50)
    object_type = models.CharField(max_length=50, blank=True)
    object_id = models.CharField(max_length=50, blank=True)
    object_name = models.CharField(max_length=200, blank=True)
    changes = models.JSONField(default=dict)
    reason = models.TextField(blank=True)

    class Meta:
        indexes = [models.Index(fields=("merchant", "-at"), name="audit_by_merchant")]
        verbose_name_plural = "audit entries"

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M} {self.actor_name} {self.action} {self.object_name}"

    def changes_in_words(self) -> list[tuple[str, str, str]]:
        """[(field, before, after)] as people read them."""
        return [(name.replace("_", " "), *map(_in_words, values)) for name, values in self.changes.items()]


def _in_words(value: Any) -> str:
    if value is None or value in ("", []):
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
