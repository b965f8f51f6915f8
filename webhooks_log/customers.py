"""The customer screen: who it is, what Vrio told us about them, and the tabs that lead to what Klaviyo was told.

Support's way in, from an e-mail address to a refused phone number.
"""

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from events.models import Customer, Event
from webhooks_log.masking import mask_email, mask_name, mask_phone
from webhooks_log.models import Note
from webhooks_log.moments import moment, zone_of
from webhooks_log.page import page
from webhooks_log.selection import merged_rows
from webhooks_log.viewer import Viewer, narrowed, slugs, viewer

PAGE = 50


def customers(request: HttpRequest) -> HttpResponse:
    """The newest customers, by keyset; the search box above every page finds any other."""
    eyes = narrowed(request)
    before = request.GET.get("before", "")
    parts = [Customer.objects.filter(merchant_id=pk) for pk in eyes.merchants]
    if before.isascii() and before.isdigit() and len(before) < 19:
        parts = [part.filter(pk__lt=int(before)) for part in parts]
    found = merged_rows(parts, PAGE + 1)
    if found:
        eyes.note_list_seen("customers", {customer.merchant_id for customer in found})
    slug = f"merchant={eyes.slug}&" if eyes.slug else ""
    return page(
        request,
        "customers.html",
        title="Customers",
        people=[person(customer, eyes) for customer in found[:PAGE]],
        older=f"?{slug}before={found[PAGE - 1].pk}" if len(found) > PAGE else "",
        merchants=slugs(eyes.everyone) if len(eyes.everyone) > 1 else [],
        merchant=eyes.slug,
    )


def customer(request: HttpRequest, pk: int) -> HttpResponse:
    """The Profile tab: what the mirror of the shop knows."""
    eyes = viewer(request)
    found: Customer = eyes.own(Customer.objects.all(), pk=pk)
    zone, now = zone_of(found.merchant), timezone.now()
    eyes.note_seen(found)
    events = Event.objects.filter(customer=found).defer("body", "digest").order_by("-pk")[:20]
    return page(
        request,
        "customer.html",
        title=customer_title(found, eyes),
        tabs=customer_tabs(found, "customer"),
        customer=found,
        person=person(found, eyes),
        clear=eyes.sees_personal_data(found.merchant_id),
        orders=found.orders.order_by("-pk")[:20],
        subscriptions=found.subscriptions.order_by("-pk")[:20],
        events=[(event, moment(event.received_at, zone, now)) for event in events],
        remarks=[
            (note, moment(note.at, zone, now)) for note in Note.objects.filter(customer=found).order_by("pk")[:50]
        ],
        note_address=reverse("admin:customer_note", args=(pk,)),
        note_id="customer",
        first_seen=moment(found.first_seen_at, zone, now),
        facts_at=moment(found.facts_at, zone, now),
    )


def person(found: Customer, eyes: Viewer) -> dict[str, Any]:
    """A customer in words; masked for those who may not see personal data."""
    clear, merchant = eyes.sees_personal_data(found.merchant_id), eyes.merchants[found.merchant_id]
    name = f"{found.first_name} {found.last_name}".strip() if clear else mask_name(found.first_name, found.last_name)
    return {
        "pk": found.pk,
        "vrio_id": found.vrio_id,
        "email": found.email if clear else mask_email(found.email),
        "name": name,
        "phone": (found.phone_e164 or found.phone) if clear else mask_phone(found.phone_e164 or found.phone),
        "merchant": merchant.name,
        "first_seen": moment(found.first_seen_at, zone_of(merchant)),
        "is_stub": found.named_at is None and not found.email,
        "is_erased": found.erased_at is not None,
    }


def customer_title(found: Customer, eyes: Viewer) -> str:
    shown = person(found, eyes)
    return shown["email"] or shown["name"] or f"Customer {found.vrio_id}"


def customer_tabs(found: Customer, active: str) -> list[tuple[str, str, bool]]:
    """(name, address, whether it is this one) of the customer screen's tabs."""
    tabs = (("customer", "Profile"), ("webhooks", "Webhooks"), ("why", "Why is it not in Klaviyo?"))
    names = {"customer": "admin:customer", "webhooks": "admin:customer_webhooks", "why": "admin:why_customer"}
    return [(label, reverse(names[key], args=(found.pk,)), key == active) for key, label in tabs]
