"""One measured process of the delivery benchmark: fills a database, runs a pump, or the bare loop it is held against.

Started by `tests.bench.delivery` with the environment it should have; prints one JSON object.
"""

import argparse
import json
import os
import resource
import time
from collections.abc import Callable
from contextlib import ExitStack
from itertools import count
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

import requests  # noqa: E402
from django.db import connection, transaction  # noqa: E402
from django.utils import timezone  # noqa: E402

from connections import secrets  # noqa: E402
from connections.klaviyo.payloads import EventContent, ProfileContent, render  # noqa: E402
from connections.klaviyo.sandbox.accounts import key_for  # noqa: E402
from connections.models import Connection, KlaviyoAccount, Merchant, Source  # noqa: E402
from connections.writing import insert_rows  # noqa: E402
from events.models import Customer, Event  # noqa: E402
from webhooks_log.models import Attempt, Delivery  # noqa: E402
from webhooks_log.packing import packed_body  # noqa: E402
from webhooks_log.pump import Pump  # noqa: E402

ITEM = {
    "OfferName": "Monthly Vitamins", "OfferId": "1", "ItemId": "2", "ItemName": "Vitamin D3", "SKU": "VIT-D3",
    "Quantity": "1", "ItemPrice": "29.99", "RowTotal": "29.99", "Categories": ["Supplements"],
}  # fmt: skip
ADDRESS = {
    "FirstName": "Sarah",
    "LastName": "Mason",
    "Address1": "1 Main Street",
    "City": "Boston",
    "CountryCode": "US",
}


def message(number: int) -> bytes:
    """One order of about 1.8 KB; every one of another customer, so that order within a customer costs nothing."""
    content = EventContent(
        metric="Placed Order",
        unique_id=f"bench-{number}",
        happened_at=timezone.now(),
        properties={
            "OrderId": str(number),
            "TransactionId": f"bench-{number}",
            "Cycle": "1",
            "Categories": ["Supplements"],
            "ItemNames": ["Monthly Vitamins"],
            "Items": [ITEM] * 5,
            "BillingAddress": ADDRESS,
            "ShippingAddress": ADDRESS,
        },
    )  # fmt: skip
    return render(content, ProfileContent(email=f"p{number}@klaviyo-demo.com", first_name="Sarah"), backfill=False).body


def fill(rows: int, cid: str, start: int, blocks: int = 5000) -> dict[str, Any]:
    """That many due Deliveries of one account, each with an Event and a Customer of its own."""
    merchant, _ = Merchant.objects.get_or_create(slug=f"m-{cid.lower()}", defaults={"name": cid})
    source, _ = Source.objects.get_or_create(merchant=merchant, name="Vrio")
    account, _ = KlaviyoAccount.objects.get_or_create(cid=cid)
    held, _ = Connection.objects.get_or_create(
        merchant=merchant, account=account, name="Klaviyo",
        defaults={"sealed_key": secrets.seal(key_for(cid, "full")), "state": "connected"},
    )  # fmt: skip
    for first in range(start, start + rows, blocks):
        numbers = range(first, min(first + blocks, start + rows))
        _fill_block(numbers, merchant, source, account, held)
    return {"rows": rows, "at": time.time()}


@transaction.atomic
def _fill_block(numbers: range, merchant: Any, source: Any, account: Any, held: Any) -> None:
    now = timezone.now()
    bodies = [packed_body(message(number)) for number in numbers]
    events = [
        Event(
            merchant=merchant, source=source, authenticated_by="bearer", webhook_type="transaction",
            webhook_event="transaction_completed", event_id=str(number), body=b"{}", digest=str(number).encode(),
            state="dispatched",
        )
        for number in numbers
    ]  # fmt: skip
    customers = [
        Customer(merchant=merchant, source=source, vrio_id=str(number), email=f"p{number}@klaviyo-demo.com")
        for number in numbers
    ]
    for rows in (bodies, events, customers):
        insert_rows(rows)
    insert_rows([
        Delivery(
            merchant=merchant, connection=held, account=account, event=event, customer=customer, metric="Placed Order",
            unique_id=f"bench-{number}", path="/api/events", body=body, happened_at=now, next_attempt_at=now,
        )
        for number, event, customer, body in zip(numbers, events, customers, bodies, strict=True)
    ])  # fmt: skip


def pump(seconds: float, quiet: float) -> dict[str, Any]:
    """Serve every lane until nothing has been due for `quiet` seconds.

    Returns calls, seconds, processor seconds, statements, and memory in MB.
    """
    statements = count()

    def counted(execute: Callable[..., Any], *args: Any) -> Any:
        next(statements)
        return execute(*args)

    with ExitStack() as stack:
        stack.enter_context(connection.execute_wrapper(counted))
        return _measured(lambda: Pump(life_seconds=seconds, quiet_seconds=quiet).run()) | {
            "statements": next(statements)
        }


def bare(rows: int, threads: int, cid: str) -> dict[str, Any]:
    """The floor: a pooled `requests` session with as many threads and the same bodies, storing nothing."""
    todo: SimpleQueue[bytes] = SimpleQueue()
    for number in range(rows):
        todo.put(message(number))
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", requests.adapters.HTTPAdapter(pool_maxsize=threads))
    headers = {
        "Authorization": f"Klaviyo-API-Key {key_for(cid, 'full')}", "revision": "2026-10-15",
        "Accept": "application/vnd.api+json", "Content-Type": "application/vnd.api+json",
    }  # fmt: skip
    url = os.environ["KLAVIYO_BASE_URL"] + "/api/events"

    def work() -> None:
        try:
            while True:
                answer = session.post(url, data=todo.get_nowait(), headers=headers, timeout=30)
                assert answer.status_code == 202, answer.text
        except Empty:
            return

    def run() -> int:
        workers = [Thread(target=work) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return rows

    return _measured(run)


def books(cid: str) -> dict[str, Any]:
    """What the tables say of an account: still owed, on the wire, and Attempts whose outcome nobody knows."""
    rows = Delivery.objects.filter(account__cid=cid)
    return {
        "open": rows.filter(state__in=Delivery.OPEN).count(),
        "sending": rows.filter(state="sending").count(),
        "interrupted": Attempt.objects.filter(delivery__in=rows, kind="interrupted", verdict="interrupted").count(),
    }


def forget() -> dict[str, Any]:
    """Nothing is owed any more."""
    return {"rows": Delivery.objects.filter(state__in=Delivery.OPEN).update(state="skipped", next_attempt_at=None)}


def _measured(work: Callable[[], int]) -> dict[str, Any]:
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.monotonic()
    calls = work()
    after, seconds = resource.getrusage(resource.RUSAGE_SELF), time.monotonic() - began
    processor = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"calls": calls, "seconds": seconds, "cpu": processor, "rss": after.ru_maxrss / 1024}


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["fill", "pump", "bare", "books", "forget"])
    parser.add_argument("--rows", type=int, default=1000)
    parser.add_argument("--start", type=int, default=0)
    parser.add_argument("--threads", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--quiet", type=float, default=0.05)
    parser.add_argument("--cid", default="Bench1")
    given = parser.parse_args()
    results = {
        "fill": lambda: fill(given.rows, given.cid, given.start),
        "pump": lambda: pump(given.seconds, given.quiet),
        "bare": lambda: bare(given.rows, given.threads, given.cid),
        "books": lambda: books(given.cid),
        "forget": forget,
    }
    print(json.dumps(results[given.what]()))
