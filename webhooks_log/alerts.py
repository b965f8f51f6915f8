"""Tells people what is wrong, only when that changes, and not too often.

Beside the corridor, rung by the clock. What is wrong is found anew each time; the Alert's row remembers what people
have been told, so that a restart, a second host or a flapping connection repeats nothing. Nobody is told that a thing
is well again which merely was switched off, or cannot be seen from here.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone

from connections import links
from connections.models import Membership
from webhooks_log import heartbeat
from webhooks_log.alert_findings import Finding, findings
from webhooks_log.alert_kinds import BY_CODE, KINDS, Kind
from webhooks_log.alert_sight import Sight, look_of, sight_of, this_host
from webhooks_log.models import Alert, AlertHook, AlertPreference, Notice
from webhooks_log.moments import span

TOLD_AGAIN_AFTER = timedelta(hours=1)  # a thing that comes and goes is told once an hour at most
BELIEVED = Q(is_on=True) | Q(told_on=True)


def look(*, now: datetime | None = None, found: Iterable[Finding] | None = None) -> list[Notice]:
    """Compare what is wrong with what people believe; the notices that were written because of it."""
    now = now or timezone.now()
    heartbeat.beat(look_of(this_host()))
    wrong = {finding.key: finding for finding in (findings(now) if found is None else found)}
    known = {(alert.kind, alert.subject): alert for alert in Alert.objects.filter(BELIEVED, kind__in=BY_CODE)}
    over = [alert for key, alert in known.items() if key not in wrong]
    sight = sight_of(over, now)
    notices = [_note(_alert(finding, now), finding, now) for finding in wrong.values()]
    notices += [_note(alert, None, now) for alert in over if sight[alert.pk] is Sight.CLEAR]
    for alert in over:
        if sight[alert.pk] is Sight.GONE:
            _end_quietly(alert, now)
    return [notice for written in notices for notice in written]


def _alert(finding: Finding, now: datetime) -> Alert:
    alert, _ = Alert.objects.get_or_create(
        kind=finding.kind, subject=finding.subject, defaults={"since": now, "merchant_id": finding.merchant_id}
    )
    return alert


@transaction.atomic
def _note(alert: Alert, finding: Finding | None, now: datetime) -> list[Notice]:
    """One Alert's new state, and whom to tell."""
    alert = Alert.objects.select_for_update(of=("self",)).select_related("merchant").get(pk=alert.pk)
    if alert.is_on != (finding is not None):
        alert.is_on, alert.since = finding is not None, now
    if finding is not None:
        alert.name, alert.sentence, alert.count = finding.name, finding.sentence, finding.count
    told = _tell(alert, BY_CODE[alert.kind], now)
    alert.save()
    return told


def _end_quietly(alert: Alert, now: datetime) -> None:
    """Nobody asks any more: neither that it is wrong nor that it is well again needs to be said."""
    Alert.objects.filter(pk=alert.pk).update(is_on=False, told_on=False, since=now)


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
    to_hooks = [Notice(alert=alert, hook=hook, title=title, text=text, created_at=now) for hook in channels(alert)]
    for notice in (*to_people, *to_hooks):
        notice.next_attempt_at = now
    return Notice.objects.bulk_create([*to_people, *to_hooks])


def words(alert: Alert, kind: Kind, now: datetime) -> tuple[str, str]:
    """Title and text: what happened, at which merchant, since when, how many, what to do, where to look."""
    title = " ".join(f"{kind.title if alert.is_on else kind.over}: {alert.name}".split())[:200]
    place = f"{alert.merchant.name}: " if alert.merchant else ""
    since = f"Since {alert.since:%B %-d, %Y, %H:%M} UTC ({span((now - alert.since).total_seconds())})."
    if not alert.is_on:
        return title, f"{place}{kind.over}. {since}\n\nThere is nothing to do.\n\n{_link()}\n"
    return title, f"{place}{alert.sentence}\n{since}\n\nWhat to do: {kind.advice}\n\n{_link()}\n"


def listeners(alert: Alert) -> list[Any]:
    """Everybody who wants to hear of this kind by mail and has an address, each once."""
    users = get_user_model().objects.filter(is_active=True).exclude(email="")
    heard_by = {user.pk: user for user in [*_of_merchant(alert, users), *_of_staff(alert, users)]}
    return list(heard_by.values())


def _of_merchant(alert: Alert, users: Any) -> list[Any]:
    """People with a place there; without a wish of their own owners hear everything, others nothing."""
    if alert.merchant_id is None:
        return []
    wishes = _wishes(alert.merchant_id)
    places = Membership.objects.filter(merchant=alert.merchant_id, user__in=users).select_related("user").order_by("pk")
    people = [(place.user, place.role == Membership.Role.OWNER) for place in places]
    return [user for user, is_owner in people if _wants(wishes.get(user.pk), alert.kind, by_default=is_owner)]


def _of_staff(alert: Alert, users: Any) -> list[Any]:
    """The platform's staff: of the machinery by default, of merchants' troubles where they chose to."""
    wishes, is_ours = _wishes(None), alert.merchant_id is None
    staff = users.filter(is_superuser=True).order_by("pk")
    return [user for user in staff if _wants(wishes.get(user.pk), alert.kind, by_default=is_ours)]


def channels(alert: Alert) -> Any:
    """The merchant's channels, or the staff's; one of the staff's may want to hear of all merchants."""
    of_merchants = Q(merchant=None, hears_merchants=True) if alert.merchant_id else Q(pk=None)
    return AlertHook.objects.filter(Q(merchant=alert.merchant_id) | of_merchants).order_by("pk")


def default_kinds(*, is_staff: bool, is_owner: bool) -> list[str]:
    """What a person hears of who never chose."""
    return [kind.code for kind in KINDS if kind.is_for_staff == is_staff] if is_staff or is_owner else []


def _wishes(merchant_id: int | None) -> dict[int, list[str]]:
    return dict(AlertPreference.objects.filter(merchant=merchant_id).values_list("user", "kinds"))


def _wants(wish: list[str] | None, kind: str, *, by_default: bool) -> bool:
    return by_default if wish is None else kind in wish


def _link() -> str:
    return links.public(reverse("admin:alerts"))
