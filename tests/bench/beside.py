"""How long the door takes while the whole corridor behind it is busy on the same cores.

Part of `make bench-ingest`: 100 events a second come in, four calls each go out to a sandbox that answers in 150 ms.
"""

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from events.demo.first_order import first_order
from tests.bench.load import Measured, open_loop, request_bytes
from tests.running import manage, module, process, web
from tests.twin import Twin

PER_SECOND = 100
CALLS = 4  # Placed Order, Ordered Product twice, Started Subscription
NOON = datetime(2026, 3, 2, 17, 0, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Busy:
    """The answers' latencies, the calls that went out in a second meanwhile, and how many went out in the end."""

    measured: Measured
    calls_per_second: float
    share_delivered: float


def beside_deliveries(environ: dict[str, str], *, seconds: float) -> Busy:
    """100 events a second for so long, and what became of them."""
    with whole(environ, store_requests=False) as (twin, port, requests):
        warm_up(twin, port, requests)
        before = calls(twin)
        measured = open_loop(port, requests, per_second=PER_SECOND, seconds=seconds)
        meanwhile = calls(twin) - before
        return Busy(measured, meanwhile / measured.seconds, meanwhile / (len(measured.latencies) * CALLS))


@contextmanager
def whole(environ: dict[str, str], **twin_settings: Any) -> Iterator[tuple[Twin, int, Iterator[bytes]]]:
    """Web, worker and sandbox together, on a database of their own: the sandbox, the web's port, and orders to post.

    The orders' own numbers count from 1. 400 calls a second at 150 ms keep sixty threads busy on average, so that 64
    would leave no room for events that come at once.
    """
    with ExitStack() as running:
        twin = Twin()
        running.callback(twin.stop)
        twin.settings(limits="off", latency_ms=150, **twin_settings)
        environ = environ | {
            "KLAVIYO_BASE_URL": twin.url,
            "BUDGET_ENABLED": "false",
            "LANE_BULK_ABOVE": "0",
            "LANE_THREADS": "96",
        }
        manage(environ, "migrate", "-v", "0")
        bearer = json.loads(module(environ, "tests.bench.ingest_keys"))["bearer"]
        port, _ = running.enter_context(web(environ))
        running.enter_context(process(environ, "manage.py", "worker"))
        yield twin, port, _orders({"Authorization": f"Bearer {bearer}"})


def warm_up(twin: Twin, port: int, requests: Iterator[bytes]) -> int:
    """A few seconds at a quarter of the rate, until all of it has gone out; how many orders that were."""
    seen = open_loop(port, requests, per_second=PER_SECOND / 4, seconds=4)
    wait_for(twin, len(seen.latencies) * CALLS)
    return len(seen.latencies)


def wait_for(twin: Twin, wanted: int) -> None:
    until = time.monotonic() + 60
    while calls(twin) < wanted and time.monotonic() < until:
        time.sleep(0.2)


def calls(twin: Twin) -> int:
    return sum(twin.state()["answers"].values())


def _orders(headers: dict[str, str]) -> Iterator[bytes]:
    for number in itertools.count(1):
        event = first_order(NOON)
        record = event["webhook_data"]["transaction"]
        subscription = record["transaction_order_offers"][0]
        once = subscription | {"order_offer_id": f"{number}2", "offer_id": "20", "item_id": "31", "is_recurring": "0"}
        event["webhook_event_id"] = str(number)
        record |= {"id": str(number), "order": {"id": str(number), "campaign_id": "1", "is_test": "0"}}
        record["customer"] |= {"id": str(number), "email": f"shopper{number}@klaviyo-demo.com", "phone": ""}
        record["transaction_order_offers"] = [subscription | {"order_offer_id": f"{number}1"}, once]
        yield request_bytes("/api/v1/events", json.dumps(event).encode(), headers)
