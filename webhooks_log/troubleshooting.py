"""The troubleshooting list of a connection, ticked from its real records.

On the connection's page: what to look at when events do not appear in Klaviyo, and what the rows say about it.
"""

from collections import Counter
from dataclasses import dataclass

from django.urls import reverse

from connections.models import Connection
from webhooks_log.models import Delivery

LOOKED_AT = 500  # the newest Deliveries of the connection: one walk down an index


@dataclass(frozen=True, slots=True)
class Tick:
    """One line: `is_good` is None where nothing can be said yet. `link` leads to the rows behind the sentence."""

    question: str
    is_good: bool | None
    sentence: str
    link: str = ""


def ticks(connection: Connection) -> list[Tick]:
    """The list, in the order in which one would look."""
    newest = Delivery.objects.filter(connection=connection).order_by("-pk")[:LOOKED_AT]
    seen = Counter(newest.values_list("state", "reason"))
    return [
        _push_events(connection),
        _key(connection),
        _active(connection),
        _emails(connection, seen),
        _campaigns(connection, seen),
        _accepted(connection, seen),
    ]


def _push_events(connection: Connection) -> Tick:
    if connection.push_events:
        return Tick("“Push Events” is enabled", True, "Customer and order events are sent.")
    return Tick(
        "“Push Events” is enabled", False, "It is off: events are recorded and skipped. Switch it on in the settings."
    )


def _key(connection: Connection) -> Tick:
    question = "The private API key has proper permissions (Events, Lists, Profiles)"
    if connection.state in (Connection.State.UNCHECKED, Connection.State.UNREACHABLE, Connection.State.EDGE_BLOCKED):
        return Tick(question, None, "Klaviyo has not judged the key yet.")
    return Tick(question, connection.state == Connection.State.CONNECTED, connection.state_detail)


def _active(connection: Connection) -> Tick:
    if connection.is_active:
        return Tick("The connection is marked “Active”", True, "It is.")
    return Tick(
        "The connection is marked “Active”",
        False,
        "It is paused: what is owed waits, and new events are skipped until you activate it.",
    )


def _emails(connection: Connection, seen: Counter[tuple[str, str]]) -> Tick:
    question = "The customer has a valid e-mail address"
    without = _skipped(seen, "no_email", "dropped_domain", "never_named")
    if not seen.total():
        return Tick(question, None, "Nothing has been sent yet.")
    if not without:
        return Tick(question, True, f"All of the last {seen.total()} messages had one.")
    sentence = f"{without} of the last {seen.total()} messages were skipped for want of an address that Klaviyo takes."
    return Tick(question, False, sentence, _rows(connection, "skipped"))


def _campaigns(connection: Connection, seen: Counter[tuple[str, str]]) -> Tick:
    question = "Campaign filtering is not excluding the customer"
    chosen = connection.campaigns.count()
    if not chosen:
        return Tick(question, True, "No campaign is chosen, so all are sent.")
    excluded = _skipped(seen, "campaign_excluded")
    if not excluded:
        return Tick(question, True, f"{chosen} chosen; nothing of the last {seen.total()} messages was excluded.")
    sentence = f"{excluded} of the last {seen.total()} messages belonged to campaigns that are not chosen."
    return Tick(question, False, sentence, _rows(connection, "skipped"))


def _accepted(connection: Connection, seen: Counter[tuple[str, str]]) -> Tick:
    question = "Klaviyo accepts what is sent"
    accepted, failed = _in_state(seen, "delivered"), _in_state(seen, "failed")
    if failed:
        return Tick(
            question, False, f"{failed} of the last {seen.total()} messages failed.", _rows(connection, "failed")
        )
    if accepted:
        return Tick(question, True, f"{accepted} of the last {seen.total()} messages were accepted, none failed.")
    return Tick(question, None, "Nothing has been accepted yet.")


def _skipped(seen: Counter[tuple[str, str]], *reasons: str) -> int:
    return sum(count for (state, reason), count in seen.items() if state == "skipped" and reason in reasons)


def _in_state(seen: Counter[tuple[str, str]], wanted: str) -> int:
    return sum(count for (state, _), count in seen.items() if state == wanted)


def _rows(connection: Connection, state: str) -> str:
    return f"{reverse('admin:webhooks')}?connection={connection.pk}&state={state}"
