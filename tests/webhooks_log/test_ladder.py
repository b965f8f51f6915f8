"""The ladder of delays: the documented steps, and what holds for every ladder."""

from hypothesis import given, settings
from hypothesis import strategies as st

from config.settings import RETRY_LADDER_SECONDS
from webhooks_log.ladder import JITTER, delay_seconds

DAY = 86_400
patiently = settings(deadline=None)
LADDERS = st.lists(st.integers(0, 7 * DAY), min_size=1, max_size=20)
CHANCES = st.floats(0, 1)


def test_the_first_try_again_comes_within_a_minute_and_the_last_after_about_three_days() -> None:
    assert delay_seconds(1, RETRY_LADDER_SECONDS, 1.0) <= 60
    assert 2.5 * DAY <= sum(RETRY_LADDER_SECONDS) <= 4 * DAY


def test_the_standing_ladder_only_grows() -> None:
    assert sorted(RETRY_LADDER_SECONDS) == RETRY_LADDER_SECONDS


def test_a_used_up_ladder_gives_nothing_more() -> None:
    assert delay_seconds(3, [20, 60], 0.5) is None
    assert delay_seconds(1, [], 0.5) is None


@patiently
@given(LADDERS, st.integers(-3, 25), CHANCES)
def test_a_delay_is_never_negative_never_early_and_never_above_the_ceiling(ladder, tries, chance) -> None:
    delay = delay_seconds(tries, ladder, chance)
    if not 1 <= tries <= len(ladder):
        assert delay is None
    else:
        assert 0 <= ladder[tries - 1] <= delay <= ladder[tries - 1] * (1 + JITTER)


@patiently
@given(LADDERS, CHANCES, CHANCES)
def test_jitter_never_makes_a_later_rung_of_a_growing_ladder_come_before_the_step_of_an_earlier(
    ladder, one, other
) -> None:
    ladder.sort()
    delays = [delay_seconds(tries, ladder, one if tries % 2 else other) for tries in range(1, len(ladder) + 1)]
    assert all(later >= step for later, step in zip(delays[1:], ladder, strict=False))
