"""Sends what is to be told: by mail to people, by a hook to a channel, again later where nobody takes it.

After `webhooks_log.alerts`. A Notice is a row until it is sent, so a mail server may be away for a night.
"""

import time
from datetime import datetime, timedelta
from smtplib import SMTPDataError, SMTPException, SMTPRecipientsRefused, SMTPSenderRefused
from urllib.parse import urlsplit

from django.core.mail import EmailMessage
from django.utils import timezone

from connections import hooks, links
from connections.secrets import KeyLost, unseal
from webhooks_log.models import Notice

LADDER = (60, 300, 900, 3600, 14400, 43200)  # seconds; then given up
BLOCK = 50
TURN_SECONDS = 10.0  # a turn of the queue: servers that do not answer must not keep its processes
KEPT_FOR = timedelta(days=90)
ABOUT_ONE_MAIL = (SMTPRecipientsRefused, SMTPSenderRefused, SMTPDataError)


class NobodyThere(Exception):
    """The person was put out of the installation meanwhile."""


def send_due(*, now: datetime | None = None, seconds: float = TURN_SECONDS) -> int:
    """Send what is due, for at most `seconds` and a call; how many were taken.

    Once the mail server is seen to be away, the other mails stay due without having been tried.
    """
    now, ends_at = now or timezone.now(), time.monotonic() + seconds
    due = Notice.objects.filter(next_attempt_at__lte=now).select_related("user", "hook").order_by("next_attempt_at")
    taken, is_mail_away = 0, False
    for notice in due[:BLOCK]:
        if time.monotonic() > ends_at:
            break
        if (notice.user and is_mail_away) or not _claim(notice, now):
            continue
        error = _try(notice)
        is_mail_away |= notice.user is not None and _is_away(error)
        taken += _settle(notice, error, now)
    return taken


def prune(now: datetime) -> int:
    """Delete what was sent or given up long ago; how many."""
    return Notice.objects.filter(next_attempt_at=None, created_at__lt=now - KEPT_FOR).delete()[0]


def _claim(notice: Notice, now: datetime) -> bool:
    """Claimed before it is sent: a process that dies here repeats it on the ladder, two at once send it once."""
    wait = LADDER[notice.tries] if notice.tries < len(LADDER) else None
    later = None if wait is None else now + timedelta(seconds=wait)
    claimed = Notice.objects.filter(pk=notice.pk, tries=notice.tries, next_attempt_at__isnull=False)
    return bool(claimed.update(tries=notice.tries + 1, next_attempt_at=later))


def _try(notice: Notice) -> Exception | None:
    """Send it once; None when it was taken."""
    try:
        if notice.user is not None:
            _mail(notice)
        elif notice.hook is not None:
            hooks.post(unseal(bytes(notice.hook.sealed_url)), f"*{notice.title}*\n{notice.text}")
    except (SMTPException, OSError, hooks.HookFailed, KeyLost, NobodyThere) as error:
        return error
    return None


def _mail(notice: Notice) -> None:
    """The same id each time, so that a mailbox may recognise what was sent twice around a crash."""
    if not notice.user.is_active or not notice.user.email:
        raise NobodyThere("The account was closed or has no address any more.")
    host = urlsplit(links.public("/")).hostname
    headers = {"Message-ID": f"<notice-{notice.pk}@{host}>", "Auto-Submitted": "auto-generated"}
    EmailMessage(notice.title, notice.text, None, [notice.user.email], headers=headers).send()


def _is_away(error: Exception | None) -> bool:
    return isinstance(error, OSError) and not isinstance(error, ABOUT_ONE_MAIL)


def _settle(notice: Notice, error: Exception | None, now: datetime) -> bool:
    mine = Notice.objects.filter(pk=notice.pk)
    if error is None:
        return bool(mine.update(sent_at=now, next_attempt_at=None, error=""))
    mine.update(error=f"{error.__class__.__name__}: {error}"[:300])
    if isinstance(error, NobodyThere):
        mine.update(next_attempt_at=None)
    return False
