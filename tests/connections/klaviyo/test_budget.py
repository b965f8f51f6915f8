"""The budget as arithmetic: limits from facts and headers, and what holds for any order of calls and restarts."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from connections.klaviyo.budget import (
    BULK,
    DOCUMENTED,
    EVENTS,
    LISTS,
    OTHER,
    PRIVACY,
    PROFILES,
    SHARE,
    SLOTS,
    Budget,
    family_of,
    parse_limits,
    smaller,
)

NOW = 1_790_000_000.0
patiently = settings(deadline=None, max_examples=60)
FAMILIES = st.sampled_from([EVENTS, PROFILES, BULK, PRIVACY])
# Seconds until the next look, and how many calls are wanted then: bursts, trickles and long rests.
STEPS = st.lists(
    st.tuples(st.one_of(st.just(0.0), st.floats(0, 0.01), st.floats(0, 70)), st.integers(1, 400)), max_size=40
)


def again(budget: Budget, now: float) -> Budget:
    """The same budget in the next process."""
    return Budget(json.loads(json.dumps(budget.state(now))), now=now)


def spent(steps, family: str, *, restarts: bool = False) -> list[float]:
    """When calls went out for somebody who takes all he can."""
    budget, now, times = Budget(now=NOW), NOW, []
    for since, wanted in steps:
        now += since
        budget = again(budget, now) if restarts else budget
        for _ in range(wanted):
            if not budget.take(family, now):
                break
            times.append(now)
    return times


def most_in_any(times: list[float], seconds: float) -> int:
    """The most calls in any stretch of that length, its start included and its end not."""
    most = first = 0
    for index, at in enumerate(times):
        while times[first] <= at - seconds:
            first += 1
        most = max(most, index - first + 1)
    return most


# ── Families and headers ─────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize(
    ("path", "family"),
    [
        ("/api/events", EVENTS),
        ("/api/events/", EVENTS),
        ("/api/event-bulk-create-jobs", BULK),
        ("/api/profile-import", PROFILES),
        ("/api/profiles/01GDDKASAP8TKDDA2GRZDSVP4H", PROFILES),
        ("/api/lists?page[size]=1", LISTS),
        ("/api/data-privacy-deletion-jobs", PRIVACY),
        ("/api/accounts", OTHER),
    ],
)
def test_a_path_belongs_to_the_family_whose_limits_it_shares(path: str, family: str) -> None:
    assert family_of(path) == family


def test_the_documented_limits_stand_until_an_answer_says_more() -> None:
    used = Budget(now=NOW).used(EVENTS, NOW)
    assert used == {1: (0, 350), 60: (0, 3500)}
    assert (DOCUMENTED[PROFILES], DOCUMENTED[BULK]) == ({1: 75, 60: 750}, {1: 10, 60: 150})


@pytest.mark.parametrize(
    ("header", "limits"),
    [
        ("350, 350;w=1, 3500;w=60", {1: 350, 60: 3500}),
        ("700, 75;w=1, 700;w=60", {1: 75, 60: 700}),
        ("75 ; w=1,750; w=60", {1: 75, 60: 750}),
        ("350", {}),
        ("0;w=1", {}),
        ("-5;w=sixty, x", {}),
        ("", {}),
    ],
)
def test_limits_are_read_from_the_windows_a_header_lists(header: str, limits: dict[int, int]) -> None:
    assert parse_limits(header) == limits


def test_a_smaller_limit_holds_from_the_answer_that_names_it() -> None:
    budget = Budget(now=NOW)
    budget.learn(EVENTS, "10, 10;w=1, 100;w=60")
    assert sum(budget.take(EVENTS, NOW + number / 1000) for number in range(1000)) <= 10


def test_a_refusal_stops_the_family_for_a_second() -> None:
    budget = Budget(now=NOW)
    budget.refused(EVENTS, NOW)
    assert not budget.take(EVENTS, NOW)
    assert budget.take(PROFILES, NOW)
    assert budget.take(EVENTS, NOW + 1.0)


def test_a_budget_that_is_off_stops_nobody() -> None:
    budget = Budget(now=NOW, enabled=False)
    assert all(budget.take(EVENTS, NOW) for _ in range(5000))


def test_a_dead_drains_calls_are_counted_for_it() -> None:
    budget = Budget(now=NOW)
    budget.take(EVENTS, NOW)
    budget.assume(164, NOW)
    assert budget.used(EVENTS, NOW) == {1: (165, 350), 60: (165, 3500)}


def test_a_dead_drains_calls_are_counted_even_if_it_never_saved_a_budget() -> None:
    budget = Budget(now=NOW)
    budget.assume(164, NOW)
    assert budget.used(EVENTS, NOW)[60] == (164, 3500)


def test_of_two_accounts_that_are_one_the_fuller_count_is_kept() -> None:
    busy, idle = Budget(now=NOW), Budget(now=NOW)
    for number in range(50):
        busy.take(EVENTS, NOW + number / 100)
    idle.take(EVENTS, NOW)
    merged = smaller(idle.state(NOW + 1), busy.state(NOW + 1))
    assert Budget(merged, now=NOW + 1).used(EVENTS, NOW + 1)[60][0] == 50


def test_a_full_minute_is_used_to_ninety_six_percent() -> None:
    budget, now, sent = Budget(now=NOW), NOW, 0
    while now < NOW + 60:
        if budget.take(EVENTS, now):
            sent += 1
        else:
            now += max(budget.wait(EVENTS, now), 0.0005)
    assert 0.96 * 3500 <= sent <= 3500


# ── For any order of calls ───────────────────────────────────────────────────────────────────────────────────────────
@patiently
@given(STEPS, FAMILIES, st.booleans())
def test_no_window_anywhere_ever_holds_more_than_its_limit(steps, family, restarts) -> None:
    times = spent(steps, family, restarts=restarts)
    for seconds, limit in DOCUMENTED[family].items():
        assert most_in_any(times, seconds) <= max(1, int(limit * SHARE))


@patiently
@given(STEPS, FAMILIES)
def test_a_wait_is_never_negative_and_never_above_the_longest_window(steps, family) -> None:
    budget, now = Budget(now=NOW), NOW
    for since, wanted in steps:
        now += since
        for _ in range(wanted):
            wait = budget.wait(family, now)
            assert 0 <= wait <= 60 + 60 / SLOTS
            assert budget.take(family, now) == (wait == 0)


@patiently
@given(STEPS, FAMILIES)
def test_after_its_wait_a_call_goes(steps, family) -> None:
    budget, now = Budget(now=NOW), NOW
    for since, _ in steps:
        now += since
        for _ in range(400):  # each wait may end at the next window's
            if budget.take(family, now):
                break
            now += budget.wait(family, now)
        else:
            pytest.fail("it waited for ever")


@patiently
@given(STEPS, FAMILIES, st.lists(st.floats(0, 65), min_size=1, max_size=10))
def test_what_is_read_back_never_allows_a_call_that_was_not_allowed_before(steps, family, looks) -> None:
    budget, now = Budget(now=NOW), NOW
    for since, wanted in steps:
        now += since
        for _ in range(wanted):
            budget.take(family, now)
    copy = again(again(budget, now), now)
    for ahead in sorted(looks):
        used, counted = budget.used(family, now + ahead), copy.used(family, now + ahead)
        assert all(counted[seconds][0] >= used[seconds][0] for seconds in used)
        assert copy.wait(family, now + ahead) >= budget.wait(family, now + ahead) - 1e-6


@patiently
@given(STEPS, FAMILIES, st.floats(0, 100_000), st.booleans())
def test_a_clock_set_back_freezes_nobody_and_frees_nobody(steps, family, back, restarts) -> None:
    budget, now = Budget(now=NOW), NOW
    for since, wanted in steps:
        now += since
        for _ in range(wanted):
            budget.take(family, now)
    used = budget.used(family, now)
    earlier = now - back
    budget = again(budget, earlier) if restarts else budget
    assert budget.wait(family, earlier) <= 60 + 60 / SLOTS
    assert all(budget.used(family, earlier)[seconds][0] >= used[seconds][0] for seconds in used)
    assert budget.wait(family, earlier + 60 + 60 / SLOTS + 1) == 0


@patiently
@given(st.lists(st.floats(0, 0.02), min_size=50, max_size=300))
def test_calls_of_a_second_are_spread_after_a_small_bunch(gaps) -> None:
    times = spent([(gap, 400) for gap in gaps], EVENTS)
    assert most_in_any(times, 0.01) <= 34 + 1 + 0.01 * 350
