""" "Look in Klaviyo": the button beside what was accepted, for one Delivery or the newest of a customer.

From the opened row and the page "Why is it not in Klaviyo?" to the read-back.
"""

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_POST

from connections.audit import record
from events.models import Customer
from webhooks_log.models import Delivery
from webhooks_log.page import told
from webhooks_log.readback import MOST, look
from webhooks_log.viewer import viewer


@require_POST
def delivery_look(request: HttpRequest, pk: int) -> HttpResponse:
    """Look for one accepted Delivery."""
    eyes = viewer(request)
    row: Delivery = eyes.own(Delivery.objects.defer("draft"), pk=pk)
    eyes.need_send_again(row.merchant_id)
    sight = look([row])
    record(request.user, "looked in Klaviyo", row, reason=sight.sentence)
    return told(request, sight.sentence, reverse("admin:delivery", args=(pk,)), is_good=bool(sight.seen))


@require_POST
def customer_look(request: HttpRequest, pk: int) -> HttpResponse:
    """Look for the customer's newest accepted Deliveries that were not seen yet."""
    eyes = viewer(request)
    customer: Customer = eyes.own(Customer.objects.all(), pk=pk)
    eyes.need_send_again(customer.merchant_id)
    unseen = Delivery.objects.filter(customer=customer, state=Delivery.State.DELIVERED, seen_at=None)
    sight = look(unseen.defer("draft").order_by("-pk")[:MOST])
    record(request.user, "looked in Klaviyo", customer, reason=sight.sentence)
    return told(request, sight.sentence, reverse("admin:why_customer", args=(pk,)), is_good=not sight.missing)
