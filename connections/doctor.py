"""Asks Klaviyo what a connection's key may do, says it in words, and remembers it.

Beside the lanes: nothing leaves for an account before the doctor has learnt which account it is. A check is a handful
of single calls; it changes nothing at Klaviyo.
"""

from contextlib import suppress
from dataclasses import asdict, dataclass, field
from datetime import date, datetime, timedelta
from typing import Any

from django.db import transaction
from django.utils import timezone
from django.utils.dateparse import parse_date
from django.views.decorators.debug import sensitive_variables
from django_q.tasks import async_task
from redis.exceptions import RedisError

from connections import secrets
from connections.accounts import Tie, joining, recognise
from connections.diagnosis import Diagnosis, diagnose
from connections.models import Connection
from connections.probes import PROBES, Finding, ask
from connections.spending import spending

State = Connection.State
EVERY = timedelta(hours=1)
SOONER = timedelta(minutes=5)  # when Klaviyo could not be asked
AT_ONCE = timedelta(seconds=10)  # when the account's lane was busy
RETIRES_SOON = timedelta(days=90)
AFTER_CHECK = "webhooks_log.accounts.after_check"  # rung by name: releasing what waits is the upper floor's work
HOLDING = (State.KEY_REFUSED, State.WRONG_ACCOUNT, State.KEY_LOST)


@dataclass(frozen=True, slots=True)
class Result:
    """What a check found: the state, its sentence and what to do, every call's finding, and remarks."""

    state: str
    sentence: str
    fix: str
    findings: list[Finding] = field(default_factory=list)
    remarks: list[str] = field(default_factory=list)
    account: dict[str, Any] = field(default_factory=dict)
    cid: str = ""
    checked_at: datetime = field(default_factory=timezone.now)
    joins_later: bool = False

    @property
    def is_good(self) -> bool:
        return self.state == State.CONNECTED


def check(connection: Connection, *, now: datetime | None = None) -> Result:
    """Ask, judge and remember. Never raises for what Klaviyo does; the connection's row says the same as the Result."""
    now = now or timezone.now()
    findings = _ask(connection)
    with joining(connection, _cid(findings or [])) as joins, transaction.atomic():
        connection.refresh_from_db()
        diagnosis = diagnose(findings, key_is_lost=findings is None)
        result = _told(connection, diagnosis, findings or [], now, joins=joins)
        _remember(connection, result, diagnosis)
    with suppress(RedisError):  # a queue that is away loses nothing: the next check rings again
        async_task(AFTER_CHECK, connection.pk)
    return result


def recheck_due(now: datetime) -> int:
    """Ask the queue for a check of every connection whose hour has come; how many. For the clock, once a second."""
    due = Connection.objects.living().filter(is_active=True, check_due_at__lte=now).values_list("pk", flat=True)
    count = 0
    for pk in due[:20]:
        # Compare and set: of two clocks that see the same hour, one asks.
        if Connection.objects.filter(pk=pk, check_due_at__lte=now).update(check_due_at=now + EVERY):
            async_task("connections.doctor.check_by_id", pk)
            count += 1
    return count


def check_by_id(pk: int) -> None:
    """The queue's entrance to `check`."""
    if connection := Connection.objects.living().filter(pk=pk).first():
        check(connection)


@sensitive_variables()
def _ask(connection: Connection) -> list[Finding] | None:
    """Every call's finding; None when the key cannot be opened."""
    if not connection.sealed_key:
        return None
    try:
        authorization = secrets.authorization(connection.sealed_key)
    except secrets.KeyLost:
        return None
    return ask(PROBES, authorization, spending(connection.account_id, "doctor"))


def _told(
    connection: Connection, diagnosis: Diagnosis, findings: list[Finding], now: datetime, *, joins: bool
) -> Result:
    """The diagnosis in words, once it is known whether the account is the one of before."""
    account = next((finding.account for finding in findings if finding.account), {})
    cid = _cid(findings)
    state, sentence, fix = diagnosis.state, diagnosis.sentence, diagnosis.fix
    if diagnosis.is_busy and connection.state == State.CONNECTED:
        state = State.CONNECTED
    tie = recognise(connection, cid, account.get("name", ""), joins=joins) if cid else Tie.TIED
    if tie is Tie.OTHER:
        before = connection.account
        state = State.WRONG_ACCOUNT
        sentence = f"This key belongs to the account {_called(account, cid)}, but the connection was made for {before}."
        fix = "Enter a key of the account of before, or confirm below that the connection moves to the other account."
    remarks = _remarks(connection, cid, _retires_on(findings), now)
    if tie is Tie.LATER:
        remarks.insert(
            0, "Another connection of this Klaviyo account is sending just now. This one joins it in a moment."
        )
    return Result(state, sentence, fix, findings, remarks, account, cid, now, joins_later=tie is Tie.LATER)


def _cid(findings: list[Finding]) -> str:
    return next((finding.cid for finding in findings if finding.cid), "")


def _remarks(connection: Connection, cid: str, retires_on: date | None, now: datetime) -> list[str]:
    remarks = []
    if cid and connection.public_key and connection.public_key != cid:
        remarks.append(
            f"The public key {connection.public_key} belongs to another account: the private key's account has {cid}. "
            "Correct the public key, or leave it empty."
        )
    twins = Connection.objects.living().filter(merchant=connection.merchant_id, account=connection.account_id)
    remarks.extend(
        f"Your connection “{twin}” sends to the same Klaviyo account. Each event is counted there once."
        for twin in (twins.exclude(pk=connection.pk) if cid else ())
    )
    if retires_on and retires_on - now.date() <= RETIRES_SOON:
        remarks.append(
            f"Klaviyo retires the API revision in use on {retires_on:%B %-d, %Y}. Viaduct must be updated first."
        )
    return remarks


def _remember(connection: Connection, result: Result, diagnosis: Diagnosis) -> None:
    connection.checked_at = result.checked_at
    soon = EVERY if result.findings and diagnosis.is_answered else SOONER
    connection.check_due_at = result.checked_at + (AT_ONCE if result.joins_later else soon)
    connection.revision_retires_on = _retires_on(result.findings) or connection.revision_retires_on
    connection.check_result = {
        "fix": result.fix,
        "findings": [asdict(finding) for finding in result.findings],
        "remarks": result.remarks,
        "account": result.account,
        "cid": result.cid,
    }
    connection.state, connection.state_detail = result.state, result.sentence
    if result.state in HOLDING:
        connection.held_at = connection.held_at or result.checked_at
    elif diagnosis.is_answered:
        connection.held_at, connection.held_families = None, list(diagnosis.held_families)
    connection.save(
        update_fields=(
            "checked_at",
            "check_due_at",
            "revision_retires_on",
            "check_result",
            "state",
            "state_detail",
            "held_at",
            "held_families",
        )
    )


def _retires_on(findings: list[Finding]) -> date | None:
    return next((parse_date(finding.retires_on[:10]) for finding in findings if finding.retires_on), None)


def _called(account: dict[str, Any], cid: str) -> str:
    return f"{account['name']} ({cid})" if account.get("name") else cid
