"""How long the door takes while the whole corridor behind it is busy on the same cores.

Part of `make bench-ingest`: 100 events a second come in, four calls each go out to a sandbox that answers in 150 ms.
"""

import itertools
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime

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
    """Web, worker and sandbox together, on a database of their own."""
    with ExitStack() as running:
        twin = Twin()
        running.callback(twin.stop)
        twin.settings(limits="off", store_requests=False, latency_ms=150)
        environ = environ | {"KLAVIYO_BASE_URL": twin.url, "BUDGET_ENABLED": "false", "LANE_BULK_ABOVE": "100000000"}
        manage(environ, "migrate", "-v", "0")
        bearer = json.loads(module(environ, "tests.bench.ingest_keys"))["bearer"]
        port, _ = running.enter_context(web(environ))
        running.enter_context(process(environ, "manage.py", "worker"))
        requests = _orders({"Authorization": f"Bearer {bearer}"})
        warm_up = open_loop(port, requests, per_second=PER_SECOND / 4, seconds=4)
        _wait_for(twin, len(warm_up.latencies) * CALLS)
        before = _calls(twin)
        measured = open_loop(port, requests, per_second=PER_SECOND, seconds=seconds)
        meanwhile = _calls(twin) - before
        return Busy(measured, meanwhile / measured.seconds, meanwhile / (len(measured.latencies) * CALLS))


def _wait_for(twin: Twin, calls: int) -> None:
    until = time.monotonic() + 60
    while _calls(twin) < calls and time.monotonic() < until:
        time.sleep(0.2)


def _calls(twin: Twin) -> int:
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
