"""Writes the bodies of Klaviyo's calls: deterministic, compact JSON within Klaviyo's limits.

Dispatch renders each message once and keeps the bytes; lanes only ever send these, or the named variations below.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal
from json.encoder import encode_basestring
from typing import Any

from connections.klaviyo.limits import (
    ARRAY_ITEMS,
    DEPTH,
    PROPERTIES,
    LimitExceeded,
    check_event,
    check_size,
    trimmed,
    trimmed_profile,
)

__all__ = [
    "BULK_PATH",
    "EVENTS_PATH",
    "PROFILE_PATH",
    "EventContent",
    "LimitExceeded",
    "Prepared",
    "ProfileContent",
    "Rendered",
    "render",
    "with_backfill",
    "with_identity_only",
    "without_phone",
]

EVENTS_PATH = "/api/events"
PROFILE_PATH = "/api/profile-import"
BULK_PATH = "/api/event-bulk-create-jobs"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventContent:
    """What is said. `value` is a plain amount of `currency` (ISO 4217); properties hold text, lists and objects."""

    metric: str
    unique_id: str
    happened_at: datetime
    properties: Mapping[str, object]
    value: Decimal | None = None
    currency: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileContent:
    """Of whom it is said. Empty text is left out. A property of None clears it, which only profile-import may do."""

    email: str
    first_name: str = ""
    last_name: str = ""
    phone: str = ""  # E.164
    location: Mapping[str, str] = field(default_factory=dict)
    properties: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Prepared:
    """A profile as JSON: as events carry it, and as it goes alone, where it may clear properties."""

    carried: str
    alone: str
    notes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Rendered:
    """`body` goes to `path` as it is; `notes` are sentences on what had to be trimmed."""

    path: str
    body: bytes
    notes: tuple[str, ...] = ()


def render(
    event: EventContent | None,
    profile: ProfileContent | Prepared,
    *,
    backfill: bool = False,
    now: datetime | None = None,
) -> Rendered:
    """The call that says `event` of `profile`; without an event the profile alone.

    Raises LimitExceeded for what no trimming makes acceptable. Without `now` the future is not measured.
    """
    person = profile if isinstance(profile, Prepared) else prepare(profile)
    if event is None:
        return Rendered(PROFILE_PATH, f'{{"data":{person.alone}}}'.encode(), person.notes)
    check_event(event.metric, event.unique_id, event.happened_at, now)
    notes: list[str] = []
    body = event_json(event, properties_json(event.properties, notes), person.carried, backfill)
    return Rendered(EVENTS_PATH, check_size(body), (*person.notes, *notes))


def prepare(profile: ProfileContent) -> Prepared:
    """The profile as JSON, for those who say several events of one person; raises LimitExceeded."""
    notes: list[str] = []
    carried = profile_json(profile, notes, clears=False)
    clears = any(value is None for value in profile.properties.values())
    alone = profile_json(profile, [], clears=True) if clears else carried
    return Prepared(carried, alone, tuple(notes))


def properties_json(properties: Mapping[str, object], notes: list[str]) -> str:
    """Measured as a whole first: what is small and flat as a whole has no part that is too large or too deep."""
    text = dumps(properties)
    is_flat = text.count("{") + text.count("[") <= DEPTH
    if is_flat and len(text) <= ARRAY_ITEMS and len(properties) <= PROPERTIES:
        return text
    return dumps(trimmed(properties, notes))


def event_json(event: EventContent, properties: str, person: str, backfill: bool) -> bytes:
    """Assembled from texts, because an amount must come out as it was written and never as a float."""
    parts = [
        f'"properties":{properties}',
        f'"metric":{{"data":{{"type":"metric","attributes":{{"name":{dumps(event.metric)}}}}}}}',
        f'"profile":{{"data":{person}}}',
        f'"unique_id":{dumps(event.unique_id)}',
    ]
    if event.value is not None:
        parts.append(f'"value":{number(event.value)}')
        if event.currency:
            parts.append(f'"value_currency":{dumps(event.currency)}')
    parts.append(f'"time":"{event.happened_at.astimezone(UTC).isoformat(timespec="seconds")}"')
    if backfill:
        parts.append('"backfill":true')
    return f'{{"data":{{"type":"event","attributes":{{{",".join(parts)}}}}}}}'.encode()


def profile_json(profile: ProfileContent, notes: list[str], *, clears: bool) -> str:
    """A profile resource. The phone goes where Klaviyo reads it and, under its old name, where segments expect it."""
    properties = {name: value for name, value in profile.properties.items() if clears or value is not None}
    attributes: dict[str, Any] = {
        "email": profile.email,
        "phone_number": profile.phone,
        "first_name": profile.first_name,
        "last_name": profile.last_name,
        "location": dict(profile.location),
        "properties": properties,
    }
    told = {name: words for name, words in attributes.items() if words}
    resource = {"type": "profile", "attributes": told}
    text = dumps(resource)
    if len(text) <= ARRAY_ITEMS:
        return text
    return dumps({**resource, "attributes": trimmed_profile(told, notes)})


# ── The named variations ─────────────────────────────────────────────────────────────────────────────────────────────


def without_phone(body: bytes) -> bytes:
    """The same body without the phone in either spelling: an event's, a profile's, or one item's of a bulk job."""
    document = loads(body)
    for attributes in profiles_in(document):
        attributes.pop("phone_number", None)
        properties = attributes.get("properties")
        if isinstance(properties, dict):
            properties.pop("$phone_number", None)
            if not properties:
                del attributes["properties"]
    return compact(document).encode()


def with_identity_only(body: bytes) -> bytes:
    """The same body with nothing but the e-mail in its profile: history must not make a profile old."""
    document = loads(body)
    for attributes in profiles_in(document):
        for name in [name for name in attributes if name != "email"]:
            del attributes[name]
    return compact(document).encode()


def with_backfill(body: bytes) -> bytes:
    """The same event, recorded without starting flows. A profile's body has no such mark and stays as it is."""
    document = loads(body)
    resource = document.get("data", document)
    if resource.get("type") != "event":
        return body
    resource["attributes"]["backfill"] = True
    return compact(document).encode()


def profiles_in(document: dict[str, Any]) -> Iterable[dict[str, Any]]:
    """The attributes of every profile in a body."""
    resource = document.get("data", document)
    attributes = resource["attributes"]
    if resource["type"] == "profile":
        yield attributes
    elif resource["type"] == "event-bulk-create-job":
        for item in attributes["events-bulk-create"]["data"]:
            yield from profiles_in(item)
    else:
        yield attributes["profile"]["data"]["attributes"]


# ── JSON ─────────────────────────────────────────────────────────────────────────────────────────────────────────────


def number(amount: Decimal) -> str:
    """An amount as a JSON number, digit for digit."""
    return format(amount, "f")


def dumps(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def loads(body: bytes) -> dict[str, Any]:
    document = json.loads(body, parse_float=Decimal)
    assert isinstance(document, dict)
    return document


def compact(value: object) -> str:
    """`dumps` for documents that were parsed: their numbers are Decimals and keep every digit."""
    if isinstance(value, dict):
        return "{" + ",".join(f"{encode_basestring(name)}:{compact(inner)}" for name, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ",".join(compact(inner) for inner in value) + "]"
    if isinstance(value, Decimal):
        return number(value)
    return encode_basestring(value) if isinstance(value, str) else json.dumps(value)
