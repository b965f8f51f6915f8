"""What this floor adds to a connection's page: its checklist, the test event, past events, the change of account."""

from typing import Any

from django import template
from django.template import RequestContext

from connections.models import Connection
from connections.tenancy import may
from webhooks_log.troubleshooting import ticks

register = template.Library()


@register.inclusion_tag("webhooks_log/panels/checklist.html")
def connection_checklist(connection: Connection) -> dict[str, Any]:
    """The troubleshooting list, ticked from real records."""
    return {"ticks": ticks(connection), "connection": connection}


@register.inclusion_tag("webhooks_log/panels/move.html", takes_context=True)
def connection_move(context: RequestContext, connection: Connection, cid: str) -> dict[str, Any]:
    """Asks the owner to confirm, by typing, that the connection moves to the account found."""
    return {"connection": connection, "cid": cid, "csrf_token": context.get("csrf_token")}


@register.inclusion_tag("webhooks_log/panels/test_event.html", takes_context=True)
def connection_test_event(context: RequestContext, connection: Connection) -> dict[str, Any]:
    """The button that sends a marked test event."""
    return _for_configuring(context, connection)


@register.inclusion_tag("webhooks_log/panels/past_events.html", takes_context=True)
def connection_past_events(context: RequestContext, connection: Connection) -> dict[str, Any]:
    """The offer to send what happened before the connection was made."""
    return _for_configuring(context, connection)


def _for_configuring(context: RequestContext, connection: Connection) -> dict[str, Any]:
    user = context["request"].user
    return {
        "connection": connection,
        "may_configure": may(user, connection.merchant, "configure"),
        "user": user,
        "csrf_token": context.get("csrf_token"),
    }
