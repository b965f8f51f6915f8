"""The page "Why is it not in Klaviyo?" for a customer, an order or an event.

The explanation's steps with links to their evidence.
"""

from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse

from events.models import Customer, Event
from webhooks_log.customers import customer_tabs, customer_title
from webhooks_log.explain import Evidence, Explanation, explain_customer, explain_event, explain_order
from webhooks_log.moments import moment, zone_of
from webhooks_log.page import page
from webhooks_log.viewer import narrowed, viewer

PAGES = {"event": "admin:event", "delivery": "admin:delivery", "customer": "admin:customer"}


def why_customer(request: HttpRequest, pk: int) -> HttpResponse:
    """The checklist for a customer, as a tab of the customer screen."""
    eyes = viewer(request)
    customer: Customer = eyes.own(Customer.objects.all(), pk=pk)
    clear = eyes.sees_personal_data(customer.merchant_id)
    eyes.note_seen(customer)
    shown = _linked(explain_customer(customer, clear=clear), zone_of(customer.merchant))
    tabs = customer_tabs(customer, "why")
    may_look = eyes.may_send_again(customer.merchant_id)
    look = reverse("admin:customer_look", args=(pk,)) if may_look else ""
    return page(request, "why.html", title=customer_title(customer, eyes), tabs=tabs, why=shown, look_address=look)


def event(request: HttpRequest, pk: int) -> HttpResponse:
    """One event: the checklist, and its body as received."""
    eyes = viewer(request)
    told: Event = eyes.own(Event.objects.defer("body", "digest"), pk=pk)
    eyes.note_seen(told)
    zone = zone_of(told.merchant)
    shown = _linked(explain_event(told, clear=eyes.sees_personal_data(told.merchant_id)), zone)
    title = f"{told.webhook_event} {told.event_id}"
    return page(request, "event.html", title=title, why=shown, event=told, received=moment(told.received_at, zone))


def why_order(request: HttpRequest) -> HttpResponse:
    """The checklist for `?order=`, narrowed by `?merchant=`."""
    eyes = narrowed(request)
    order = request.GET.get("order", "").replace("\0", "").strip()[:50]
    if not order or not eyes.merchants:
        raise Http404
    merchants = list(eyes.merchants.values())
    clear = all(eyes.sees_personal_data(merchant.pk) for merchant in merchants)
    if clear:
        eyes.note_list_seen(f"order {order}", eyes.merchants)
    shown = _linked(explain_order(merchants, order, clear=clear), zone_of(merchants[0]))
    return page(request, "why.html", title=f"Order {order}", why=shown)


def _linked(why: Explanation, zone: object) -> dict[str, object]:
    """The explanation as the template reads it: moments in words, evidence as addresses."""
    return {
        "title": why.title,
        "conclusion": why.conclusion,
        "tone": why.tone,
        "steps": [
            (step, moment(step.at, zone), [(item.label, _address(item)) for item in step.evidence])  # type: ignore[arg-type]
            for step in why.steps
        ],
        "parts": [_linked(part, zone) for part in why.parts],
    }


def _address(item: Evidence) -> str:
    if item.kind == "connection":
        return f"{reverse('admin:webhooks')}?connection={item.pk}"
    return reverse(PAGES[item.kind], args=(item.pk,))
