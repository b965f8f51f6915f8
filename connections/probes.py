"""The calls that show what a key may do, and what each answer tells. They change nothing at Klaviyo.

Under the doctor, over the client. A scope cannot be read from any endpoint, so each is tried: reading by asking for one
row, writing by posting an empty document, which a missing scope refuses before anything else looks at it. Nobody
promises that order, therefore a written scope is only ever "probable".
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from django.views.decorators.debug import sensitive_variables

from connections.klaviyo.budget import EVENTS, PROFILES
from connections.klaviyo.client import Client
from connections.klaviyo.exchange import Exchange
from connections.spending import Spend

SECONDS = 10.0  # a person waits for the answer


class Outcome(StrEnum):
    ALLOWED = "allowed"
    PROBABLE = "probably allowed"
    MISSING = "missing"
    REFUSED = "key refused"
    EDGE = "blocked at the edge"
    BUSY = "Klaviyo is busy"
    SILENT = "no answer"
    NOT_ASKED = "not asked"


@dataclass(frozen=True, slots=True)
class Probe:
    """One call: what it shows, whether the connection needs it, and the `family` of calls held while it is missing."""

    words: str
    scope: str
    method: str
    path: str
    is_needed: bool = True
    family: str = ""
    use: str = ""  # what an optional scope would be good for


@dataclass(frozen=True, slots=True)
class Finding:
    """What one call showed. `cid` is the account's id, from the answer's headers."""

    words: str
    scope: str
    outcome: str
    is_needed: bool = True
    family: str = ""
    use: str = ""
    detail: str = ""
    cid: str = ""
    retires_on: str = ""
    account: dict[str, Any] = field(default_factory=dict)


# fmt: off
PROBES = (
    Probe("Read events",     "events:read",        "GET",  "/api/events?page%5Bsize%5D=1"),
    Probe("Read profiles",   "profiles:read",      "GET",  "/api/profiles?page%5Bsize%5D=1"),
    Probe("Read lists",      "lists:read",         "GET",  "/api/lists?page%5Bsize%5D=1"),
    Probe("Write events",    "events:write",       "POST", "/api/events",         family=EVENTS),
    Probe("Write profiles",  "profiles:write",     "POST", "/api/profile-import", family=PROFILES),
    Probe("Account's name",  "accounts:read",      "GET",  "/api/accounts",       is_needed=False,
          use="Lets Viaduct show your account's name instead of its id."),
    Probe("Erase a person",  "data-privacy:write", "POST", "/api/data-privacy-deletion-jobs", is_needed=False,
          use="Needed only to forward an erasure to Klaviyo: data-privacy:write."),
)
# fmt: on

_DECISIVE = (Outcome.REFUSED, Outcome.SILENT, Outcome.EDGE)


@sensitive_variables()
def ask(probes: Sequence[Probe], authorization: str, spend: Spend) -> list[Finding]:
    """Make the calls one after the other, each spent first; an answer that settles it leaves the rest unasked."""
    client, findings = Client(), []
    try:
        for probe in probes:
            if findings and findings[-1].outcome in (*_DECISIVE, Outcome.NOT_ASKED):
                findings.append(_finding(probe, Outcome.NOT_ASKED))
                continue
            if not spend(probe.path):
                findings.append(_finding(probe, Outcome.BUSY))
                continue
            body = b"{}" if probe.method == "POST" else b""
            findings.append(_read(probe, client.call_within(SECONDS, probe.method, probe.path, authorization, body)))
    finally:
        client.close()
    return findings


def _read(probe: Probe, exchange: Exchange) -> Finding:
    outcome = _outcome(probe, exchange)
    return _finding(
        probe,
        outcome,
        detail=_detail(exchange, outcome),
        cid=exchange.header("Cid")[:20],
        retires_on=exchange.header("X-Klaviyo-Api-Retirement-Date"),
        account=_account(exchange) if probe.scope == "accounts:read" else {},
    )


def _outcome(probe: Probe, exchange: Exchange) -> Outcome:
    status = exchange.status or 0
    if exchange.silence is not None or status >= 500 or status == 408:
        return Outcome.SILENT
    if status == 401:
        return Outcome.REFUSED
    if status == 403:
        return Outcome.EDGE if exchange.is_html else Outcome.MISSING
    if status == 429:
        return Outcome.BUSY
    if 200 <= status < 300:
        return Outcome.ALLOWED
    return Outcome.PROBABLE if probe.method == "POST" else Outcome.SILENT


def _detail(exchange: Exchange, outcome: Outcome) -> str:
    """Klaviyo's or the wire's own words, where they add something."""
    if exchange.silence is not None:
        return str(exchange.silence)
    if outcome in (Outcome.ALLOWED, Outcome.PROBABLE):
        return ""
    problems = exchange.problems()
    return problems[0].detail[:200] if problems else f"HTTP {exchange.status}"


def _account(exchange: Exchange) -> dict[str, Any]:
    """What /api/accounts says about the account; {} when the answer is not the documented document."""
    try:
        attributes = json.loads(exchange.answer)["data"][0]["attributes"]
        return {
            "name": str((attributes.get("contact_information") or {}).get("organization_name") or "")[:200],
            "time zone": str(attributes.get("timezone") or ""),
            "currency": str(attributes.get("preferred_currency") or ""),
            "is a test account": bool(attributes.get("test_account")),
        }
    except (ValueError, LookupError, TypeError, AttributeError):
        return {}


def _finding(probe: Probe, outcome: Outcome, **told: Any) -> Finding:
    return Finding(probe.words, probe.scope, outcome.value, probe.is_needed, probe.family, probe.use, **told)
