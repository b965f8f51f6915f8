"""A plain page of what arrived at the sandbox lately, for people.

Read only, nothing loaded from elsewhere; keys are shown by their ends.
"""

import json
from html import escape
from itertools import islice
from typing import Any

from .journal import Entry, shown_request
from .store import Recorded, shown_event
from .twin import Twin

NEWEST = 100
STYLE = """
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 70rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .25rem .6rem; border-bottom: 1px solid #8884; vertical-align: top }
pre { overflow-x: auto; margin: .3rem 0; font-size: .85rem } code { font-size: .9rem }
summary { cursor: pointer } .bad { color: #b3261e } .quiet { opacity: .7 }
"""


def page(twin: Twin) -> str:
    """The whole page as HTML: counts, the newest recorded events, the newest calls."""
    events = list(islice(reversed(twin.store.recorded()), NEWEST))
    calls = list(islice(reversed(twin.journal.entries), NEWEST))
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><title>Klaviyo sandbox</title>'
        f'<meta name="viewport" content="width=device-width"><style>{STYLE}</style></head><body>'
        "<h1>Klaviyo sandbox</h1><p class=quiet>A stand-in for Klaviyo on this machine. Nothing here reaches Klaviyo."
        f"</p>{_accounts(twin)}"
        f"<h2>Recorded events</h2>{_table(('Recorded', 'Metric', 'Profile', 'Unique id', 'Value', ''), events, _event)}"
        f"<h2>Calls</h2>{_table(('Arrived', 'Call', 'Key', 'Answer', ''), calls, _call)}"
        "</body></html>"
    )


def _accounts(twin: Twin) -> str:
    rows = "".join(
        f"<tr><td><code>{escape(account.cid)}</code><td>{len(account.events)}<td>{len(account.people.by_id)}"
        f"<td>{account.duplicates}<td>{account.dropped}</tr>"
        for account in twin.store.accounts.values()
    )
    head = "<tr><th>Account<th>Events<th>Profiles<th>Duplicates discarded<th>Dropped silently</tr>"
    waiting = len(twin.faults.queue)
    return f"<table>{head}{rows}</table><p class=quiet>Faults waiting: {waiting}.</p>"


def _table(heads: tuple[str, ...], rows: list[Any], show: Any) -> str:
    if not rows:
        return "<p class=quiet>Nothing yet.</p>"
    return f"<table><tr>{''.join(f'<th>{head}' for head in heads)}</tr>{''.join(map(show, rows))}</table>"


def _event(row: Recorded) -> str:
    shown = shown_event(row)
    value = "" if row.value is None else f"{row.value} {row.currency or ''}"
    again = f" <span class=quiet>+{row.duplicates} discarded</span>" if row.duplicates else ""
    cells = (
        shown["recorded_at"][:19],
        row.metric,
        str(row.email or row.profile.id),
        str(row.unique_id or "none"),
        value,
    )
    return f"<tr>{''.join(f'<td>{escape(cell)}' for cell in cells)}{again}<td>{_details('Properties', shown)}</tr>"


def _call(entry: Entry) -> str:
    shown = shown_request(entry)
    status = shown["status"] or "connection dropped"
    quality = "" if isinstance(status, int) and status < 400 else " class=bad"
    by_fault = " (fault)" if entry.by_fault else ""
    for name in ("body_base64", "header_lines", "at_epoch", "at_monotonic"):
        del shown[name]
    shown["headers"] = {name: _masked(name, value) for name, value in shown["headers"].items()}
    shown["body"], shown["answer_body"] = _read(shown["body"]), _read(shown["answer_body"])
    return (
        f"<tr><td>{escape(shown['at'][:23])}"
        f"<td>{escape(entry.request.method)} <code>{escape(entry.request.target)}</code>"
        f"<td><code>{escape(_ends(entry.request.key))}</code><td{quality}>{status}{by_fault}"
        f"<td>{_details('Exchange', shown)}</tr>"
    )


def _details(name: str, shown: dict[str, Any]) -> str:
    content = escape(json.dumps(shown, indent=2, ensure_ascii=False))
    return f"<details><summary>{name}</summary><pre>{content}</pre></details>"


def _read(text: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _masked(name: str, value: str) -> str:
    return _ends(value) if name.lower() == "authorization" else value


def _ends(key: str) -> str:
    return f"{key[:6]}…{key[-4:]}" if len(key) > 12 else key
