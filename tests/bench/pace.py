"""How an account's calls were spread over time, read from the twin's record."""

from dataclasses import dataclass

from tests.twin import Twin


@dataclass(frozen=True, slots=True)
class Pace:
    first_ten: int  # calls in the ten seconds from the first one
    minutes: list[int]  # calls in each full minute from there
    throttled: int


def of(twin: Twin, account: str) -> Pace:
    """The pace of an account's calls since the twin's last reset."""
    calls = twin.requests(account=account, only="at_monotonic,status")
    moments = sorted(call["at_monotonic"] for call in calls)
    begin = moments[0]
    minutes = [
        sum(begin + 60 * number <= at < begin + 60 * (number + 1) for at in moments)
        for number in range(int((moments[-1] - begin) // 60))
    ]
    return Pace(
        first_ten=sum(at < begin + 10 for at in moments),
        minutes=minutes or [0],
        throttled=sum(call["status"] == 429 for call in calls),
    )
