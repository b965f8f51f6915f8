"""What is quiet and what is too quiet, over weeks written by hand."""

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from webhooks_log.silence import too_quiet

MONDAY_NOON = datetime(2026, 3, 2, 12, 0, tzinfo=UTC)
HOUR, WEEK = timedelta(hours=1), timedelta(weeks=1)


def busy_mornings(weeks: int, until: datetime = MONDAY_NOON, per_hour: int = 10) -> dict[datetime, int]:
    """Ten events an hour from eight to eighteen, Monday to Friday, before `until`."""
    hours = (until - HOUR * number for number in range(1, 24 * 7 * weeks))
    return {hour: per_hour for hour in hours if 8 <= hour.hour < 18 and hour.weekday() < 5}


def without_last(counts: dict[datetime, int], hours: int) -> dict[datetime, int]:
    return {hour: count for hour, count in counts.items() if hour < MONDAY_NOON - HOUR * hours}


def test_a_busy_shop_that_falls_silent_is_noticed_within_two_hours():
    quiet = too_quiet(without_last(busy_mornings(5), 2), MONDAY_NOON)
    assert quiet is not None
    assert quiet.expected == 20
    assert quiet.since == MONDAY_NOON - 2 * HOUR


def test_a_shop_with_events_is_not():
    assert too_quiet(busy_mornings(5), MONDAY_NOON) is None


def test_a_quiet_weekend_is_what_weekends_are_like():
    sunday = MONDAY_NOON - timedelta(hours=18)
    assert too_quiet(busy_mornings(5, until=sunday), sunday) is None


def test_an_event_in_this_very_hour_ends_it():
    counts = without_last(busy_mornings(5), 3) | {MONDAY_NOON: 1}
    assert too_quiet(counts, MONDAY_NOON + timedelta(minutes=30)) is None


def test_a_new_shop_has_no_weeks_to_learn_from():
    assert too_quiet(without_last(busy_mornings(1), 3), MONDAY_NOON) is None


def test_one_weeks_sale_does_not_become_the_rule():
    usual = without_last(busy_mornings(5, per_hour=1), 3)
    sale = {hour: 500 for hour in usual if MONDAY_NOON - 2 * WEEK < hour < MONDAY_NOON - WEEK + 2 * HOUR}
    assert too_quiet(usual | sale, MONDAY_NOON) is None


def test_a_shop_that_closed_long_ago_is_no_news():
    assert too_quiet(without_last(busy_mornings(5), 24 * 9), MONDAY_NOON) is None


def test_nothing_ever_is_nothing():
    assert too_quiet({}, MONDAY_NOON) is None


def test_clocks_that_were_put_back_make_no_silence():
    """From November 1, 2026 New York opens at 13:00 UTC, where it had opened at 12:00."""
    new_york, monday = ZoneInfo("America/New_York"), datetime(2026, 11, 2, 13, 0, tzinfo=UTC)
    hours = [monday - HOUR * number for number in range(1, 24 * 7 * 6)]
    open_hours = {hour: 50 for hour in hours if 8 <= hour.astimezone(new_york).hour < 20}
    assert too_quiet(open_hours, monday) is not None
    assert too_quiet(open_hours, monday, new_york) is None
    assert too_quiet(open_hours, monday + HOUR, new_york) is not None
