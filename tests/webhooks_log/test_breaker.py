"""The breaker: opens on a share of failures, probes one at a time, closes by itself; and what holds for any history."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from webhooks_log.breaker import MINIMUM, PAUSES, WINDOW_SECONDS, Breaker

NOW = 1_790_000_000.0
patiently = settings(deadline=None)
HISTORIES = st.lists(st.tuples(st.floats(-120, 120), st.booleans()), max_size=200)  # seconds since the last, failed


def opened(at: float = NOW) -> Breaker:
    breaker = Breaker()
    for _ in range(MINIMUM):
        breaker.report(at, failed=True)
    return breaker


def test_a_few_failures_are_no_outage() -> None:
    breaker = Breaker()
    for _ in range(MINIMUM - 1):
        breaker.report(NOW, failed=True)
    assert breaker.is_closed


def test_half_of_enough_outcomes_failing_is_one() -> None:
    breaker = Breaker()
    for number in range(MINIMUM):
        breaker.report(NOW, failed=number % 2 == 1)
    assert not breaker.is_closed


def test_less_than_half_is_none() -> None:
    breaker = Breaker()
    for number in range(3 * MINIMUM):
        breaker.report(NOW, failed=number % 3 == 2)
    assert breaker.is_closed


def test_what_left_the_window_is_forgotten() -> None:
    breaker = Breaker()
    for _ in range(MINIMUM - 1):
        breaker.report(NOW, failed=True)
    breaker.report(NOW + WINDOW_SECONDS + 1, failed=True)
    assert breaker.is_closed


def test_an_open_breaker_lets_nothing_go_until_its_pause_is_over() -> None:
    breaker = opened()
    assert not breaker.may_send(NOW + PAUSES[0] - 0.1, in_flight=0)
    assert breaker.may_send(NOW + PAUSES[0], in_flight=0)


def test_there_is_one_probe_at_a_time() -> None:
    assert not opened().may_send(NOW + PAUSES[0], in_flight=1)


def test_a_good_probe_closes_it_and_old_failures_do_not_open_it_again() -> None:
    breaker = opened()
    breaker.report(NOW + PAUSES[0], failed=False)
    breaker.report(NOW + PAUSES[0], failed=True)
    assert breaker.is_closed


def test_each_bad_probe_waits_longer_up_to_a_minute() -> None:
    breaker, now, waits = opened(), NOW, []
    for _ in range(6):
        waits.append(round(breaker.open_until - now))
        now = breaker.open_until
        breaker.report(now, failed=True)
    assert waits == [5, 10, 20, 40, 60, 60]


def test_what_was_on_the_wire_when_it_opened_neither_lengthens_nor_ends_the_pause() -> None:
    breaker = opened()
    for failed in (True, False, True):
        breaker.report(NOW + 1, failed)
    assert breaker.open_until == NOW + PAUSES[0]


def test_it_survives_its_process() -> None:
    breaker = opened()
    again = Breaker.restored(json.loads(json.dumps(breaker.state())), NOW)
    assert (again.open_until, again.probes) == (breaker.open_until, breaker.probes)


@patiently
@given(HISTORIES)
def test_however_the_clock_jumps_the_pause_ahead_stays_within_the_longest(history) -> None:
    breaker, now = Breaker(), NOW
    for since, failed in history:
        now += since
        breaker = Breaker.restored(breaker.state(), now) if since < 0 else breaker
        breaker.report(now, failed)
        assert breaker.is_closed or breaker.open_until - now <= PAUSES[-1]


@patiently
@given(HISTORIES)
def test_a_good_probe_always_closes_it(history) -> None:
    breaker, now = Breaker(), NOW
    for since, failed in history:
        now += abs(since)
        breaker.report(now, failed)
    breaker.report(now + PAUSES[-1], failed=False)
    assert breaker.is_closed


@patiently
@given(HISTORIES)
def test_its_count_of_failures_is_the_number_of_failures_it_remembers(history) -> None:
    breaker, now = Breaker(), NOW
    for since, failed in history:
        now += since
        breaker.report(now, failed)
        assert breaker.failures == sum(failed for _, failed in breaker.outcomes)
