"""How fast events become Deliveries: `make bench-dispatch`. On the database of TEST_DATABASE_URL, else a SQLite file.

Dispatches sales of distinct customers, then writes the very same Delivery rows and bodies with a bare bulk insert, and
compares the processor time of the two, so that other processes of the machine do not count.
"""

import json
import time

from django.db import transaction
from django.test.runner import DiscoverRunner
from django.utils import timezone

import tests.environment  # noqa: F401  loads Django with an environment of its own
from connections.models import Merchant
from tests.bench.translate import FOLDER, distinct
from tests.webhooks_log.inbox import post, shop
from webhooks_log import dispatch
from webhooks_log.models import Body, Delivery

EVENTS = 2_000
AIM = 0.3


def main() -> None:
    runner = DiscoverRunner(verbosity=0, interactive=False)
    databases = runner.setup_databases()
    try:
        measure(shop())
    finally:
        runner.teardown_databases(databases)


def measure(merchant: Merchant) -> None:
    text = json.dumps(json.loads((FOLDER / "placed_order" / "event.json").read_text()))
    for number in range(EVENTS):
        post(merchant, distinct(text.replace("5325", f"{number}"), number))
    took = dispatched()
    rows = list(Delivery.objects.select_related("body").order_by("pk"))
    bare = inserted(rows)
    print(f"{EVENTS:,} sales, {len(rows):,} Deliveries, per second of processor time")
    print(f"dispatch     {EVENTS / took:8,.0f} events/s   {len(rows) / took:8,.0f} Deliveries/s")
    print(f"bare insert  {EVENTS / bare:8,.0f} events/s   {len(rows) / bare:8,.0f} Deliveries/s")
    print(f"ratio {bare / took:.2f}; aim {AIM}: {'met' if bare / took >= AIM else 'MISSED'}")


def dispatched() -> float:
    began = time.process_time()
    dispatch.run(now=timezone.now(), seconds=600)
    return time.process_time() - began


def inserted(rows: list[Delivery]) -> float:
    """Processor seconds for the same rows and bodies, in transactions of the same size, with nothing to think about."""
    Delivery.objects.all().delete()
    size = 3 * 200
    began = time.process_time()
    for start in range(0, len(rows), size):
        block = rows[start : start + size]
        with transaction.atomic():
            bodies = Body.objects.bulk_create([Body(content=row.body.content, codec=row.body.codec) for row in block])
            for row, body in zip(block, bodies, strict=True):
                row.pk, row.body, row._state.adding = None, body, True
            Delivery.objects.bulk_create(block)
    return time.process_time() - began


if __name__ == "__main__":
    main()
