"""Whether an Alert whose trouble was not found again is over, or merely out of sight.

Under `webhooks_log.alerts`. A connection that was switched off has no trouble that anybody waits for; the disk of
another host can only be judged there.
"""

import socket
from collections.abc import Iterable
from datetime import datetime, timedelta
from enum import Enum, auto

from connections.models import Connection
from webhooks_log import heartbeat
from webhooks_log.models import Alert

HOST_IS_GONE_AFTER = timedelta(hours=1)


class Sight(Enum):
    CLEAR = auto()  # looked at, and well
    ELSEWHERE = auto()  # another host looks at it
    GONE = auto()  # nobody looks at it any more


def sight_of(alerts: Iterable[Alert], now: datetime) -> dict[int, Sight]:
    """How well each of these Alerts, by id, can be judged from here."""
    rows = list(alerts)
    if not rows:
        return {}
    working = Connection.objects.living().filter(is_active=True).values_list("pk", "merchant_id")
    watched = {f"connection:{pk}" for pk, _ in working} | {f"merchant:{merchant}" for _, merchant in working}
    return {alert.pk: _sight(alert, watched, now) for alert in rows}


def this_host() -> str:
    return socket.gethostname()[:40]


def look_of(host: str) -> str:
    """The heartbeat of a host that looks for troubles of its own."""
    return f"look:{host}"


def _sight(alert: Alert, watched: set[str], now: datetime) -> Sight:
    what, _, name = alert.subject.partition(":")
    if what == "host" and name != this_host():
        age = heartbeat.age(look_of(name), now=now)
        return Sight.GONE if age is None or age > HOST_IS_GONE_AFTER else Sight.ELSEWHERE
    is_watched = alert.subject in watched or what not in ("connection", "merchant")
    return Sight.CLEAR if is_watched or alert.kind == "refused" else Sight.GONE
