"""The plainest event that the door takes in; needs no Django, so that whoever only calls a server can have it."""

from typing import Any


def an_event(event_id: Any = 5325, **more: Any) -> dict[str, Any]:
    return {
        "webhook_type": "transaction",
        "webhook_event": "transaction_completed",
        "webhook_event_id": event_id,
        "webhook_event_date": "2025-09-30 18:46:19",
        "webhook_data": {"transaction": {"id": "980091", "transaction_type_id": "Capture"}},
    } | more
