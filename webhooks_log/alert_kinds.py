"""The kinds of alerts: what each is called, what it says when it comes and goes, and what to do about it.

Read by `webhooks_log.alerts`, by the page of alerts and by the mails alike.
"""

from dataclasses import dataclass
from datetime import timedelta

AT_ONCE, A_MOMENT, A_WHILE = timedelta(0), timedelta(minutes=2), timedelta(minutes=10)


@dataclass(frozen=True, slots=True)
class Kind:
    """`holds` is how long it must last before anybody is told, `rests` how long it must be over."""

    code: str
    title: str
    over: str
    advice: str
    holds: timedelta = AT_ONCE
    rests: timedelta = A_MOMENT
    is_for_staff: bool = False


# fmt: off
KINDS = (
    Kind("key_refused",   "Klaviyo refuses the key",            "Klaviyo accepts the key again",
         "Create a new private key in Klaviyo and enter it at the connection. What waits goes out by itself."),
    Kind("scope_missing", "The Klaviyo key lacks a permission", "The Klaviyo key has all permissions",
         "Create a private key with full access to Events, Lists and Profiles and enter it at the connection."),
    Kind("failing",       "Many messages fail",                 "Messages go through again",
         "Open the failed messages: Klaviyo's own words stand in the answer of each.", holds=A_MOMENT, rests=A_WHILE),
    Kind("breaker_open",  "Klaviyo is failing",                 "Klaviyo works again",
         "Nothing. One message at a time is tried until Klaviyo recovers; then everything goes out by itself.",
         holds=A_MOMENT),
    Kind("exhausted",     "Messages were given up",             "No more messages were given up",
         "Look at the last answer of one, mend the cause, then select them all and send again.", rests=A_WHILE),
    Kind("silence",       "No events from Vrio",                "Events come again from Vrio",
         "See in Vrio whether its webhooks are switched on and point here, then Receive from Vrio for refusals."),
    Kind("refused",       "Events from Vrio were refused",      "No more events were refused",
         "Open Receive from Vrio: each refusal is kept there with its reason and can be sent in again.", rests=A_WHILE),
    Kind("backlog",       "Messages are overdue",               "Nothing is overdue any more",
         "Nothing at first: they go out by themselves. If it lasts for hours, ask our support.", holds=A_WHILE),
    Kind("key_retiring",  "A key for receiving runs out soon",  "No key for receiving is about to end",
         "Put the new key into Vrio before the old one ends; after that Vrio's events are refused."),
    Kind("undispatched",  "Events wait for dispatch",           "Events are dispatched again",
         "See whether a worker runs: manage.py doctor.", holds=A_MOMENT, is_for_staff=True),
    Kind("broken",        "Events could not be translated",     "No event is broken any more",
         "Read the log, mend the cause, then manage.py redispatch --broken.", is_for_staff=True),
    Kind("retirement",    "Klaviyo retires the API revision",   "The API revision is current",
         "Update Viaduct, or set KLAVIYO_REVISION to a newer one after its tests have passed.", is_for_staff=True),
    Kind("disk",          "The disk is nearly full",            "The disk has room again",
         "Make room, or shorten BODY_DAYS and run manage.py prune. A full disk takes no events in.",
         rests=A_WHILE, is_for_staff=True),
)
# fmt: on

BY_CODE = {kind.code: kind for kind in KINDS}
MERCHANT_KINDS = tuple(kind for kind in KINDS if not kind.is_for_staff)
