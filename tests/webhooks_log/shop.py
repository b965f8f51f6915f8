"""A small shop written by hand: a merchant, its people, a customer, and Deliveries with the calls made for them."""

import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from itertools import count
from typing import Any

from django.contrib.auth import get_user_model

from connections.klaviyo.exchange import Exchange, Silence
from connections.models import Connection, KlaviyoAccount, Membership, Merchant, Source
from events.models import Customer, Event
from webhooks_log.models import Attempt, AttemptContent, Body, Delivery
from webhooks_log.packing import pack_content, packed_body

NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)  # noon in New York
REFUSED_PHONE = "+15551234567"
EMAIL = "sarah.mason@klaviyo-demo.com"
MASKED = "Klaviyo-API-Key ****9f3c"
_numbers = count(1)


def merchant(name: str = "Vita Shop") -> Merchant:
    number = next(_numbers)
    return Merchant.objects.create(name=name, slug=f"shop-{number}")


def person(at: Merchant | None = None, role: str = "support", **place: Any) -> Any:
    """Somebody with a place at a merchant, or a stranger without one; the password is "secret"."""
    user = get_user_model().objects.create_user(f"person{next(_numbers)}", password="secret")
    if at is not None:
        Membership.objects.create(user=user, merchant=at, role=role, **place)
    return user


def superuser() -> Any:
    return get_user_model().objects.create_superuser(f"root{next(_numbers)}", password="secret")


def connection(of: Merchant, name: str = "Klaviyo Production", **more: Any) -> Connection:
    return Connection.objects.create(merchant=of, account=KlaviyoAccount.objects.create(), name=name, **more)


def source(of: Merchant) -> Source:
    return Source.objects.get_or_create(merchant=of, name="Vrio")[0]


def customer(of: Merchant, email: str = EMAIL, **more: Any) -> Customer:
    named = {
        "vrio_id": str(7000 + next(_numbers)),
        "named_at": NOON,
        "first_name": "Sarah",
        "last_name": "Mason",
        "phone": "555.123.4567",
        "phone_e164": REFUSED_PHONE,
        **more,
    }
    return Customer.objects.create(merchant=of, source=source(of), email=email, **named)


def event(of: Merchant, body: bytes = b'{"webhook_type":"transaction"}', **more: Any) -> Event:
    """A dispatched event that arrived at noon."""
    given = {
        "webhook_type": "transaction",
        "webhook_event": "transaction_completed",
        "event_id": f"evt-{next(_numbers)}",
        "authenticated_by": "bearer",
        "state": "dispatched",
        "received_at": NOON,
        "happened_at": NOON,
        **more,
    }
    return Event.objects.create(merchant=of, source=source(of), body=body, digest=sha256(body).digest(), **given)


def message(email: str = EMAIL, phone: str = REFUSED_PHONE, **properties: Any) -> bytes:
    """A Placed Order as Klaviyo hears it."""
    profile = {"email": email, "first_name": "Sarah", "properties": {"CLV": "150.00"}}
    if phone:
        profile["phone_number"] = phone
        profile["properties"] = {"CLV": "150.00", "$phone_number": phone}
    attributes = {
        "properties": {"OrderId": "1253", "TransactionId": "1668", **properties},
        "metric": {"data": {"type": "metric", "attributes": {"name": "Placed Order"}}},
        "profile": {"data": {"type": "profile", "attributes": profile}},
        "unique_id": "1668",
        "value": 29.99,
    }
    return json.dumps({"data": {"type": "event", "attributes": attributes}}).encode()


def body(content: bytes) -> Body:
    kept = packed_body(content)
    kept.save()
    return kept


def delivery(to: Connection, who: Customer | None = None, content: bytes | None = None, **more: Any) -> Delivery:
    """A Placed Order owed to a connection; accepted unless `state` says otherwise."""
    given = {
        "metric": "Placed Order",
        "unique_id": f"u-{next(_numbers)}",
        "path": "/api/events",
        "order_id": "1253",
        "state": "delivered",
        "email": who.email if who else "",
        "happened_at": NOON,
        "created_at": NOON + timedelta(seconds=2),
        "updated_at": NOON + timedelta(seconds=3),
        "body": body(content) if content is not None else None,
        **more,
    }
    told = given.pop("event", None) or event(to.merchant, customer=who, order_id=given["order_id"])
    return Delivery.objects.create(
        merchant=to.merchant, connection=to, account=to.account, event=told, customer=who, **given
    )


def call(
    row: Delivery,
    *,
    status: int | None = 202,
    verdict: str = "accepted",
    answer: bytes = b"",
    own: bytes | None = None,
    silence: Silence | None = None,
    after: float = 2.2,
    **more: Any,
) -> Attempt:
    """A call made for a Delivery: `own` is its body where it is not the Delivery's."""
    started = NOON + timedelta(seconds=after)
    exchange = Exchange(
        method="POST",
        url="https://a.klaviyo.com/api/events",
        request_headers=(
            ("Authorization", MASKED),
            ("revision", "2026-10-15"),
            ("Content-Type", "application/vnd.api+json"),
        ),
        body=own or b"",
        started_at=started,
        duration_ms=182,
        status=status,
        response_headers=(("Content-Type", "application/vnd.api+json"),),
        answer=answer,
        silence=silence,
    )
    attempt = Attempt.objects.create(
        delivery=row,
        body=body(own) if own is not None else None,
        started_at=started,
        duration_ms=182,
        status=status,
        verdict=verdict,
        error=str(silence or ""),
        **more,
    )
    packed, codec = pack_content(exchange)
    AttemptContent.objects.create(attempt=attempt, packed=packed, codec=codec)
    row.attempt_count += 1
    row.http_status, row.duration_ms = status, 182
    row.save()
    return attempt


REFUSAL = json.dumps(
    {
        "errors": [
            {
                "id": "01-refused",
                "status": 400,
                "code": "invalid",
                "title": "Invalid input.",
                "detail": "Invalid phone number format (Example of a valid format: +12345678901)",
                "source": {"pointer": "/data/attributes/profile/data/attributes/phone_number"},
            }
        ]
    }
).encode()


def refused_phone(to: Connection, who: Customer) -> Delivery:
    """The seed's story: refused with the phone, accepted without it at once."""
    without = message(phone="")
    row = delivery(to, who, without, phone_dropped_at=NOON + timedelta(seconds=2), unique_id="1668")
    call(row, status=400, verdict="phone_refused", answer=REFUSAL, own=message(), klaviyo_request_id="01-refused")
    call(row, without_phone=True, after=2.5, klaviyo_request_id="01-accepted")
    return row
