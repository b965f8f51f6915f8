"""Floor 2: what was sent and what came back. Deliveries, Attempts, the bytes apart from the rows, and hourly counts.

At the corridor's end: dispatch writes Deliveries, lanes settle them, and the Webhooks tab only reads.
"""

from django.conf import settings
from django.db import models
from django.db.models import F, Q
from django.utils import timezone

from connections.models import Connection, KlaviyoAccount, Merchant
from events.models import Customer, Event

TROUBLE = Q(http_status__gte=300) | Q(http_status=None, attempt_count__gt=0)  # the condition of a partial index


class AnswerClass(models.Func):
    """What kind of answer a row's last call had: 2, 3, 4 or 5 for 2xx and so on, 429 for being throttled, 0 for none.

    Numbers stand in the SQL itself: SQLite takes an index on an expression only where it reads the very same.
    """

    template = "(CASE WHEN %(expressions)s = 429 THEN 429 ELSE COALESCE(%(expressions)s / 100, 0) END)"
    output_field = models.SmallIntegerField()


class IsDueState(models.Func):
    """Whether a state is one of those the index of due rows holds, in the very words of that index."""

    template = "%(expressions)s IN ('queued', 'waiting')"
    output_field = models.BooleanField()
    conditional = True


class Body(models.Model):
    """The bytes of one message, stored once however often they are sent. `codec` names how they are packed.

    Content is null once it expired or was erased; the row stays so that the tab can say so.
    """

    content = models.BinaryField(null=True)
    codec = models.SmallIntegerField(default=0)
    size = models.IntegerField(default=0)  # bytes as sent
    expired_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"{self.size} bytes"


class Replay(models.Model):
    """Many Deliveries sent again on purpose: what was chosen, by whom, why, and how far it is."""

    class State(models.TextChoices):
        RUNNING = "running", "Running"
        PAUSED = "paused", "Paused"
        STOPPED = "stopped", "Stopped"
        DONE = "done", "Done"

    merchant = models.ForeignKey(Merchant, models.CASCADE, related_name="replays")
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    reason = models.TextField()
    selection = models.JSONField(default=dict)  # the filter, as the count was made from it
    translates_anew = models.BooleanField(default=False)
    includes_delivered = models.BooleanField(default=False)
    backfill = models.BooleanField(null=True)  # null: on for what is older than a day
    state = models.CharField(max_length=8, choices=State.choices, default=State.RUNNING)
    total = models.IntegerField(default=0)
    queued = models.IntegerField(default=0)
    cursor = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"replay {self.pk}"


class Delivery(models.Model):
    """One message owed to one Connection: a slim row with a state, its bytes in `body`."""

    class State(models.TextChoices):
        QUEUED = "queued", "Queued"
        SENDING = "sending", "Sending"
        WAITING = "waiting", "Waiting"
        DELIVERED = "delivered", "Accepted by Klaviyo"
        FAILED = "failed", "Failed"
        SKIPPED = "skipped", "Skipped"

    OPEN = (State.QUEUED, State.SENDING, State.WAITING)

    class Rank(models.IntegerChoices):
        LIVE = 0, "live"
        BACKLOG = 1, "backlog"
        REPLAY = 2, "replay"

    merchant = models.ForeignKey(Merchant, models.PROTECT, related_name="+", db_index=False)
    connection = models.ForeignKey(Connection, models.PROTECT, related_name="deliveries", db_index=False)
    account = models.ForeignKey(KlaviyoAccount, models.PROTECT, related_name="deliveries", db_index=False)
    event = models.ForeignKey(Event, models.PROTECT, related_name="deliveries")
    customer = models.ForeignKey(Customer, models.PROTECT, null=True, related_name="deliveries", db_index=False)
    replay = models.ForeignKey(Replay, models.SET_NULL, null=True, related_name="deliveries")

    metric = models.CharField(max_length=128, blank=True)  # "" is profile only
    unique_id = models.CharField(max_length=255)
    path = models.CharField(max_length=60, blank=True)  # "/api/events" or "/api/profile-import"
    # No constraint on bodies: without an index, which every insert would pay for, the purge could not delete one.
    body = models.ForeignKey(Body, models.PROTECT, null=True, related_name="+", db_index=False, db_constraint=False)
    draft = models.BinaryField(
        null=True
    )  # metric content fixed at arrival, while profile and body wait for the customer
    email = models.CharField(max_length=254, blank=True)  # the profile it was first addressed to
    order_id = models.CharField(max_length=50, blank=True)
    campaign_id = models.CharField(max_length=50, blank=True, default="", db_default="")  # as known when it was judged
    notes = models.JSONField(default=list)  # what was left out or missing, in sentences

    state = models.CharField(max_length=10, choices=State.choices, default=State.QUEUED)
    reason = models.CharField(max_length=40, blank=True)  # a code; webhooks_log.reasons has its sentence
    detail = models.TextField(blank=True)
    rank = models.SmallIntegerField(choices=Rank.choices, default=Rank.LIVE)
    next_attempt_at = models.DateTimeField(null=True)  # due when this is past; null waits for something else than time
    tries = models.SmallIntegerField(default=0)  # climbs the ladder
    claims = models.SmallIntegerField(default=0)  # guards against rows that kill workers; zeroed by a settled answer
    claim_token = models.BigIntegerField(null=True)
    claimed_at = models.DateTimeField(null=True)
    phone_dropped_at = models.DateTimeField(null=True)
    backfill = models.BooleanField(default=False)
    identity_only = models.BooleanField(default=False)  # history and replays do not touch the profile

    happened_at = models.DateTimeField()
    created_at = models.DateTimeField(default=timezone.now)
    updated_at = models.DateTimeField(default=timezone.now)
    settled_at = models.DateTimeField(null=True)
    attempt_count = models.SmallIntegerField(default=0)
    http_status = models.SmallIntegerField(null=True)
    duration_ms = models.IntegerField(null=True)
    seen_at = models.DateTimeField(null=True)  # found at Klaviyo by read-back

    class Meta:
        verbose_name_plural = "deliveries"
        constraints = [
            models.UniqueConstraint(
                fields=("connection", "metric", "unique_id"), condition=~Q(state="skipped"), name="told_once"
            ),
        ]
        indexes = [
            models.Index(
                "account", "rank", "next_attempt_at", "id", condition=Q(state__in=("queued", "waiting")), name="due"
            ),
            models.Index("account", "claim_token", condition=Q(state="sending"), name="claimed"),
            models.Index(
                "customer",
                "connection",
                "happened_at",
                condition=Q(state__in=("queued", "sending", "waiting")),
                name="open_of_customer",
            ),
            models.Index(F("customer"), F("id").desc(), name="delivery_by_customer"),
            models.Index(F("merchant"), F("id").desc(), name="delivery_by_merchant"),
            # The list's filters: by connection, so that a connection among others is found as quickly as its merchant.
            models.Index(F("connection"), F("id").desc(), name="delivery_by_connection"),
            models.Index(F("connection"), F("state"), F("id").desc(), name="delivery_by_state"),
            models.Index(F("connection"), F("metric"), F("id").desc(), name="delivery_by_metric"),
            models.Index(
                F("connection"),
                F("id").desc(),
                condition=Q(phone_dropped_at__isnull=False),
                name="delivery_phone_dropped",
            ),
            models.Index(
                F("connection"),
                AnswerClass("http_status"),
                F("id").desc(),
                condition=TROUBLE,
                name="delivery_by_trouble",
            ),
            models.Index("merchant", "order_id", condition=~Q(order_id=""), name="delivery_by_order"),
            models.Index(
                "reason",
                "created_at",
                # Said with OR, not IN: only so SQLite sees that a query for one of them may use the index.
                condition=Q(reason="customer_unknown") | Q(reason="campaign_unknown"),
                name="waits_for_facts",
            ),
            models.Index("id", condition=Q(reason="profile_refresh"), name="owes_refresh"),
            models.Index(
                "replay",
                condition=Q(replay__isnull=False) & Q(state__in=("queued", "sending", "waiting")),
                name="open_of_replay",
            ),
            models.Index("merchant", "updated_at", name="delivery_by_change"),
        ]

    def __str__(self) -> str:
        return f"{self.metric or 'Profile'} {self.unique_id}"


class Attempt(models.Model):
    """One HTTP call made for a Delivery (or the note that one may have been made). Never edited once closed."""

    class Kind(models.TextChoices):
        SINGLE = "single", "One call"
        BULK = "bulk", "Part of a bulk job"
        INTERRUPTED = "interrupted", "Interrupted, outcome unknown"

    delivery = models.ForeignKey(Delivery, models.PROTECT, related_name="attempts", db_index=False)
    body = models.ForeignKey(Body, models.PROTECT, null=True, related_name="+", db_index=False, db_constraint=False)
    kind = models.CharField(max_length=12, choices=Kind.choices, default=Kind.SINGLE)
    started_at = models.DateTimeField()
    duration_ms = models.IntegerField(null=True)
    status = models.SmallIntegerField(null=True)
    verdict = models.CharField(max_length=40)  # a row of webhooks_log.verdicts
    error = models.CharField(max_length=300, blank=True)  # why there was no answer
    klaviyo_request_id = models.CharField(max_length=64, blank=True)
    is_late = models.BooleanField(default=False)  # written by a drain that had lost its lease
    without_phone = models.BooleanField(default=False)
    job = models.CharField(max_length=64, blank=True)  # digest of the bulk job it went in
    job_offset = models.IntegerField(null=True)

    class Meta:
        indexes = [
            models.Index("delivery", "id", name="attempt_by_delivery"),
            models.Index("klaviyo_request_id", condition=~Q(klaviyo_request_id=""), name="attempt_by_klaviyo_request"),
            models.Index("started_at", name="attempt_by_time"),
        ]

    def __str__(self) -> str:
        return f"{self.status or self.kind} at {self.started_at:%Y-%m-%d %H:%M:%S}"


class AttemptContent(models.Model):
    """Headers of both sides (key masked) and the answer's exact bytes, packed apart from the slim row."""

    attempt = models.OneToOneField(Attempt, models.CASCADE, primary_key=True, related_name="content")
    packed = models.BinaryField(null=True)
    codec = models.SmallIntegerField(default=0)
    expired_at = models.DateTimeField(null=True)

    def __str__(self) -> str:
        return f"content of attempt {self.attempt_id}"


class RefusedPhone(models.Model):
    """A phone number that Klaviyo refused in one account, by its keyed hash: left out for a while, not tried again."""

    account = models.ForeignKey(KlaviyoAccount, models.CASCADE, related_name="refused_phones", db_index=False)
    digest = models.CharField(max_length=64)
    refused_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("account", "digest"), name="phone_refused_once")]

    def __str__(self) -> str:
        return f"refused {self.refused_at:%Y-%m-%d}"


class HourlyCount(models.Model):
    """The roll-up behind charts: how many things of one kind happened in one hour."""

    merchant = models.ForeignKey(Merchant, models.CASCADE, related_name="+", db_index=False)
    connection = models.ForeignKey(Connection, models.CASCADE, null=True, related_name="+", db_index=False)
    metric = models.CharField(max_length=128, blank=True)
    hour = models.DateTimeField()
    # received, delivered, waiting (each time one was put off), failed, skipped, phone_dropped; skip_reason has the
    # reason's code for a metric
    outcome = models.CharField(max_length=20)
    count = models.IntegerField(default=0)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=("merchant", "hour", "outcome", "connection", "metric"),
                condition=Q(connection__isnull=False),
                name="one_count_per_hour",
            ),
            models.UniqueConstraint(
                fields=("merchant", "hour", "outcome", "metric"),
                condition=Q(connection=None),
                name="one_count_per_hour_of_merchant",
            ),
        ]
        indexes = [models.Index("hour", name="count_by_hour")]

    def __str__(self) -> str:
        return f"{self.count} {self.outcome} at {self.hour:%Y-%m-%d %H}"


class Heartbeat(models.Model):
    """When a part of the worker was last seen alive, by name."""

    name = models.CharField(max_length=60, primary_key=True)
    at = models.DateTimeField()
    detail = models.JSONField(default=dict)

    def __str__(self) -> str:
        return self.name


class Note(models.Model):
    """A remark on a customer or a Delivery, so that two people do not solve it twice."""

    merchant = models.ForeignKey(Merchant, models.CASCADE, related_name="+")
    customer = models.ForeignKey(Customer, models.CASCADE, null=True, related_name="notes")
    delivery = models.ForeignKey(Delivery, models.CASCADE, null=True, related_name="remarks")
    author = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    author_name = models.CharField(max_length=150, blank=True)
    text = models.TextField()
    at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="note_is_about_one_thing",
                condition=Q(customer=None, delivery__isnull=False) | Q(customer__isnull=False, delivery=None),
            )
        ]

    def __str__(self) -> str:
        return self.text[:60]


class SavedFilter(models.Model):
    """An address of the Webhooks list that a person wants to find again, by name."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    name = models.CharField(max_length=60)
    query = models.CharField(max_length=1000)
    created_at = models.DateTimeField(default=timezone.now)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("user", "name"), name="filter_name_once_per_person")]

    def __str__(self) -> str:
        return self.name


class PurgeMark(models.Model):
    """How far a purge came in one table: everything up to `at` is gone, but for the ranges in `left`."""

    name = models.CharField(max_length=80, primary_key=True)
    members = models.TextField()  # whose rows the walk is about
    at = models.BigIntegerField(default=0)
    left = models.JSONField(default=list)  # [[low, high], …]: something in them was still owed

    def __str__(self) -> str:
        return self.name


class Erasure(models.Model):
    """A person who asked to be forgotten, and the proof that it was done; the person is only known by a keyed hash."""

    class State(models.TextChoices):
        REQUESTED = "requested", "Suppressed; old events are being looked through"
        SCRUBBED = "scrubbed", "Forgotten here, not yet at Klaviyo"
        DONE = "done", "Done"

    merchant = models.ForeignKey(Merchant, models.PROTECT, related_name="erasures")
    digest = models.CharField(max_length=64)
    sealed_email = models.BinaryField(null=True)  # until the last of Klaviyo's accounts has been told
    actor = models.ForeignKey(settings.AUTH_USER_MODEL, models.SET_NULL, null=True, related_name="+")
    actor_name = models.CharField(max_length=150, blank=True)
    reason = models.TextField(blank=True)
    tells_klaviyo = models.BooleanField(default=False)
    sends_later_purchases = models.BooleanField(default=False)
    state = models.CharField(max_length=10, choices=State.choices, default=State.REQUESTED)
    found = models.JSONField(default=dict)  # how many rows of each kind were emptied
    requested_at = models.DateTimeField(default=timezone.now)
    scrubbed_at = models.DateTimeField(null=True)
    done_at = models.DateTimeField(null=True)

    class Meta:
        indexes = [
            models.Index("requested_at", condition=Q(state__in=("requested", "scrubbed")), name="erasure_unfinished")
        ]

    def __str__(self) -> str:
        return f"erasure {self.pk}"


class ErasureCall(models.Model):
    """The deletion job asked of one Klaviyo account for an Erasure."""

    class State(models.TextChoices):
        WAITING = "waiting", "Waiting"
        ACCEPTED = "accepted", "Accepted by Klaviyo"
        REFUSED = "refused", "Not accepted"

    erasure = models.ForeignKey(Erasure, models.CASCADE, related_name="calls")
    connection = models.ForeignKey(Connection, models.PROTECT, related_name="+")
    account = models.ForeignKey(KlaviyoAccount, models.PROTECT, related_name="+")
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    detail = models.TextField(blank=True)
    tries = models.SmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now)
    called_at = models.DateTimeField(null=True)
    status = models.SmallIntegerField(null=True)
    klaviyo_request_id = models.CharField(max_length=64, blank=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("erasure", "account"), name="one_deletion_per_account")]
        indexes = [models.Index("account", "called_at", name="deletion_by_account")]

    def __str__(self) -> str:
        return f"deletion {self.pk}"


class Alert(models.Model):
    """One thing that may be wrong, by kind and subject: whether it is now, since when, and what was told about it."""

    kind = models.CharField(max_length=20)
    subject = models.CharField(max_length=60)  # "connection:5", "merchant:2", "host:web-1"
    merchant = models.ForeignKey(Merchant, models.CASCADE, null=True, related_name="alerts")  # null: for staff
    name = models.CharField(max_length=200, blank=True)
    is_on = models.BooleanField(default=False)
    since = models.DateTimeField()  # when it last came on, or went
    count = models.IntegerField(default=0)
    sentence = models.TextField(blank=True)
    told_on = models.BooleanField(default=False)  # what people believe
    told_at = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=("kind", "subject"), name="one_alert_per_subject")]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


class AlertHook(models.Model):
    """An address that takes notices as Slack does. The address is a secret: who knows it may post."""

    merchant = models.ForeignKey(Merchant, models.CASCADE, null=True, related_name="alert_hooks")
    name = models.CharField(max_length=60)
    sealed_url = models.BinaryField()
    host = models.CharField(max_length=200)
    hears_merchants = models.BooleanField(default=False, db_default=False)  # a channel of the staff's: of all merchants
    created_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"{self.name} ({self.host})"


class AlertPreference(models.Model):
    """What one person wants to hear of one merchant by mail; without a row, owners hear everything, others nothing."""

    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, related_name="+")
    merchant = models.ForeignKey(Merchant, models.CASCADE, null=True, related_name="+")  # null: as staff
    kinds = models.JSONField(default=list)

    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=("user", "merchant"), condition=Q(merchant__isnull=False), name="one_wish_per_place"
            ),
            models.UniqueConstraint(fields=("user",), condition=Q(merchant=None), name="one_wish_as_staff"),
        ]

    def __str__(self) -> str:
        return f"{self.user} hears {len(self.kinds)} kinds"


class Notice(models.Model):
    """One message about an Alert to one person or hook: kept until it is sent, so that a mail server may be away."""

    alert = models.ForeignKey(Alert, models.CASCADE, related_name="notices")
    user = models.ForeignKey(settings.AUTH_USER_MODEL, models.CASCADE, null=True, related_name="+")
    hook = models.ForeignKey(AlertHook, models.CASCADE, null=True, related_name="+")
    title = models.CharField(max_length=200)
    text = models.TextField()
    created_at = models.DateTimeField(default=timezone.now)
    sent_at = models.DateTimeField(null=True)
    tries = models.SmallIntegerField(default=0)
    next_attempt_at = models.DateTimeField(default=timezone.now, null=True)  # null once sent, or given up
    error = models.CharField(max_length=300, blank=True)

    class Meta:
        constraints = [
            models.CheckConstraint(
                name="notice_goes_one_way",
                condition=Q(user=None, hook__isnull=False) | Q(user__isnull=False, hook=None),
            )
        ]
        indexes = [
            models.Index("next_attempt_at", condition=Q(next_attempt_at__isnull=False), name="notice_due"),
        ]

    def __str__(self) -> str:
        return self.title
