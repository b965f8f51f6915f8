"""One search box from every page: whatever support has in hand, the right screen, by exact look-ups with an index.

The way in to customers, orders, Deliveries and events.
"""

import re
from dataclasses import dataclass
from typing import Any

from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode

from events.models import Customer, Event
from webhooks_log.customers import customer_title
from webhooks_log.models import Attempt, Delivery
from webhooks_log.moments import moment, zone_of
from webhooks_log.page import page
from webhooks_log.rows import metric_name
from webhooks_log.selection import indexed
from webhooks_log.viewer import Viewer, narrowed

MOST = 20  # of each kind


@dataclass(frozen=True, slots=True)
class Hit:
    """One thing found, and where it leads."""

    kind: str
    title: str
    detail: Any
    href: str
    person_at: int = 0  # the merchant whose customer is named


def find(request: HttpRequest) -> HttpResponse:
    """What is known under `?q=`; a single hit leads straight to it."""
    eyes = narrowed(request)
    asked = request.GET.get("q", "").replace("\0", "").strip()[:200]
    hits = search(asked, eyes) if asked else []
    if len(hits) == 1:
        return redirect(hits[0].href)
    eyes.note_list_seen("found", {hit.person_at for hit in hits if hit.person_at})
    return page(request, "find.html", title="Find", hits=hits, asked=asked, find_query=asked)


def search(asked: str, eyes: Viewer) -> list[Hit]:
    """Every hit of every kind; customers first. Kinds that the text cannot be are not asked for."""
    found: list[Hit] = []
    for look in (_customers, _orders, _events, _calls):
        found += look(asked, eyes)
    return found


def _customers(asked: str, eyes: Viewer) -> list[Hit]:
    ids, clear = list(eyes.merchants), [pk for pk in eyes.merchants if eyes.sees_personal_data(pk)]
    rows: dict[int, Customer] = {}
    for matches in _customer_questions(asked, ids, clear):
        rows |= {row.pk: row for row in Customer.objects.filter(matches).order_by("-pk")[:MOST]}
    return [_customer_hit(row, eyes) for row in list(rows.values())[:MOST]]


def _customer_questions(asked: str, ids: list[int], clear: list[int]) -> list[Q]:
    """One question for each index; e-mail, phone and name only where the person may see them."""
    digits = re.sub(r"\D", "", asked)
    if "@" in asked:
        return [Q(merchant_id__in=clear) & indexed("email", asked.lower())]
    questions = [Q(merchant_id__in=ids, vrio_id=asked)]
    if re.fullmatch(r"[\d\s()+./-]+", asked) and 7 <= len(digits) <= 15:
        numbers = [f"+{digits}", f"+1{digits}"]
        questions.append(Q(merchant_id__in=clear, phone_e164__in=numbers) & ~Q(phone_e164=""))
    if re.search(r"[^\W\d_]", asked):
        questions += _name_questions(asked, clear)
    return questions


def _name_questions(asked: str, clear: list[int]) -> list[Q]:
    """A last name, or first and last name, in the spellings people use."""
    spellings = {asked, asked.title(), asked.lower(), asked.upper()}
    questions = [Q(merchant_id__in=clear, last_name__in=spellings)]
    for spelling in spellings:
        words = spelling.split()
        questions += [
            Q(merchant_id__in=clear, first_name=" ".join(words[:cut]), last_name=" ".join(words[cut:]))
            for cut in range(1, min(len(words), 4))
        ]
    return questions


def _customer_hit(row: Customer, eyes: Viewer) -> Hit:
    merchant = eyes.merchants[row.merchant_id]
    return Hit(
        "Customer",
        customer_title(row, eyes),
        f"Vrio customer {row.vrio_id}, {merchant.name}",
        reverse("admin:customer_webhooks", args=(row.pk,)),
        merchant.pk,
    )


def _orders(asked: str, eyes: Viewer) -> list[Hit]:
    """Orders of which something was sent, or at least heard."""
    if not _is_word(asked, 50):
        return []
    ids = list(eyes.merchants)
    of_order = Q(merchant_id__in=ids) & indexed("order_id", asked)
    told = set(Delivery.objects.filter(of_order).values_list("merchant_id", flat=True)[:500])
    told |= set(Event.objects.filter(of_order).values_list("merchant_id", flat=True)[:500])
    return [_order_hit(asked, eyes.merchants[pk].slug, eyes.merchants[pk].name) for pk in sorted(told)]


def _order_hit(order: str, slug: str, name: str) -> Hit:
    query = urlencode({"order": order, "merchant": slug})
    return Hit("Order", f"Order {order}", name, f"{reverse('admin:webhooks')}?{query}")


def _events(asked: str, eyes: Viewer) -> list[Hit]:
    """Vrio's events by their own id, transaction, subscription or tracking number."""
    if not _is_word(asked, 200):
        return []
    columns = [("event_id", "event"), ("transaction_id", "transaction"), ("order_offer_id", "subscription")]
    columns.append(("tracking_number", "tracking number"))
    rows: dict[int, tuple[Event, str]] = {}
    for column, word in columns:
        matches = Q(merchant_id__in=list(eyes.merchants)) & indexed(column, asked)
        for row in Event.objects.filter(matches).defer("body", "digest").order_by("-pk")[:MOST]:
            rows.setdefault(row.pk, (row, word))
    return [_event_hit(row, word, asked, eyes) for row, word in list(rows.values())[:MOST]]


def _event_hit(row: Event, word: str, asked: str, eyes: Viewer) -> Hit:
    merchant = eyes.merchants[row.merchant_id]
    return Hit(
        f"Event ({word})",
        f"{row.webhook_event} {row.event_id}",
        moment(row.received_at, zone_of(merchant)),
        f"{reverse('admin:webhooks')}?{urlencode({'event': row.pk})}",
    )


def _calls(asked: str, eyes: Viewer) -> list[Hit]:
    """Deliveries by the request id that Klaviyo gave a call."""
    if not _is_word(asked, 64) or len(asked) < 8:
        return []
    rows = Attempt.objects.filter(indexed("klaviyo_request_id", asked)).select_related("delivery")[:MOST]
    return [
        Hit(
            "Call to Klaviyo",
            f"{metric_name(row.delivery.metric)} {row.delivery.unique_id}",
            f"request id {asked}",
            reverse("admin:delivery", args=(row.delivery_id,)),
        )
        for row in rows
        if row.delivery.merchant_id in eyes.merchants
    ]


def _is_word(asked: str, longest: int) -> bool:
    return len(asked) <= longest and "@" not in asked
