"""Balances the books after a fault: what the twin recorded, what it was asked, and what our tables say about both."""

import json
import time
from collections import Counter, defaultdict
from collections.abc import Iterable

from connections.models import KlaviyoAccount
from tests.twin import Twin
from webhooks_log.models import Attempt, Delivery

EVENTS = Delivery.objects.exclude(metric="")  # beside them a late event may owe its customer's profile anew


def assert_told_once(twin: Twin, expected: Iterable[str]) -> None:
    """Klaviyo holds each of these once, nothing else, and every repeat was the same bytes."""
    recorded = Counter(event["unique_id"] for event in twin.events())
    assert recorded == Counter(set(expected))
    bodies = defaultdict(set)
    for unique_id, body in calls(twin):
        bodies[unique_id].add(body)
    assert [unique_id for unique_id, seen in bodies.items() if len(seen) > 1] == []


def assert_nothing_is_stuck() -> None:
    """No Delivery is on the wire, none is owed, no lane is held."""
    states = Counter(EVENTS.values_list("state", "reason"))
    assert set(states) <= {("delivered", "")}, states
    assert not Delivery.objects.exclude(claim_token=None).exists()
    assert not KlaviyoAccount.objects.exclude(leased_until=None).exists()


def assert_every_call_is_accounted_for(twin: Twin) -> None:
    """Each call the twin saw has its Attempt, or the note that one may have been made; each row knows its number."""
    made = Counter(unique_id for unique_id, _ in calls(twin))
    attempts = Attempt.objects.filter(delivery__in=EVENTS.all())
    noted = Counter(attempts.values_list("delivery__unique_id", flat=True))
    assert {unique_id: (count, noted[unique_id]) for unique_id, count in made.items() if count > noted[unique_id]} == {}
    answered = Counter(attempts.filter(kind="single", status=202).values_list("delivery__unique_id", flat=True))
    assert {unique_id: count for unique_id, count in answered.items() if count > made[unique_id]} == {}
    on_time = Counter(attempts.filter(is_late=False).values_list("delivery__unique_id", flat=True))
    assert dict(EVENTS.values_list("unique_id", "attempt_count")) == dict(on_time)


def assert_in_order(twin: Twin, expected: Iterable[str]) -> None:
    assert_told_once(twin, expected)
    assert_nothing_is_stuck()
    assert_every_call_is_accounted_for(twin)


def calls(twin: Twin) -> list[tuple[str, str]]:
    """(unique_id, body) of every event sent to the twin, oldest first; the doctor's own questions are none."""
    sent = [request["body"] for request in twin.requests(path="/api/events")]
    return [(json.loads(body)["data"]["attributes"]["unique_id"], body) for body in sent if "unique_id" in (body or "")]


def wait_for_calls(twin: Twin, count: int, seconds: float = 60.0) -> None:
    """Until the twin has received this many of them; what it has told once is not asked for again."""
    heard = seen = 0
    until = time.monotonic() + seconds
    while heard < count:
        assert time.monotonic() < until, f"{heard} calls instead of {count} after {seconds} s"
        for request in twin.requests(path="/api/events", after=seen):
            seen, heard = request["seq"], heard + ("unique_id" in (request["body"] or ""))
        time.sleep(0.01)


def repeats(twin: Twin) -> int:
    """How many calls were made more than once for the same event."""
    made = Counter(unique_id for unique_id, _ in calls(twin))
    return sum(made.values()) - len(made)
