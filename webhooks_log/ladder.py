"""When to try again: the ladder of delays after a failed try. Pure.

A lane asks after every answer that says "later". The stated delay is the least wait; jitter is only ever added, so
that a sentence on the tab ("not before 14:05") is true.
"""

from collections.abc import Sequence

JITTER = 0.1


def delay_seconds(tries: int, ladder: Sequence[int], chance: float) -> float | None:
    """Seconds to wait after the `tries`-th failed try (1 is the first); None when the ladder is used up.

    `chance` is a number from 0 to 1 and adds up to a tenth. Never negative; never more than 1.1 times the step.
    """
    if not 1 <= tries <= len(ladder):
        return None
    return ladder[tries - 1] * (1 + JITTER * chance)
