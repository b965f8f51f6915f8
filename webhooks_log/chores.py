"""What is done every now and then: each chore with its period, rung by the clock of whichever host looks first.

Beside the corridor. The row of a chore's last turn is the agreement between hosts: who moves its moment forward rings.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta

from django.utils import timezone
from django_q.tasks import async_task

from webhooks_log import alerts, dispatch, erasure, fresh_profile, notices, tally
from webhooks_log import purge as purging
from webhooks_log import replay as replays
from webhooks_log.models import Heartbeat


@dataclass(frozen=True, slots=True)
class Chore:
    name: str
    every: timedelta

    @property
    def entrance(self) -> str:
        return f"webhooks_log.chores.{self.name}"

    @property
    def row(self) -> str:
        return f"chore:{self.name}"


PURGE = Chore("purge", timedelta(hours=1))
CHORES = (
    PURGE,
    Chore("erase", timedelta(seconds=10)),
    Chore("count", timedelta(seconds=15)),
    Chore("tell", timedelta(seconds=20)),
    Chore("send_again", timedelta(seconds=3)),
    Chore("freshen", timedelta(seconds=3)),
)
SOON = timedelta(seconds=10)


def ring_due(now: datetime) -> int:
    """Ask the queue for every chore whose time has come; how many. For the clock, as often as it likes."""
    return sum(_ring(chore, now) for chore in CHORES)


def _ring(chore: Chore, now: datetime) -> bool:
    Heartbeat.objects.get_or_create(name=chore.row, defaults={"at": now - chore.every})
    if not Heartbeat.objects.filter(name=chore.row, at__lte=now - chore.every).update(at=now):
        return False
    async_task(chore.entrance)
    return True


# ── What the queue calls ─────────────────────────────────────────────────────────────────────────────────────────────
def purge() -> None:
    """One turn; where more is due, the next one follows soon."""
    if not purging.purge():
        Heartbeat.objects.filter(name=PURGE.row).update(at=timezone.now() - PURGE.every + SOON)


def erase() -> None:
    """Carry on every erasure that is not done."""
    erasure.advance_all()


def send_again() -> None:
    """Every running replay in a task of its own, so that none of them holds up another."""
    for replay in replays.running():
        async_task(replays.ADVANCE, replay)


def freshen() -> None:
    """Render the profiles that late messages owe."""
    dispatch.ring_lanes(fresh_profile.render_owed(now=timezone.now()))


def count() -> None:
    """Fold what is complete into the counters that Prometheus reads."""
    tally.fold()


def tell() -> None:
    """Look what is wrong, and send what is to be told about it."""
    alerts.look()
    notices.send_due()
