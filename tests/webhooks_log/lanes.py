"""Makes what a lane needs: a merchant, a connection whose key the twin knows, and Deliveries that are due."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from connections import secrets
from connections.klaviyo.payloads import EventContent, ProfileContent, render
from connections.models import Connection, KlaviyoAccount, Merchant, Source
from events.models import Customer, Event
from tests.twin import Twin
from tests.webhooks_log.shop import body
from webhooks_log.models import Delivery
from webhooks_log.pump import Pump

CID = "DemoA1"
HAPPENED_AT = datetime.fromisoformat("2026-11-20T10:00:00-05:00")


class Shop:
    """One merchant whose events are told to the twin."""

    def __init__(self, twin: Twin, *, cid: str = CID, kind: str = "full", name: str = "shop") -> None:
        self.merchant = Merchant.objects.create(name=name, slug=name)
        self.source = Source.objects.create(merchant=self.merchant, name="Vrio")
        self.account, _ = KlaviyoAccount.objects.get_or_create(cid=cid)
        self.connection = self.connect(twin.key(cid, kind), "Klaviyo")
        self.made = 0

    def connect(self, key: str, name: str) -> Connection:
        return Connection.objects.create(
            merchant=self.merchant,
            account=self.account,
            name=name,
            sealed_key=secrets.seal(key),
            key_hint=secrets.hint(key),
            state=Connection.State.CONNECTED,
        )

    def customer(self, email: str) -> Customer:
        customer, _ = Customer.objects.get_or_create(
            merchant=self.merchant, source=self.source, vrio_id=email.partition("@")[0], defaults={"email": email}
        )
        return customer

    def owe(self, unique_id: str, *, email: str = "", phone: str = "", **fields: Any) -> Delivery:
        """One Placed Order that is due now."""
        self.made += 1
        email = email or f"person{self.made}@klaviyo-demo.com"
        happened_at = fields.pop("happened_at", HAPPENED_AT + timedelta(seconds=self.made))
        metric = fields.pop("metric", "Placed Order")
        content = EventContent(metric=metric, unique_id=unique_id, happened_at=happened_at, properties={"OrderId": "1"})
        rendered = render(content, ProfileContent(email=email, phone=phone), backfill=False)
        event = Event.objects.create(
            merchant=self.merchant, source=self.source, authenticated_by="bearer", webhook_type="transaction",
            webhook_event="transaction_completed", event_id=f"{self.merchant.pk}-{self.made}", body=b"{}",
            digest=str(self.made).encode(), state=Event.State.DISPATCHED,
        )  # fmt: skip
        return Delivery.objects.create(
            merchant=self.merchant,
            account=self.account,
            event=event,
            customer=self.customer(email),
            metric=metric,
            unique_id=unique_id,
            path=rendered.path,
            body=body(rendered.body),
            email=email,
            happened_at=happened_at,
            **{"connection": self.connection, "next_attempt_at": timezone.now(), **fields},
        )


def pump(seconds: float = 20.0) -> int:
    """Serve all lanes until nothing is due; returns the number of calls."""
    return Pump(life_seconds=seconds, quiet_seconds=0.1).run()
