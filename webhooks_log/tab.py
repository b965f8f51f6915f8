"""The Webhooks tab, and the same view for everything: Deliveries of a customer, an order, a connection, a merchant.

The corridor's window. It reads slim rows by keyset, never counts, and keeps its filters in the address.
"""

from dataclasses import dataclass, replace
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from connections.models import Connection
from events.catalogue import RULES
from events.models import Customer
from webhooks_log import trial_message
from webhooks_log.customers import customer_tabs, customer_title, person
from webhooks_log.live import OVERLAP
from webhooks_log.models import Delivery
from webhooks_log.page import page
from webhooks_log.rows import lines
from webhooks_log.saved import saved_filters
from webhooks_log.scope import merchants_in
from webhooks_log.selection import HTTP_CLASSES, PAGE, PROFILE_ONLY, Selection, newest, read
from webhooks_log.viewer import Viewer, narrowed, slugs, viewer

METRICS = (*dict.fromkeys(rule.metric for rule in RULES if rule.metric), trial_message.METRIC)


def webhooks(request: HttpRequest) -> HttpResponse:
    """All Deliveries of the person's merchants, or what the address narrows them to."""
    eyes = narrowed(request)
    selection = read(request.GET, customer=None)
    merchants_in(selection, eyes)
    context = listing(request, eyes, selection)
    eyes.note_list_seen("webhooks", context["addressed"])
    return page(request, "list.html", title=_title(selection, eyes), **context)


def customer_webhooks(request: HttpRequest, pk: int) -> HttpResponse:
    """The Webhooks tab on the customer screen."""
    eyes = viewer(request)
    customer: Customer = eyes.own(Customer.objects.all(), pk=pk)
    selection = read(request.GET, customer=pk, merchant="", event="", replay="")
    merchants_in(selection, eyes)
    eyes.note_seen(customer)
    context = listing(request, eyes, selection)
    return page(
        request,
        "list.html",
        title=customer_title(customer, eyes),
        tabs=customer_tabs(customer, "webhooks"),
        customer=customer,
        person=person(customer, eyes),
        **context,
    )


def listing(request: HttpRequest, eyes: Viewer, selection: Selection) -> dict[str, Any]:
    """What a list of Deliveries needs: its lines, its filters, the addresses of what is older and what is new."""
    now = timezone.now()
    before = request.GET.get("before", "")
    before_id = int(before) if before.isascii() and before.isdigit() and len(before) < 19 else None
    rows = newest(selection, eyes, before=before_id, limit=PAGE + 1)
    shown, has_older = rows[:PAGE], len(rows) > PAGE
    query = _shown_query(selection)
    return {
        "eyes": eyes,
        "selection": selection,
        "lines": lines(shown, eyes, now),
        "addressed": {row.merchant_id for row in shown if row.email},
        "older": f"?{_and(query)}before={shown[-1].pk}" if has_older else "",
        "newest": f"?{query}" if before_id else "",
        "live": f"{reverse('admin:webhooks_live')}?{_and(selection.as_query())}" if not before_id else "",
        "since": (now - OVERLAP).isoformat(),
        "filters": filters(selection, eyes),
        "has_several_merchants": len(eyes.merchants) > 1,
        "shows_customer": not selection.customer,
        "export_query": selection.as_query(),
        "saved": saved_filters(request.user, eyes) if not selection.customer else [],
        "query": query,
        "may_send_many": all(eyes.may_send_again(pk) for pk in eyes.merchants),
        "may_export": all(eyes.sees_personal_data(pk) for pk in eyes.merchants),
    }


@dataclass(frozen=True, slots=True)
class Choice:
    """One select of the filter form."""

    name: str
    label: str
    options: list[tuple[str, str]]
    value: str


def filters(selection: Selection, eyes: Viewer) -> list[Choice]:
    connections = [
        (str(pk), name if not archived else f"{name} (archived)")
        for pk, name, archived in Connection.objects.filter(merchant_id__in=list(eyes.merchants)).values_list(
            "pk", "name", "archived_at"
        )[:200]
    ]
    choices = [
        Choice("state", "State", list(Delivery.State.choices), selection.state),
        Choice("metric", "Metric", [(PROFILE_ONLY, "Profile only"), *((m, m) for m in METRICS)], selection.metric),
        Choice("connection", "Connection", connections, str(selection.connection or "")),
        Choice("http", "Answer", [(key, words) for key, (words, _) in HTTP_CLASSES.items()], selection.http),
        Choice("phone", "Phone", [("dropped", "Phone was dropped")], selection.phone),
    ]
    if len(eyes.everyone) > 1 and not selection.customer:
        choices.insert(0, Choice("merchant", "Merchant", slugs(eyes.everyone), selection.merchant))
    return choices


def _title(selection: Selection, eyes: Viewer) -> str:
    if selection.order:
        return f"Webhooks of order {selection.order}"
    if selection.event:
        return f"Webhooks of event {selection.event}"
    if selection.connection:
        connection = Connection.objects.filter(pk=selection.connection).first()
        if connection is None:
            raise Http404
        return f"Webhooks of {connection.name}"
    return "Webhooks"


def _shown_query(selection: Selection) -> str:
    """The filters as this page's own address carries them: the customer is in its path."""
    return replace(selection, customer=None).as_query()


def _and(query: str) -> str:
    return f"{query}&" if query else ""
