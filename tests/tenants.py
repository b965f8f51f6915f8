"""Two shops with a row of everything: what a stranger must never see, and what makes every form of ours appear.

The ids of the first shop made begin far from any other row's, in every table and on every database, so that a test
that puts ids into addresses and forms means these rows.
"""

from typing import Any

from django.apps import apps
from django.db import connection as database
from django.db import models
from django.utils import timezone

from connections import audit, keys, people, secrets
from connections.models import Campaign, KlaviyoAccount, Merchant
from events.models import (
    Event,
    Inbox,
    Order,
    Product,
    Refusal,
    Subscription,
    SubscriptionStatus,
    Suppression,
    Transaction,
)
from tests.webhooks_log.shop import NOON, call, connection, customer, delivery, event, merchant, message, person, source
from webhooks_log.models import (
    Alert,
    AlertHook,
    AlertPreference,
    Erasure,
    ErasureCall,
    HourlyCount,
    Note,
    Notice,
    Replay,
    SavedFilter,
)

FIRST = 900_001
IDS = range(FIRST, FIRST + 4)  # no table gets more rows of one shop
OURS = ("connections", "events", "webhooks_log")


def our_models() -> list[type[models.Model]]:
    return [model for model in apps.get_models() if model._meta.app_label in OURS]


def count_from_far(first: int = FIRST) -> None:
    """Let the next row of every table of ours have this id."""
    for model in our_models():
        if isinstance(model._meta.pk, models.AutoField | models.BigAutoField):
            _count_from(model._meta.db_table, first - 1)


def _count_from(table: str, last: int) -> None:
    with database.cursor() as cursor:
        if database.vendor == "postgresql":
            cursor.execute("SELECT setval(pg_get_serial_sequence(%s, 'id'), %s)", [table, last])
            return
        cursor.execute("UPDATE sqlite_sequence SET seq = %s WHERE name = %s", [last, table])
        if not cursor.rowcount:
            cursor.execute("INSERT INTO sqlite_sequence (name, seq) VALUES (%s, %s)", [table, last])


def shop_with_everything(mark: str, mail: str) -> Merchant:
    """A merchant with at least one row in every table that belongs to one, each with the mark in it where words fit."""
    shop = merchant(mark)
    owner = person(shop, "owner")
    owner.email = f"owner-{mail}"
    owner.save()
    to = connection(
        shop, mark, sealed_key=b"sealed", state="wrong_account", state_detail=mark, check_result={"cid": "Other1"}
    )
    KlaviyoAccount.objects.filter(pk=to.account_id).update(name=mark, cid=f"C{shop.pk}")
    Inbox.objects.create(merchant=shop)
    to.campaigns.add(Campaign.objects.create(merchant=shop, vrio_id="77", name=mark))
    who = customer(shop, mail, last_name=mark)
    sent = delivery(to, who, message(email=mail, Mark=mark))
    call(sent, answer=mark.encode(), own=message(email=mail))
    delivery(to, who, message(email=mail), state="waiting", reason="customer_unknown", detail=mark)
    _received(shop, mark, who, sent.event)
    _around(shop, mark, mail, who, sent, owner)
    return shop


def _received(shop: Merchant, mark: str, who: Any, told: Event) -> None:
    Product.objects.create(merchant=shop, offer_id="1", item_id="2", name=mark)
    key, _ = keys.new_bearer(source(shop), name=mark, scope="read")
    event(shop, mark.encode(), state=Event.State.HELD, detail=mark, key=key)
    Refusal.objects.create(merchant=shop, source=source(shop), status=422, code="x", detail=mark, body=mark.encode())
    common = {"source": source(shop), "vrio_id": mark, "customer": who}
    Order.objects.create(**common)
    Transaction.objects.create(
        **common, type="sale", is_approved=True, completed_at=NOON, event=told, facts_at=NOON, order_id="1253"
    )
    subscription = Subscription.objects.create(**common, facts_at=NOON, event=told, status=mark[:20])
    SubscriptionStatus.objects.create(subscription=subscription, at=NOON, status=mark[:20], event=told)
    Suppression.objects.create(merchant=shop, digest=mark)


def _around(shop: Merchant, mark: str, mail: str, who: Any, sent: Any, owner: Any) -> None:
    now = timezone.now()
    HourlyCount.objects.create(merchant=shop, connection=sent.connection, metric=mark, hour=now, outcome="delivered")
    Note.objects.create(merchant=shop, customer=who, text=mark, author=owner)
    Replay.objects.create(merchant=shop, reason=mark, actor=owner, selection={"merchant": shop.slug}, total=1)
    SavedFilter.objects.create(user=owner, name=mark, query="state=failed")
    erasure = Erasure.objects.create(merchant=shop, digest=mark, actor_name=mark, reason=mark, actor=owner)
    ErasureCall.objects.create(erasure=erasure, connection=sent.connection, account=sent.account, detail=mark)
    alert = Alert.objects.create(
        kind="key_refused", subject=f"connection:{sent.connection_id}", merchant=shop, name=mark, sentence=mark,
        is_on=True, since=now,
    )  # fmt: skip
    hook = AlertHook.objects.create(merchant=shop, name=mark, sealed_url=secrets.seal(mark), host="hooks.example.com")
    Notice.objects.create(alert=alert, hook=hook, title=mark, text=mark)
    AlertPreference.objects.create(user=owner, merchant=shop, kinds=["key_refused"])
    people.invite(shop, mail, "support", owner)
    audit.record(owner, "changed", sent.connection, {"name": (None, mark)})
