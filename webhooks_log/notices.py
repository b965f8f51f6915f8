"""Sends what is to be told: by mail to people, by a hook to a channel, again later where nobody takes it.

After `webhooks_log.alerts`. A Notice is a row until it is sent, so a mail server may be away for a night.
"""

from datetime import datetime, timedelta
from smtplib import SMTPException

from django.core.mail import send_mail
from django.utils import timezone

from connections import hooks
from connections.secrets import KeyLost, unseal
from webhooks_log.models import Notice

LADDER = (60, 300, 900, 3600, 14400, 43200)  # seconds; then given up
BLOCK = 50


def send_due(*, now: datetime | None = None) -> int:
    """Send what is due; how many were taken."""
    now = now or timezone.now()
    due = Notice.objects.filter(next_attempt_at__lte=now).select_related("user", "hook").order_by("pk")[:BLOCK]
    return sum(_send(notice, now) for notice in due)


def _send(notice: Notice, now: datetime) -> bool:
    """Claimed before it is sent: a process that dies here repeats it on the ladder, two at once send it once."""
    wait = LADDER[notice.tries] if notice.tries < len(LADDER) else None
    later = None if wait is None else now + timedelta(seconds=wait)
    claimed = Notice.objects.filter(pk=notice.pk, tries=notice.tries, next_attempt_at__isnull=False)
    if not claimed.update(tries=notice.tries + 1, next_attempt_at=later):
        return False
    error = _error_of(notice)
    if error:
        Notice.objects.filter(pk=notice.pk).update(error=error[:300])
        return False
    Notice.objects.filter(pk=notice.pk).update(sent_at=now, next_attempt_at=None, error="")
    return True


def _error_of(notice: Notice) -> str:
    """Try once; "" when it was taken."""
    try:
        if notice.user is not None:
            send_mail(notice.title, notice.text, None, [notice.user.email])
        elif notice.hook is not None:
            hooks.post(unseal(bytes(notice.hook.sealed_url)), f"*{notice.title}*\n{notice.text}")
    except (SMTPException, OSError, hooks.HookFailed, KeyLost) as error:
        return f"{error.__class__.__name__}: {error}"
    return ""
