"""One database's rounds of the dispatch benchmark, as JSON: seconds for dispatching, and for a bare insert of the same.

Started by `tests.bench.dispatch`, on the database of TEST_DATABASE_URL or else on a SQLite file.
"""

import json
import sys
import time
from typing import Any

from django.db import transaction
from django.test.runner import DiscoverRunner
from django.utils import timezone

import tests.environment  # noqa: F401  loads Django with an environment of its own
from connections.models import Merchant
from events.models import Event
from tests.bench.translate import FOLDER, distinct
from tests.webhooks_log.inbox import post, shop
from webhooks_log import dispatch
from webhooks_log.models import Body, Delivery

BLOCK = 3 * 200  # a batch of dispatch makes three Deliveries of each sale


def main(events: int, rounds: int) -> None:
    runner = DiscoverRunner(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    try:
        print(json.dumps([measured(number, events) for number in range(rounds)]))
    finally:
        runner.teardown_databases(databases)


def measured(number: int, events: int) -> dict[str, Any]:
    arrived(shop(f"vita{number}"), range(number * events, (number + 1) * events))
    began = time.perf_counter()
    dispatch.run(now=timezone.now(), seconds=600)
    took = time.perf_counter() - began
    assert not Event.objects.filter(state="received").exists()
    rows = list(Delivery.objects.select_related("body").filter(merchant__slug=f"vita{number}").order_by("pk"))
    return {"rows": len(rows), "dispatch": took, "bare": inserted(rows)}


def arrived(merchant: Merchant, numbers: range) -> None:
    text = json.dumps(json.loads((FOLDER / "placed_order" / "event.json").read_text()))
    with transaction.atomic():
        for number in numbers:
            post(merchant, distinct(text.replace("5325", f"{number}"), number))


def inserted(rows: list[Delivery]) -> float:
    """Seconds for the same rows and bodies, in transactions of the same size, with nothing to think about."""
    Delivery.objects.filter(pk__in=[row.pk for row in rows]).delete()
    began = time.perf_counter()
    for start in range(0, len(rows), BLOCK):
        block = rows[start : start + BLOCK]
        with transaction.atomic():
            bodies = Body.objects.bulk_create([Body(content=row.body.content, codec=row.body.codec) for row in block])
            for row, body in zip(block, bodies, strict=True):
                row.pk, row.body, row._state.adding = None, body, True
            Delivery.objects.bulk_create(block)
    return time.perf_counter() - began


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]))
