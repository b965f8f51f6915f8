"""Puts right what the tables say about the future after their clock was set back, so that nobody waits for it.

Beside the corridor, called by the clock, which notices. What was written while the clock was ahead moves back by as
much. A clock that is set forward needs nothing: leases end and tries come early, with the same ids.
"""

from datetime import datetime, timedelta

from django.db.models import F

from connections.models import Connection, KlaviyoAccount
from events.models import Inbox
from webhooks_log.models import Delivery, Heartbeat

PAUSES = ("throttled_until", "breaker_until", "wanted_until")


def put_right(now: datetime, *, by: timedelta) -> None:
    """Everything; may be repeated by the clocks of other hosts. A lease is kept by whoever reads the clock anew."""
    put_right_deliveries(now, by=by)
    beyond = now + by / 2  # what was written since does not reach so far
    for lease in (KlaviyoAccount, Inbox):
        lease.objects.filter(leased_until__gt=beyond).update(leased_until=F("leased_until") - by)
        lease.objects.filter(served_at__gt=now).update(served_at=now)  # or its turn would come last for hours
        lease.objects.filter(rung_at__gt=now).update(rung_at=None)
    for pause in PAUSES:
        KlaviyoAccount.objects.filter(**{f"{pause}__gt": beyond}).update(**{pause: F(pause) - by})
    Heartbeat.objects.filter(at__gt=now).update(at=F("at") - by)
    Connection.objects.filter(checked_at__gt=now, check_due_at__gt=beyond).update(check_due_at=F("check_due_at") - by)


def put_right_deliveries(now: datetime, *, by: timedelta) -> None:
    """What was put off, or became due, while the clock was ahead."""
    open_rows = Delivery.objects.filter(state__in=(Delivery.State.QUEUED, Delivery.State.WAITING))
    ahead = open_rows.filter(next_attempt_at__gt=now, updated_at__gt=now)
    ahead.update(next_attempt_at=F("next_attempt_at") - by, updated_at=now)
