"""What the sandbox holds of every account: profiles, metrics and the events it recorded, each once.

A call is accepted at once and recorded a moment later, as at Klaviyo; whoever reads first lets the due ones in.
"""

import hashlib
import json
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from .people import People, Profile, iso, new_id
from .shapes import read_moment
from .switches import Switches
from .validate import OneEvent

_LETTERS = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"


@dataclass(slots=True)
class Recorded:
    """One event as recorded; `content` is the JSON of its attributes, None once forgotten for space."""

    seq: int
    account: str
    id: str
    profile: Profile
    email: str | None
    metric: str
    unique_id: str | None
    value: float | None
    currency: str | None
    time: datetime
    backfill: bool
    recorded_at: float
    content: bytes | None
    duplicates: int = 0

    @property
    def key(self) -> tuple[str, str, str]:
        return self.profile.id, self.metric, self.unique_id or f"at {int(self.time.timestamp())}"

    def attributes(self) -> dict[str, Any]:
        """The event's attributes as sent; empty once forgotten."""
        return json.loads(self.content) if self.content else {}


@dataclass(slots=True)
class Account:
    """One account's share of the store."""

    cid: str
    people: People = field(default_factory=People)
    events: dict[tuple[str, str, str], Recorded] = field(default_factory=dict)
    of_profile: dict[str, list[Recorded]] = field(default_factory=dict)
    metrics: dict[str, datetime] = field(default_factory=dict)
    valued_metrics: set[str] = field(default_factory=set)
    duplicates: int = 0
    dropped: int = 0

    def metric_id(self, name: str) -> str:
        """Six characters, the same for the same name."""
        digest = hashlib.sha256(f"{self.cid} {name}".encode()).digest()
        return new_id(_LETTERS, 6, lambda _: int.from_bytes(digest[:8]))


@dataclass(slots=True)
class Store:
    """Every account. `now` is a steady clock in seconds, `today` the wall clock in seconds since 1970."""

    switches: Switches
    now: Callable[[], float]
    today: Callable[[], float]
    accounts: dict[str, Account] = field(default_factory=dict)
    seq: int = 0
    forgotten: int = 0
    _pending: deque[tuple[float, Callable[[], None]]] = field(default_factory=deque)
    _order: deque[Recorded] = field(default_factory=deque)
    _full: deque[Recorded] = field(default_factory=deque)
    _bytes: int = 0

    def account(self, cid: str) -> Account:
        if cid not in self.accounts:
            self.accounts[cid] = Account(cid)
        return self.accounts[cid]

    def settle(self, *, everything: bool = False) -> None:
        """Record what was accepted long enough ago, or everything accepted so far."""
        until = math.inf if everything else self.now()
        while self._pending and self._pending[0][0] <= until:
            self._pending.popleft()[1]()

    def accept_events(self, account: Account, events: list[OneEvent]) -> None:
        """Take events that were judged good; those of dropped domains vanish here without a word."""
        at = self.today()
        for event in events:
            self._later(partial(self._record, account, event, at))

    def accept_profile(self, account: Account, profile: dict[str, Any]) -> tuple[Profile, bool]:
        """Identify at once, write the rest later: the person, and whether they are new."""
        at = datetime.fromtimestamp(self.today(), UTC)
        person, is_new = account.people.find_or_create(profile, at)
        if is_new:
            person.attributes["email"] = (profile["attributes"].get("email") or "").strip().lower() or None
        self._later(partial(person.learn, profile["attributes"], _patch_of(profile), at))
        self._forget_profiles(account)
        return person, is_new

    def accept_deletion(self, account: Account, named: dict[str, str]) -> None:
        """Forget everyone of this identifier, and their events, a moment later."""
        self._later(partial(self._delete, account, named))

    def recorded(self) -> list[Recorded]:
        """Everything recorded and still held, in the order it was recorded."""
        return [row for row in self._order if row.account in self.accounts and self._is_held(row)]

    def clear(self) -> None:
        self.accounts.clear()
        self._pending.clear()
        self._order.clear()
        self._full.clear()
        self._bytes = self.forgotten = 0

    def _later(self, write: Callable[[], None]) -> None:
        self.settle()
        self._pending.append((self.now() + self.switches.recording_ms / 1000, write))

    def _record(self, account: Account, event: OneEvent, accepted_at: float) -> None:
        email = (event.profile["attributes"].get("email") or "").strip().lower()
        if email.rpartition("@")[2] in self.switches.dropped_domains:
            account.dropped += 1
            return
        at = datetime.fromtimestamp(accepted_at, UTC)
        person, _ = account.people.find_or_create(event.profile, at)
        row = self._row(account, event, person, at)
        if known := account.events.get(row.key):
            known.duplicates += 1
            account.duplicates += 1
            return
        person.learn(event.profile["attributes"], _patch_of(event.profile), at)
        person.last_event_at = max(person.last_event_at or row.time, row.time)
        self._keep(account, row)

    def _row(self, account: Account, event: OneEvent, person: Profile, at: datetime) -> Recorded:
        sent = event.attributes
        shown = {**sent, "profile": {"data": event.profile}}
        self.seq += 1
        return Recorded(
            seq=self.seq,
            account=account.cid,
            id=new_id(_LETTERS, 11),
            profile=person,
            email=event.profile["attributes"].get("email"),
            metric=sent["metric"]["data"]["attributes"]["name"],
            unique_id=sent.get("unique_id"),
            value=sent.get("value"),
            currency=sent.get("value_currency"),
            time=(read_moment(sent.get("time")) or at).replace(microsecond=0),
            backfill=bool(sent.get("backfill")),
            recorded_at=self.today(),
            content=json.dumps(shown, separators=(",", ":")).encode(),
        )

    def _keep(self, account: Account, row: Recorded) -> None:
        account.events[row.key] = row
        account.of_profile.setdefault(row.profile.id, []).append(row)
        account.metrics.setdefault(row.metric, datetime.fromtimestamp(row.recorded_at, UTC))
        if row.value is not None:
            account.valued_metrics.add(row.metric)
        self._order.append(row)
        self._full.append(row)
        self._bytes += len(row.content or b"")
        self._forget_events()
        self._forget_profiles(account)

    def _forget_events(self) -> None:
        while self._bytes > self.switches.keep_event_bytes and self._full:
            row = self._full.popleft()
            self._bytes -= len(row.content or b"")
            row.content = None
        while len(self._order) > self.switches.keep_events:
            self.forgotten += 1
            self._drop(self._order.popleft())

    def _forget_profiles(self, account: Account) -> None:
        while len(account.people.by_id) > self.switches.keep_profiles:
            account.people.forget_oldest()

    def _is_held(self, row: Recorded) -> bool:
        return self.accounts[row.account].events.get(row.key) is row

    def _drop(self, row: Recorded) -> None:
        account = self.accounts[row.account]
        if account.events.pop(row.key, None):
            rows = account.of_profile[row.profile.id]
            rows.remove(row)
            if not rows:
                del account.of_profile[row.profile.id]

    def _delete(self, account: Account, named: dict[str, str]) -> None:
        for name, value in named.items():
            for person in account.people.with_value(name, value):
                for row in list(account.of_profile.get(person.id, ())):
                    self._drop(row)
                account.people.forget(person)


def _patch_of(profile: dict[str, Any]) -> dict[str, Any]:
    meta = profile.get("meta") or profile["attributes"].get("meta") or {}
    return meta.get("patch_properties") or {}


def shown_event(row: Recorded) -> dict[str, Any]:
    """A recorded event as the control plane lists it; `time` as sent where it was sent, else the receipt's."""
    sent = row.attributes()
    return {
        "seq": row.seq,
        "account": row.account,
        "id": row.id,
        "profile_id": row.profile.id,
        "email": row.email,
        "metric": row.metric,
        "unique_id": row.unique_id,
        "properties": sent.get("properties"),
        "value": row.value,
        "value_currency": row.currency,
        "time": sent.get("time") or iso(row.time),
        "backfill": row.backfill,
        "profile": (sent.get("profile") or {}).get("data", {}).get("attributes"),
        "duplicates": row.duplicates,
        "recorded_at": datetime.fromtimestamp(row.recorded_at, UTC).isoformat(),
    }
