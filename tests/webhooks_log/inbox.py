"""Posts events to a merchant and dispatches them, as the door and the queue would, without either."""

import json
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

from connections.models import Connection, KlaviyoAccount, Merchant, Source
from events.envelope import read_envelope
from events.models import Event
from webhooks_log import dispatch
from webhooks_log.models import Delivery
from webhooks_log.packing import unpack_body

NOW = datetime(2025, 8, 30, 12, 0, 30, tzinfo=UTC)  # half a minute after the usual sale


def shop(name: str = "vita", **connection: Any) -> Merchant:
    """A merchant with a source and one connection; `connection` changes the latter."""
    merchant = Merchant.objects.create(name=name, slug=name)
    Source.objects.create(merchant=merchant, name="Vrio")
    connect(merchant, **connection)
    return merchant


def connect(merchant: Merchant, name: str = "Klaviyo", **more: Any) -> Connection:
    return Connection.objects.create(merchant=merchant, account=KlaviyoAccount.objects.create(), name=name, **more)


def post(merchant: Merchant, *bodies: bytes, **marks: Any) -> list[Event]:
    """Store events as the door does; one that is known already is not stored again."""
    return [stored for body in bodies if (stored := store(merchant, body, marks))]


def store(merchant: Merchant, body: bytes, marks: dict[str, Any]) -> Event | None:
    envelope, digest = read_envelope(json.loads(body)), sha256(body).digest()
    same = Event.objects.filter(
        source=merchant.sources.get(),
        webhook_type=envelope.webhook_type,
        webhook_event=envelope.webhook_event,
        event_id=envelope.event_id,
    )
    if same.filter(digest=digest).exists():
        return None
    return Event.objects.create(
        merchant=merchant,
        source=merchant.sources.get(),
        authenticated_by="command",
        webhook_type=envelope.webhook_type,
        webhook_event=envelope.webhook_event,
        event_id=envelope.event_id,
        event_date=envelope.event_date,
        body=body,
        digest=digest,
        conflict_of=same.first(),
        received_at=NOW,
        **marks,
    )


def tell(merchant: Merchant, *bodies: bytes, now: datetime = NOW, **marks: Any) -> None:
    """Store and dispatch events, each by itself."""
    for body in bodies:
        post(merchant, body, **marks)
        dispatch.run(now=now)


def rows(merchant: Merchant, **filters: Any) -> list[Delivery]:
    return list(Delivery.objects.filter(merchant=merchant, **filters).order_by("pk"))


def states(merchant: Merchant) -> list[tuple[str, str, str]]:
    return [(row.metric, row.state, row.reason) for row in rows(merchant)]


def ids(merchant: Merchant) -> set[tuple[str, str]]:
    """What Klaviyo will have counted: metrics and ids of everything that goes out."""
    return {(row.metric, row.unique_id) for row in rows(merchant) if row.metric and row.state != "skipped"}


def sent(row: Delivery) -> dict[str, Any]:
    """The attributes a Delivery says."""
    content = unpack_body(row.body)
    assert content is not None
    return json.loads(content)["data"]["attributes"]


def profile(row: Delivery) -> dict[str, Any]:
    attributes = sent(row)
    return attributes["profile"]["data"]["attributes"] if "profile" in attributes else attributes


def only(merchant: Merchant, metric: str) -> Delivery:
    return Delivery.objects.get(merchant=merchant, metric=metric)
