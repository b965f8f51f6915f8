"""The filter that stands in an address: which Deliveries a page, an export, a live answer or a replay is about.

Between the Webhooks tab and the table; every look-up here has an index of its own, and nothing is ever counted.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import date, datetime, time, timedelta
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.db.models import Model, Q, QuerySet
from django.db.models.lookups import Exact
from django.utils.dateparse import parse_date, parse_datetime

from connections.models import Connection, Merchant
from webhooks_log.models import TROUBLE, AnswerClass, Delivery
from webhooks_log.viewer import Viewer

PAGE = 50
MOST_PICKED = 500
HTTP_CLASSES = {
    "2xx": ("2xx accepted", Q(http_status__gte=200, http_status__lt=300)),
    "4xx": ("4xx refused", TROUBLE & Q(Exact(AnswerClass("http_status"), 4))),
    "429": ("429 throttled", TROUBLE & Q(Exact(AnswerClass("http_status"), 429))),
    "5xx": ("5xx Klaviyo failing", TROUBLE & Q(Exact(AnswerClass("http_status"), 5))),
    "none": ("No answer", TROUBLE & Q(Exact(AnswerClass("http_status"), 0))),
}
PROFILE_ONLY = "-"  # in the address; the row has an empty metric
SHOWN = (
    "merchant_id", "connection_id", "customer_id", "event_id", "metric", "unique_id", "email", "order_id", "state",
    "reason", "detail", "next_attempt_at", "tries", "attempt_count", "http_status", "duration_ms", "phone_dropped_at",
    "happened_at", "created_at", "updated_at", "seen_at", "backfill",
)  # fmt: skip
NEAR = timedelta(hours=1)
MOST_LOOKS = 60
CREATED = Delivery.objects.values_list("pk", "created_at")
SLACK = timedelta(minutes=10)  # rows of one moment may have been committed out of the order of their ids


@dataclass(frozen=True, slots=True)
class Selection:
    """Scope and filters. Empty values select everything; the words are those of the address."""

    merchant: str = ""
    customer: int | None = None
    connection: int | None = None
    event: int | None = None
    replay: int | None = None
    order: str = ""
    state: str = ""
    metric: str = ""
    http: str = ""
    phone: str = ""
    since: str = ""
    until: str = ""
    ids: str = ""  # rows picked one by one: "12,15"

    def as_query(self, **changes: object) -> str:
        """The selection as a query string, "?…" or empty, without what the address's path says already."""
        values = asdict(replace(self, **changes)) if changes else asdict(self)  # type: ignore[arg-type]
        return urlencode({name: value for name, value in values.items() if value not in ("", None)})

    @property
    def has_filters(self) -> bool:
        return any((self.state, self.metric, self.http, self.phone, self.since, self.until))

    @property
    def has_indexed_filter(self) -> bool:
        return any((self.state, self.metric, self.http, self.phone))

    @property
    def is_of_whole_merchants(self) -> bool:
        """Whether nothing narrower than a merchant bounds it, filters apart."""
        return not (self.customer or self.event or self.replay or self.order or self.connection)


@dataclass(frozen=True, slots=True)
class OneMerchant:
    """What a selection needs to know of a viewer, where nobody looks but one merchant's rows are meant."""

    merchants: Mapping[int, Merchant]


def read(address: Mapping[str, str], **scope: object) -> Selection:
    """The selection an address asks for; a value that cannot be meant is left out. `scope` comes from the path."""
    numbers = {
        name: int(value)
        for name in ("customer", "connection", "event", "replay")
        if _is_id(value := address.get(name, ""))
    }
    words = {
        name: address.get(name, "").replace("\0", "").strip()[:200]
        for name in ("merchant", "order", "metric", "since", "until")
    }
    given = {
        **numbers,
        **words,
        "state": _one_of(address.get("state", ""), Delivery.State.values),
        "http": _one_of(address.get("http", ""), HTTP_CLASSES),
        "phone": _one_of(address.get("phone", ""), ("dropped",)),
        "ids": ",".join(filter(_is_id, address.get("ids", "").split(",")[:MOST_PICKED])),
        **scope,
    }
    return Selection(**{key.name: given[key.name] for key in fields(Selection) if key.name in given})  # type: ignore[arg-type]


def newest(selection: Selection, viewer: Viewer, *, before: int | None = None, limit: int = PAGE) -> list[Delivery]:
    """The newest selected Deliveries below the id `before`, newest first, slim."""
    bound = Q(pk__lt=before) if before else Q()
    return merged([walk.filter(bound) for walk in walks(selection, viewer)], limit)


def merged(parts: list[QuerySet[Delivery]], limit: int) -> list[Delivery]:
    """The newest of several querysets, slim."""
    return merged_rows([part.only(*SHOWN) for part in parts], limit)


def merged_rows[M: Model](parts: list[QuerySet[M]], limit: int) -> list[M]:
    """The newest of several querysets. One walk down an index each: no index serves several merchants at once."""
    rows = [row for part in parts for row in part.order_by("-pk")[:limit]]
    return sorted(rows, key=lambda row: -row.pk)[:limit]


def scopes(selection: Selection, viewer: Viewer | OneMerchant, *, filtered: bool = True) -> list[QuerySet[Delivery]]:
    """The selection as one queryset, or one for each merchant where only merchants bound it.

    A connection, customer, event or replay must be the viewer's own: whoever names one here has looked it up.
    """
    rows = Delivery.objects.filter(_filters(selection, viewer)) if filtered else Delivery.objects.all()
    merchants = list(viewer.merchants)
    if selection.customer:
        return [rows.filter(_narrowed(selection, "connection", "order"), customer_id=selection.customer)]
    if selection.event:
        return [rows.filter(_narrowed(selection, "connection"), event_id=selection.event)]
    if selection.replay:
        return [rows.filter(replay_id=selection.replay)]
    if selection.order:
        return [rows.filter(_narrowed(selection, "connection", "order"), merchant_id__in=merchants)]
    if selection.connection:
        return [rows.filter(connection_id=selection.connection)]
    return [rows.filter(merchant_id=merchant) for merchant in merchants]


def walks(selection: Selection, viewer: Viewer) -> list[QuerySet[Delivery]]:
    """The scopes, each a walk down one index: every filter has one by connection, and none by merchant."""
    if not selection.is_of_whole_merchants or not selection.has_indexed_filter:
        return scopes(selection, viewer)
    connections = Connection.objects.filter(merchant_id__in=list(viewer.merchants)).order_by()
    rows = Delivery.objects.filter(_filters(selection, viewer))
    return [rows.filter(connection_id=pk) for pk in connections.values_list("pk", flat=True)]


def rows_of(selection: Selection, merchant: Merchant) -> QuerySet[Delivery]:
    """The selected rows of one merchant: what a replay takes them from."""
    (rows,) = scopes(selection, OneMerchant({merchant.pk: merchant}))
    return rows.filter(merchant_id=merchant.pk)


def _filters(selection: Selection, viewer: Viewer | OneMerchant) -> Q:
    chosen = Q()
    if selection.state:
        chosen &= Q(state=selection.state)
    if selection.metric:
        chosen &= Q(metric="" if selection.metric == PROFILE_ONLY else selection.metric)
    if selection.http:
        chosen &= HTTP_CLASSES[selection.http][1]
    if selection.phone:
        chosen &= Q(phone_dropped_at__isnull=False)
    if selection.ids:
        chosen &= Q(pk__in=[int(pk) for pk in selection.ids.split(",")])
    return chosen & _between(selection, viewer)


def _between(selection: Selection, viewer: Viewer | OneMerchant) -> Q:
    """The bounds in time, and on the id beside them: ids grow with time, and every index here ends in the id."""
    zone = next((ZoneInfo(merchant.time_zone) for merchant in viewer.merchants.values()), ZoneInfo("UTC"))
    since, until = bound(selection.since, zone), bound(selection.until, zone, is_end=True)
    chosen = Q()
    if since:
        chosen &= Q(created_at__gte=since, pk__gte=id_before(since - SLACK))
    if until:
        chosen &= Q(created_at__lt=until, pk__lt=id_after(until + SLACK))
    return chosen


def bound(text: str, zone: ZoneInfo, *, is_end: bool = False) -> datetime | None:
    """A day or a moment of the merchant's zone; the end of a span includes its whole day or minute. None if unread."""
    try:
        day, at = parse_date(text), parse_datetime(text)
    except ValueError:
        return None
    if day:
        return datetime.combine(day + timedelta(days=1) if is_end and day < date.max else day, time(), zone)
    if at is None:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=zone)
    return at + timedelta(minutes=1) if is_end else at


def id_before(at: datetime, rows: QuerySet[Any] = CREATED) -> int:
    """An id that no row of the moment or after it lies below; what it lets in is at most NEAR too old.

    `rows` tells (id, moment), and the two grow together.
    """
    low, _ = _bracket(at, lambda low, high: at - low <= NEAR, rows)
    return low


def id_after(at: datetime, rows: QuerySet[Any] = CREATED) -> int:
    """An id above every row from before the moment; what it lets in is at most NEAR too young."""
    _, high = _bracket(at, lambda low, high: high - at <= NEAR, rows)
    return high


def _bracket(at: datetime, is_near: Callable[[datetime, datetime], bool], rows: QuerySet[Any]) -> tuple[int, int]:
    """Ids around a moment, closing in by guessing from the time and by halving in turn: a few look-ups by key."""
    first, last = rows.order_by("pk").first(), rows.order_by("-pk").first()
    if first is None or last is None:
        return 0, 0
    (low, low_at), (high, high_at) = first, last
    if at <= low_at:
        return low, low
    if at > high_at:
        return (high, high + 1)
    for turn in range(MOST_LOOKS):
        if high - low <= 1 or is_near(low_at, high_at):
            break
        share = 0.5 if turn % 3 == 2 else (at - low_at) / (high_at - low_at)
        middle = min(max(low + 1, low + int((high - low) * share)), high - 1)
        found = rows.filter(pk__gte=middle, pk__lt=high).order_by("pk").first()
        if found is None:
            high = middle
        elif found[1] < at:
            low, low_at = found
        else:
            high, high_at = found
    return low, high


def indexed(column: str, value: str) -> Q:
    """The look-up as its partial index is made: SQLite takes that only where a query says that "" is not meant."""
    return Q(**{column: value}) & ~Q(**{column: ""})


def _narrowed(selection: Selection, *names: str) -> Q:
    narrow = Q()
    if "connection" in names and selection.connection:
        narrow &= Q(connection_id=selection.connection)
    if "order" in names and selection.order:
        narrow &= indexed("order_id", selection.order)
    return narrow


def _one_of(value: str, allowed: object) -> str:
    return value if value in allowed else ""  # type: ignore[operator]


def _is_id(value: str) -> bool:
    return value.isascii() and value.isdigit() and len(value) < 19
