"""Signs of life: rows that parts of the worker renew, and that the watchdog and the health pages read."""

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone

from webhooks_log import stopping
from webhooks_log.models import Heartbeat

QUEUE = "queue"


def beat(name: str, **detail: Any) -> None:
    """Say that the part of that name is alive now; the queue says it to its own worker as well."""
    if name == QUEUE:
        stopping.show_life()
    Heartbeat.objects.update_or_create(name=name, defaults={"at": timezone.now(), "detail": detail})


def age(name: str, *, now: datetime) -> timedelta | None:
    """How long ago that part was last seen; None if never."""
    at = Heartbeat.objects.filter(name=name).values_list("at", flat=True).first()
    return None if at is None else now - at
