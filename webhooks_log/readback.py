"""Reads back from Klaviyo whether what it accepted has been recorded: the profile by e-mail, then the profile's events.

Asked for by a person, beside the lanes; its calls spend the same budget under the same lease. Not seen is not lost:
Klaviyo records minutes after it accepts.
"""

import json
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any
from urllib.parse import quote

from django.utils import timezone
from django.views.decorators.debug import sensitive_variables

from connections import secrets, turns
from connections.klaviyo.budget import Budget, family_of
from connections.klaviyo.client import Client
from connections.klaviyo.exchange import Exchange
from connections.models import Connection, KlaviyoAccount
from webhooks_log.models import Delivery
from webhooks_log.verdicts import judge

MOST = 50  # Deliveries of one question
LEASE_SECONDS = 30.0
CALL_SECONDS = 8.0
PATIENCE_SECONDS = 4.0  # a drain's slice is two
AROUND = timedelta(days=1)  # where Klaviyo may have put an event's time


class NotReadable(Exception):
    """Klaviyo could not be asked; the message says why to a reader."""


@dataclass(slots=True)
class Sight:
    """What was found: ids of Deliveries seen, ids not seen yet, and sentences about what could not be asked."""

    seen: list[int] = field(default_factory=list)
    missing: list[int] = field(default_factory=list)
    troubles: list[str] = field(default_factory=list)

    @property
    def sentence(self) -> str:
        parts = [f"Seen in Klaviyo: {len(self.seen)}."] if self.seen or not self.troubles else []
        if self.missing:
            parts.append(
                f"Not seen yet: {len(self.missing)}. Klaviyo records minutes after it accepts; this is not a loss."
            )
        return " ".join([*parts, *self.troubles])


def look(rows: Iterable[Delivery], *, now: datetime | None = None) -> Sight:
    """Ask Klaviyo about accepted Deliveries (at most MOST) and mark those that it shows."""
    now, sight = now or timezone.now(), Sight()
    asked = [row for row in rows if row.state == Delivery.State.DELIVERED and row.email][:MOST]
    asked.sort(key=lambda row: (row.connection_id, row.email))
    for (connection_id, email), group in groupby(asked, key=lambda row: (row.connection_id, row.email)):
        try:
            _look_at(connection_id, email, list(group), sight)
        except NotReadable as why:
            sight.troubles.append(str(why))
    Delivery.objects.filter(pk__in=sight.seen, seen_at=None).update(seen_at=now, updated_at=now)
    return sight


def _look_at(connection_id: int, email: str, rows: list[Delivery], sight: Sight) -> None:
    """One profile at one connection: is it there, and which of these events does it have?"""
    connection = Connection.objects.select_related("account").get(pk=connection_id)
    with reader(connection) as get:
        people = get(f"/api/profiles?filter={quote(f'equals(email,{json.dumps(email)})')}")
        profile = next((person["id"] for person in people["data"]), None)
        known = _events_of(get, profile, rows) if profile and any(row.metric for row in rows) else set()
    for row in rows:
        is_there = bool(profile) if not row.metric else (row.metric, row.unique_id) in known
        (sight.seen if is_there else sight.missing).append(row.pk)


def _events_of(get: Any, profile: str, rows: list[Delivery]) -> set[tuple[str, str]]:
    """(metric, unique id) of the profile's events around the time of these rows; one page, the newest first."""
    since, until = min(row.happened_at for row in rows) - AROUND, max(row.happened_at for row in rows) + AROUND
    asked = (
        f'equals(profile_id,"{profile}"),greater-or-equal(datetime,{since:%Y-%m-%dT%H:%M:%SZ})'
        f",less-or-equal(datetime,{until:%Y-%m-%dT%H:%M:%SZ})"
    )
    page = get(f"/api/events?filter={quote(asked)}&include=metric&sort=-datetime&page%5Bsize%5D=200")
    names = {entry["id"]: entry["attributes"].get("name", "") for entry in page.get("included", [])}
    return {(_metric_of(entry, names), _unique_id_of(entry)) for entry in page["data"]}


def _metric_of(entry: dict[str, Any], names: dict[str, str]) -> str:
    return names.get(entry.get("relationships", {}).get("metric", {}).get("data", {}).get("id", ""), "")


def _unique_id_of(entry: dict[str, Any]) -> str:
    return str(entry.get("attributes", {}).get("event_properties", {}).get("$event_id", ""))


@contextmanager
def reader(connection: Connection) -> Iterator[Any]:
    """A function from a path to Klaviyo's JSON, under the account's lease and budget; raises NotReadable."""
    turn = _turn(connection.account_id)
    client, authorization = Client(), _authorization(connection)
    budget = Budget(KlaviyoAccount.objects.get(pk=connection.account_id).budget, now=time.time())
    try:
        yield lambda path: _get(client, authorization, budget, path)
    finally:
        client.close()
        turns.held(turn).update(budget=budget.state(time.time()))
        turns.release(turn)


def _turn(account_id: int) -> turns.Turn:
    until = time.monotonic() + PATIENCE_SECONDS
    while True:
        turn = turns.take(KlaviyoAccount, account_id, holder="read-back", seconds=LEASE_SECONDS)
        if turn is not None:
            return turn
        if time.monotonic() > until:
            raise NotReadable("This Klaviyo account is busy sending. Ask again in a moment.")
        time.sleep(0.1)


@sensitive_variables()
def _authorization(connection: Connection) -> str:
    if not connection.sealed_key:
        raise NotReadable(f"“{connection}” has no key.")
    try:
        return secrets.authorization(connection.sealed_key)
    except secrets.KeyLost as lost:
        raise NotReadable(str(lost)) from None


@sensitive_variables("authorization")
def _get(client: Client, authorization: str, budget: Budget, path: str) -> dict[str, Any]:
    family = family_of(path)
    wait = budget.wait(family, time.time())
    if wait > 1:
        raise NotReadable("This Klaviyo account's limit is used up for the moment. Ask again in a minute.")
    time.sleep(wait)
    budget.take(family, time.time())
    exchange = client.call_within(CALL_SECONDS, "GET", path, authorization)
    budget.learn(family, exchange.header("RateLimit-Limit"))
    return _document(exchange)


def _document(exchange: Exchange) -> dict[str, Any]:
    if exchange.status != 200 or exchange.silence is not None:
        raise NotReadable(f"Klaviyo could not be asked: {judge(exchange).sentence}")
    try:
        found = json.loads(exchange.answer)
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, dict) or not isinstance(found.get("data"), list):
        raise NotReadable("Klaviyo answered something we do not understand.")
    return found
