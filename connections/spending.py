"""Counts single calls in their account's budget, which the lanes and everybody else beside them share.

Between the doctor and the client. The budget belongs to whoever holds the account's lease; a lane that is sending keeps
it, and then our few calls come out of the three percent that lanes leave unused.
"""

import time
from collections.abc import Callable

from connections import turns
from connections.klaviyo.budget import Budget, family_of
from connections.models import KlaviyoAccount

LEASE_SECONDS = 5.0
PATIENCE_SECONDS = 1.0

Spend = Callable[[str], bool]


def spending(account_id: int, holder: str) -> Spend:
    """A function that spends one call to a path, waiting a moment for it if need be; False if it may not go now.

    The lease is held while counting only, never while Klaviyo is asked: a slow answer must not stop the lane.
    """

    def spend(path: str) -> bool:
        turn = turns.take(KlaviyoAccount, account_id, holder=holder, seconds=LEASE_SECONDS)
        if turn is None:
            return True
        budget = Budget(KlaviyoAccount.objects.get(pk=account_id).budget, now=time.time())
        may_go = _take(budget, path)
        turns.held(turn).update(budget=budget.state(time.time()))
        turns.release(turn)
        return may_go

    return spend


def _take(budget: Budget, path: str) -> bool:
    family = family_of(path)
    wait = budget.wait(family, time.time())
    if wait > PATIENCE_SECONDS:
        return False
    time.sleep(wait)
    return budget.take(family, time.time())
