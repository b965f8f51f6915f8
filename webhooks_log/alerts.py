"""Tells people what is wrong, only when that changes, and not too often.

Beside the corridor, rung by the clock. What is wrong is found anew each time; the Alert's row remembers what people
have been told, so that a restart, a second host or a flapping connection repeats nothing.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.urls import reverse
from django.utils import timezone

from connections import links
from connections.models import Membership
from webhooks_log.alert_findings import Finding, findings
from webhooks_log.alert_kinds import BY_CODE, KINDS, Kind
from webhooks_log.models import Alert, AlertHook, AlertPreference, Notice
from webhooks_log.moments import span

TOLD_AGAIN_AFTER = timedelta(hours=1)  # a thing that comes and goes is told once an hour at most


def look(*, now: datetime | None = None, found: Iterable[Finding] | None = None) -> list[Notice]:
    """Compare what is wrong with what people believe; the notices that were written because of it."""
    now = now or timezone.now()
    wrong = {finding.key: finding for finding in (findings(now) if found is None else found)}
    known = {(alert.kind, alert.subject): alert for alert in Alert.objects.filter(kind__in=BY_CODE)}
    notices = [_note(known.get(key), finding, now) for key, finding in wrong.items()]
    notices += [_note(alert, None, now) for key, alert in known.items() if key not in wrong]
    return [notice for written in notices for notice in written]


@transaction.atomic
def _note(alert: Alert | None, finding: Finding | None, now: datetime) -> list[Notice]:
    """One Alert's new state, and whom to tell."""
    if alert is None:
        assert finding is not None
        alert, _ = Alert.objects.get_or_create(
            kind=finding.kind, subject=finding.subject, defaults={"since": now, "merchant_id": finding.merchant_id}
        )
    alert = Alert.objects.select_for_update().get(pk=alert.pk)
    if finding is None and not alert.is_on and not alert.told_on:
        return []
    if alert.is_on != (finding is not None):
        alert.is_on, alert.since = finding is not None, now
    if finding is not None:
        alert.name, alert.sentence, alert.count = finding.name, finding.sentence, finding.count
    told = _tell(alert, BY_CODE[alert.kind], now)
    alert.save()
    return told


def _tell(alert: Alert, kind: Kind, now: datetime) -> list[Notice]:
    """Write notices when people believe something else, it has lasted long enough, and they were not just told."""
    patience = kind.holds if alert.is_on else kind.rests
    if alert.is_on == alert.told_on or now - alert.since < patience:
        return []
    if alert.is_on and alert.told_at and now - alert.told_at < TOLD_AGAIN_AFTER:
        return []
    title, text = words(alert, kind, now)
    alert.told_on, alert.told_at = alert.is_on, now
    to_people = [Notice(alert=alert, user=user, title=title, text=text, created_at=now) for user in listeners(alert)]
    hooks = AlertHook.objects.filter(merchant=alert.merchant_id)
    to_hooks = [Notice(alert=alert, hook=hook, title=title, text=text, created_at=now) for hook in hooks]
    for notice in (*to_people, *to_hooks):
        notice.next_attempt_at = now
    return Notice.objects.bulk_create([*to_people, *to_hooks])


def words(alert: Alert, kind: Kind, now: datetime) -> tuple[str, str]:
    """Title and text: what happened, since when, how many, what to do, where to look."""
    title = f"{kind.title if alert.is_on else kind.over}: {alert.name}"[:200]
    since = f"Since {alert.since:%B %-d, %Y, %H:%M} UTC ({span((now - alert.since).total_seconds())})."
    if not alert.is_on:
        return title, f"{kind.over}. {since}\n\nThere is nothing to do.\n\n{_link()}\n"
    return title, f"{alert.sentence}\n{since}\n\nWhat to do: {kind.advice}\n\n{_link()}\n"


def listeners(alert: Alert) -> list[Any]:
    """Everybody who wants to hear of this kind by mail and has an address."""
    wishes = dict(AlertPreference.objects.filter(merchant=alert.merchant_id).values_list("user", "kinds"))
    users = get_user_model().objects.filter(is_active=True).exclude(email="")
    if alert.merchant_id is None:
        people = [(user, True) for user in users.filter(is_superuser=True)]
    else:
        places = Membership.objects.filter(merchant=alert.merchant_id, user__in=users).select_related("user")
        people = [(place.user, place.role == Membership.Role.OWNER) for place in places.order_by("pk")]
    return [user for user, hears_all in people if _wants(wishes.get(user.pk), alert.kind, hears_all=hears_all)]


def default_kinds(*, is_staff: bool, is_owner: bool) -> list[str]:
    """What a person hears of who never chose."""
    return [kind.code for kind in KINDS if kind.is_for_staff == is_staff] if is_staff or is_owner else []


def _wants(wish: list[str] | None, kind: str, *, hears_all: bool) -> bool:
    return hears_all if wish is None else kind in wish


def _link() -> str:
    return links.public(reverse("admin:alerts"))
