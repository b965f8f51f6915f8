"""The control plane: look at what arrived, order faults, turn switches, start over.

Beside the API under /_sandbox and /; no key, no limits, no faults, and not in the journal.
"""

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl

from .answers import Answer
from .faults import FaultRefused
from .journal import shown_request
from .page import page
from .people import Profile, iso
from .requests import Request
from .store import shown_event
from .switches import SwitchRefused
from .twin import Twin

Rows = Iterable[dict[str, Any]]


def is_control(request: Request) -> bool:
    return request.path == "/" or request.path.startswith("/_sandbox")


def control(twin: Twin, request: Request) -> Answer:
    """Answer one call of the control plane: JSON, except the page at /."""
    wanted = CONTROLS.get((request.method, request.path))
    if wanted is None:
        return _json({"error": "not found", "there is": [" ".join(known) for known in CONTROLS]}, 404)
    try:
        return wanted(twin, request)
    except (FaultRefused, SwitchRefused, TypeError, ValueError) as no:
        return _json({"error": str(no)}, 400)


def _page(twin: Twin, request: Request) -> Answer:
    twin.store.settle(everything=True)
    return Answer(200, {"Content-Type": "text/html; charset=utf-8"}, page(twin).encode())


def _requests(twin: Twin, request: Request) -> Answer:
    return _json(list(_narrowed((shown_request(entry) for entry in twin.journal.entries), request)))


def _events(twin: Twin, request: Request) -> Answer:
    """What was recorded; whatever was accepted before this call is recorded first, so that nobody has to wait."""
    twin.store.settle(everything=True)
    return _json(list(_narrowed((shown_event(row) for row in twin.store.recorded()), request)))


def _profiles(twin: Twin, request: Request) -> Answer:
    twin.store.settle(everything=True)
    rows = (
        _shown_profile(account.cid, person)
        for account in twin.store.accounts.values()
        for person in account.people.by_id.values()
    )
    return _json(list(_narrowed(rows, request)))


def _state(twin: Twin, request: Request) -> Answer:
    """Counts only, cheap enough to ask many times: by status, and per account recorded, duplicates, dropped."""
    twin.store.settle(everything=True)
    accounts = {
        account.cid: {
            "events": len(account.events),
            "profiles": len(account.people.by_id),
            "duplicates": account.duplicates,
            "dropped": account.dropped,
        }
        for account in twin.store.accounts.values()
    }
    answered = {"answers": twin.journal.counts, "requests_kept": len(twin.journal.entries)}
    return _json({**answered, "forgotten_events": twin.store.forgotten, "accounts": accounts})


def _show_faults(twin: Twin, request: Request) -> Answer:
    return _json([_shown_fault(fault) for fault in twin.faults.queue])


def _order_faults(twin: Twin, request: Request) -> Answer:
    content = _content(request)
    ordered = [twin.faults.order(one) for one in (content if isinstance(content, list) else [content])]
    return _json([_shown_fault(fault) for fault in ordered], 201)


def _clear_faults(twin: Twin, request: Request) -> Answer:
    twin.faults.queue.clear()
    return _json([])


def _show_switches(twin: Twin, request: Request) -> Answer:
    return _json(twin.switches.as_json())


def _change_switches(twin: Twin, request: Request) -> Answer:
    content = _content(request)
    if not isinstance(content, dict):
        raise SwitchRefused("Settings come as an object.")
    twin.change(content)
    return _json(twin.switches.as_json())


def _reset(twin: Twin, request: Request) -> Answer:
    twin.reset()
    return _json({"reset": True})


CONTROLS: dict[tuple[str, str], Callable[[Twin, Request], Answer]] = {
    ("GET", "/"): _page,
    ("GET", "/_sandbox/requests"): _requests,
    ("GET", "/_sandbox/events"): _events,
    ("GET", "/_sandbox/profiles"): _profiles,
    ("GET", "/_sandbox/state"): _state,
    ("GET", "/_sandbox/faults"): _show_faults,
    ("POST", "/_sandbox/faults"): _order_faults,
    ("DELETE", "/_sandbox/faults"): _clear_faults,
    ("GET", "/_sandbox/settings"): _show_switches,
    ("POST", "/_sandbox/settings"): _change_switches,
    ("POST", "/_sandbox/reset"): _reset,
}


def _narrowed(rows: Rows, request: Request) -> Rows:
    """By ?account=, ?email=, ?metric=, ?unique_id=, ?path=, ?status=; ?since= a moment (epoch seconds or ISO);
    ?after= a seq; ?limit= the newest so many; ?only= the names of fields, separated by commas."""
    asked = dict(parse_qsl(request.query))
    only = asked.pop("only", "").split(",")
    since, after, limit = _epoch(asked.pop("since", "0")), int(asked.pop("after", 0)), int(asked.pop("limit", 0))
    kept = [
        row
        for row in rows
        if row.get("seq", after + 1) > after
        and (not since or _epoch(row.get("at") or row["recorded_at"]) >= since)
        and all(str(row.get(name)) == value for name, value in asked.items())
    ]
    kept = kept[-limit:] if limit else kept
    return kept if only == [""] else [{name: row[name] for name in only if name in row} for row in kept]


def _epoch(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        at = datetime.fromisoformat(text.replace(" ", "+"))
        return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _content(request: Request) -> Any:
    return json.loads(request.body or b"{}")


def _shown_profile(account: str, person: Profile) -> dict[str, Any]:
    return {
        "account": account,
        "id": person.id,
        "email": person.attributes.get("email"),
        "attributes": person.attributes,
        "created_at": iso(person.created_at),
        "recorded_at": person.updated_at.isoformat(),
    }


def _shown_fault(fault: Any) -> dict[str, Any]:
    shown = {name: getattr(fault, name) for name in fault.__dataclass_fields__}
    return {name: value for name, value in shown.items() if value not in (None, False, {})}


def _json(content: Any, status: int = 200) -> Answer:
    return Answer(status, {"Content-Type": "application/json"}, json.dumps(content).encode())
