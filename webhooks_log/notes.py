"""Notes on a customer or a Delivery, so that two people do not solve the same thing twice.

Beside the opened row and on the customer screen.
"""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_POST

from events.models import Customer
from webhooks_log.models import Delivery, Note
from webhooks_log.page import told
from webhooks_log.viewer import Viewer, viewer

LONGEST = 4000


@require_POST
def customer_note(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a note to a customer."""
    eyes = viewer(request)
    customer: Customer = eyes.own(Customer.objects.all(), pk=pk)
    _write(eyes, request, Note(merchant=customer.merchant, customer=customer))
    return told(request, "Noted.", reverse("admin:customer", args=(pk,)))


@require_POST
def delivery_note(request: HttpRequest, pk: int) -> HttpResponse:
    """Add a note to a Delivery."""
    eyes = viewer(request)
    row: Delivery = eyes.own(Delivery.objects.only("merchant_id"), pk=pk)
    _write(eyes, request, Note(merchant=row.merchant, delivery=row))
    return told(request, "Noted.", reverse("admin:delivery", args=(pk,)))


def _write(eyes: Viewer, request: HttpRequest, note: Note) -> None:
    """Keep what was written; an empty note is none. A note may hold personal data, so it needs the eyes for it."""
    eyes.need_personal_data(note.merchant_id)
    note.text = request.POST.get("text", "").replace("\0", "").strip()[:LONGEST]
    note.author, note.author_name = request.user, request.user.get_username()
    if note.text:
        note.save()
