"""Calls a test makes at the sandbox, with good bodies to spoil."""

from typing import Any

import requests

from connections.klaviyo.sandbox.accounts import FULL_KEY
from tests.twin import Twin

EMAIL = "sarah.mason@klaviyo-demo.com"
REVISION = "2026-10-15"
SESSION = requests.Session()
SESSION.trust_env = False


def call(
    twin: Twin, method: str, path: str, content: Any = None, key: str = FULL_KEY, **headers: str | None
) -> requests.Response:
    """One call with the usual headers; `headers` (underscores for dashes) replace them, None leaves one out."""
    usual: dict[str, str | None] = {
        "Authorization": f"Klaviyo-API-Key {key}",
        "revision": REVISION,
        "Content-Type": "application/vnd.api+json",
    }
    sent = usual | {name.replace("_", "-"): value for name, value in headers.items()}
    as_sent = {"data": content} if isinstance(content, bytes | str) else {"json": content}
    return SESSION.request(method, twin.url + path, headers=sent, timeout=10, allow_redirects=False, **as_sent)


def post_event(twin: Twin, key: str = FULL_KEY, **changes: Any) -> requests.Response:
    return call(twin, "POST", "/api/events", event(**changes), key)


def import_profile(twin: Twin, key: str = FULL_KEY, **attributes: Any) -> requests.Response:
    return call(twin, "POST", "/api/profile-import", profile(**attributes), key)


def event(
    metric: str = "Placed Order", email: str | None = EMAIL, profile: dict[str, Any] | None = None, **attributes: Any
) -> dict[str, Any]:
    """A good create-event body; None as a value of `attributes` leaves that attribute out."""
    sent = {
        "properties": {"OrderId": "1253"},
        "metric": _metric(metric),
        "profile": {"data": {"type": "profile", "attributes": ({"email": email} if email else {}) | (profile or {})}},
        "unique_id": "1668",
        "value": 29.99,
        "value_currency": "USD",
        "time": "2026-08-30T12:00:00+00:00",
    } | attributes
    return {"data": {"type": "event", "attributes": {k: v for k, v in sent.items() if v is not None}}}


def profile(**attributes: Any) -> dict[str, Any]:
    return {"data": {"type": "profile", "attributes": {"email": EMAIL} | attributes}}


def bulk(*groups: tuple[dict[str, Any], list[dict[str, Any]]], **group_attributes: Any) -> dict[str, Any]:
    """A bulk job of (profile attributes, [event attributes over good ones, …]) groups."""
    data = [
        {
            "type": "event-bulk-create",
            "attributes": {
                "profile": {"data": {"type": "profile", "attributes": who}},
                "events": {"data": [{"type": "event", "attributes": _bulk_event(one)} for one in events]},
                **group_attributes,
            },
        }
        for who, events in groups
    ]
    return {"data": {"type": "event-bulk-create-job", "attributes": {"events-bulk-create": {"data": data}}}}


def problems(answer: requests.Response) -> list[tuple[str, str | None]]:
    """(detail, pointer or parameter) of each error."""
    errors = answer.json()["errors"]
    return [(e["detail"], e["source"].get("pointer") or e["source"].get("parameter")) for e in errors]


def pointers(answer: requests.Response) -> list[str | None]:
    return [pointer for _, pointer in problems(answer)]


def _metric(name: str) -> dict[str, Any]:
    return {"data": {"type": "metric", "attributes": {"name": name}}}


def _bulk_event(attributes: dict[str, Any]) -> dict[str, Any]:
    sent = {"properties": {}, "metric": _metric("Placed Order"), "time": "2026-08-30T12:00:00+00:00"} | attributes
    return {name: value for name, value in sent.items() if value is not None}
