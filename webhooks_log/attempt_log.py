"""One canonical line in the log for every Attempt: all its ids, what was asked and answered, and nothing personal.

Called by a lane when it writes a block, and only where somebody wants these lines. The request id is the one under
which the event came in at the door, so that one search shows the whole way.
"""

import logging
from typing import TYPE_CHECKING

from webhooks_log.models import Delivery

if TYPE_CHECKING:
    from webhooks_log.settle import Block

logger = logging.getLogger("viaduct.attempt")


def note(block: "Block") -> None:
    """Write the lines of a block that is committed."""
    if not block.calls or not logger.isEnabledFor(logging.INFO):
        return
    calls, states = block.calls, {settled.row.id: settled.state for settled in block.settlements}
    names = ("pk", "account_id", "event_id", "unique_id", "event__request_id")
    rows = Delivery.objects.filter(pk__in={call.row.id for call in calls}).values_list(*names)
    known = {pk: rest for pk, *rest in rows}
    for call in calls:
        account, event, unique_id, request_id = known.get(call.row.id, (None, None, "", ""))
        exchange = call.outcome.exchange
        logger.info(
            "attempt",
            extra={
                "request_id": request_id,
                "merchant": call.row.merchant_id,
                "connection": call.row.connection_id,
                "account": account,
                "customer": call.row.customer_id,
                "event": event,
                "delivery": call.row.id,
                "attempt": call.pk,
                "metric": call.row.metric,
                "unique_id": unique_id,
                "kind": str(call.kind),
                "job": call.job,
                "tries": call.row.tries,
                "status": exchange.status,
                "silence": exchange.silence and exchange.silence.name.lower(),
                "verdict": call.outcome.verdict.name,
                "state": states.get(call.row.id, ""),
                "ms": exchange.duration_ms,
                "klaviyo_request_id": exchange.header("X-Klaviyo-Req-Id"),
            },
        )
