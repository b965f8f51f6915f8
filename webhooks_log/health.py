"""What a load balancer, an orchestrator and Prometheus ask: alive, ready, and how things are.

Outside the shell and without people: `/healthz` touches nothing, `/readyz` the database, `/metrics` all tables.
"""

import json
from datetime import timedelta
from hmac import compare_digest
from ipaddress import ip_address
from time import monotonic

from django.conf import settings
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_safe

from webhooks_log import heartbeat, metrics

SCRAPED_AT_MOST = 2.0  # seconds for which one answer serves all who ask
WORKER_LATE = timedelta(minutes=1)


@require_safe
@never_cache
def healthz(request: HttpRequest) -> HttpResponse:
    """This process answers."""
    return _json({"status": "ok"})


@require_safe
@never_cache
def readyz(request: HttpRequest) -> HttpResponse:
    """The database answers and knows this release's tables; 503 until then. The worker is told, but decides nothing:
    a web process without one still takes events in."""
    try:
        pending = _pending_migrations()
        age = heartbeat.age("clock", now=timezone.now())
    except DatabaseError:
        return _json({"status": "unavailable", "database": "away"}, status=503)
    worker = "never seen" if age is None else "late" if age > WORKER_LATE else "ok"
    if pending:
        return _json({"status": "unavailable", "database": "ok", "migrations": "pending", "worker": worker}, status=503)
    return _json({"status": "ok", "database": "ok", "migrations": "ok", "worker": worker})


@require_safe
@never_cache
def metrics_page(request: HttpRequest) -> HttpResponse:
    """For whoever has the token, or without one for this machine only."""
    if not _may_scrape(request):
        return _json({"status": "refused"}, status=403)
    try:
        return HttpResponse(_scraped(), content_type=metrics.CONTENT_TYPE)
    except DatabaseError:
        return _json({"status": "unavailable", "database": "away"}, status=503)


_migrated: list[bool] = []  # what is applied once stays so while this process lives
_last: list[tuple[float, bytes]] = []


def _pending_migrations() -> bool:
    if _migrated:
        with connection.cursor() as cursor:
            cursor.execute("SELECT 1")
        return False
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        return True
    _migrated.append(True)
    return False


def _scraped() -> bytes:
    if not _last or monotonic() - _last[0][0] > SCRAPED_AT_MOST:
        _last[:] = [(monotonic(), metrics.written(timezone.now()))]
    return _last[0][1]


def _may_scrape(request: HttpRequest) -> bool:
    if token := settings.METRICS_TOKEN:
        given = request.META.get("HTTP_AUTHORIZATION", "").removeprefix("Bearer ")
        return compare_digest(given.encode(), token.encode())
    return "HTTP_X_FORWARDED_FOR" not in request.META and _is_loopback(request.META.get("REMOTE_ADDR", ""))


def _is_loopback(address: str) -> bool:
    try:
        return ip_address(address).is_loopback
    except ValueError:
        return False


def _json(content: dict[str, str], status: int = 200) -> HttpResponse:
    return HttpResponse(json.dumps(content), status=status, content_type="application/json")
