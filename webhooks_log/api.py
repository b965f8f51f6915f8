"""`GET /api/v1/explain`: why something is not in Klaviyo, for Vrio's own support screens.

Beside the door, for keys that may read; the same steps as the page and `manage.py explain`.
"""

from django.http import HttpRequest, HttpResponse, JsonResponse

from connections.models import ApiKey, Merchant
from events.api import answering_problems
from events.auth import Caller, caller_by_key
from events.models import Customer, Event
from events.problems import Problem
from webhooks_log.explain import Explanation, as_plain, explain_customer, explain_event, explain_order


@answering_problems
def explain(request: HttpRequest) -> HttpResponse:
    """The explanation for `?order_id=`, `?event_id=`, `?customer_id=` (Vrio's ids) or `?email=`."""
    if request.method != "GET":
        raise Problem(405, "method_not_allowed", "Explanations are read by GET.", Allow="GET")
    caller = caller_by_key(request)
    if caller.scope != ApiKey.Scope.READ:
        raise Problem(403, "may_not_read", "This API key may send events, not read what became of them.")
    return JsonResponse({"results": [as_plain(why) for why in _asked(request, caller)]})


def _asked(request: HttpRequest, caller: Caller) -> list[Explanation]:
    merchant = Merchant.objects.get(pk=caller.merchant_id)
    asked = {name: text for name, value in request.GET.items() if (text := value.replace("\0", "").strip())}
    if order := asked.get("order_id"):
        return [explain_order([merchant], order[:50])]
    if event := asked.get("event_id"):
        rows = Event.objects.filter(merchant=merchant, event_id=event[:200]).defer("body", "digest")
        return [explain_event(row) for row in rows.order_by("pk")[:10]]
    if customer := asked.get("customer_id"):
        return _people(merchant, vrio_id=customer[:50])
    if email := asked.get("email"):
        return _people(merchant, email=email[:254].lower())
    raise Problem(422, "nothing_asked", "Name one of order_id, event_id, customer_id or email.", field="order_id")


def _people(merchant: Merchant, **known: str) -> list[Explanation]:
    rows = Customer.objects.filter(merchant=merchant, **known).exclude(email="", vrio_id="")
    return [explain_customer(row) for row in rows.order_by("pk")[:10]]
