"""Klaviyo's limits, measured before anything is sent: what is too large is trimmed and named, or refused by name.

Klaviyo answers 202 to some of what it later throws away, so its own word comes too late.
"""

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

BODY_BYTES = 5_000_000
PROFILE_BYTES = 95_000
STRING_BYTES = 100_000
PROPERTIES = 400
ARRAY_ITEMS = 4_000
DEPTH = 10
UNIQUE_ID = 255
METRIC_NAME = 127
AHEAD = timedelta(days=365)
BEGINNING = datetime(2000, 1, 1, tzinfo=UTC)
ELLIPSIS = "…"  # what was cut shows it


class LimitExceeded(Exception):
    """What cannot be sent within Klaviyo's limits: `limit` names it, the sentence says how."""

    def __init__(self, limit: str, sentence: str) -> None:
        super().__init__(sentence)
        self.limit = limit
        self.sentence = sentence


def check_event(metric: str, unique_id: str, happened_at: datetime, now: datetime | None) -> None:
    """Raises LimitExceeded for a name, an id or a time that Klaviyo would not take."""
    if not 1 <= len(metric) <= METRIC_NAME:
        raise LimitExceeded("metric_name", f"Klaviyo takes names of metrics up to {METRIC_NAME} characters.")
    if not 1 <= len(unique_id) <= UNIQUE_ID:
        raise LimitExceeded(
            "unique_id", f"Klaviyo takes ids of 1 to {UNIQUE_ID} characters; this has {len(unique_id)}."
        )
    if happened_at < BEGINNING:
        raise LimitExceeded("time", f"Klaviyo takes no event from before 2000; this is of {happened_at:%Y-%m-%d}.")
    if now is not None and happened_at > now + AHEAD:
        raise LimitExceeded(
            "time", f"Klaviyo takes no event more than a year ahead; this is of {happened_at:%Y-%m-%d}."
        )


def check_size(body: bytes) -> bytes:
    """The body, or LimitExceeded when trimming its parts was not enough."""
    if len(body) > BODY_BYTES:
        raise LimitExceeded("body_size", f"Klaviyo takes bodies up to 5 MB; this has {len(body):,} bytes.")
    return body


def trimmed(properties: Mapping[str, object], notes: list[str]) -> dict[str, object]:
    """The properties within the limits on count, length, depth and text; each cut is a sentence in `notes`."""
    kept = dict(list(properties.items())[:PROPERTIES])
    if len(kept) < len(properties):
        notes.append(f"Klaviyo takes {PROPERTIES} properties; {len(properties) - PROPERTIES} were left out.")
    return {name: within(value, name, 2, notes) for name, value in kept.items()}


def trimmed_profile(attributes: dict[str, Any], notes: list[str]) -> dict[str, Any]:
    """The profile within 95 KB: its texts cut, then properties dropped from the end until it fits."""
    kept: dict[str, Any] = {name: within(value, name, 1, notes) for name, value in attributes.items()}
    dropped = []
    while size(kept) > PROFILE_BYTES and kept.get("properties"):
        name, _ = kept["properties"].popitem()
        dropped.append(name)
    if dropped:
        notes.append(f"Klaviyo takes profiles up to 95 KB; left out: {', '.join(dropped)}.")
    if size(kept) > PROFILE_BYTES:
        raise LimitExceeded("profile_size", "Klaviyo takes profiles up to 95 KB; this one is larger even when trimmed.")
    return kept


def within(value: object, name: str, depth: int, notes: list[str]) -> object:
    """One value within the limits. Objects and lists nested too deep become empty."""
    if isinstance(value, str):
        return short(value, name, notes)
    if not isinstance(value, dict | list):
        return value
    if depth > DEPTH:
        notes.append(f"Klaviyo takes {DEPTH} levels of nesting; what is deeper in {name} was left out.")
        return type(value)()
    if isinstance(value, dict):
        return {key: within(inner, name, depth + 1, notes) for key, inner in value.items()}
    if len(value) > ARRAY_ITEMS:
        notes.append(f"Klaviyo takes {ARRAY_ITEMS:,} entries in a list; {name} had {len(value):,} and was cut.")
    return [within(inner, name, depth + 1, notes) for inner in value[:ARRAY_ITEMS]]


def short(words: str, name: str, notes: list[str]) -> str:
    if len(words) * 4 <= STRING_BYTES or len(words.encode()) <= STRING_BYTES:
        return words
    notes.append(f"Klaviyo takes texts up to 100 KB; {name} was cut.")
    room = STRING_BYTES - len(ELLIPSIS.encode())
    return words.encode()[:room].decode(errors="ignore") + ELLIPSIS


def size(value: object) -> int:
    return len(json.dumps(value, ensure_ascii=False).encode())
