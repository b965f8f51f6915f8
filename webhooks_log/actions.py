"""The buttons beside a Delivery: send again, stop retrying, try now.

From the opened row to `webhooks_log.replay`, which records who, when and why.
"""

from collections.abc import Callable

from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.views.decorators.http import require_POST

from webhooks_log import replay
from webhooks_log.models import Delivery
from webhooks_log.page import told
from webhooks_log.viewer import viewer

LONGEST_REASON = 500


@require_POST
def send_again(request: HttpRequest, pk: int) -> HttpResponse:
    """The same message once more; `how=anew` translates it again from the Vrio event."""

    def act(row: Delivery, why: str) -> str:
        replay.send_again(row, actor=request.user, reason=why, translate_anew=request.POST.get("how") == "anew")
        return "It goes out again, with the same id: Klaviyo counts it once."

    return _acted(request, pk, act)


@require_POST
def stop(request: HttpRequest, pk: int) -> HttpResponse:
    """No further try."""

    def act(row: Delivery, why: str) -> str:
        replay.stop(row, actor=request.user, reason=why)
        return "No further try is made. Send again takes it up once more."

    return _acted(request, pk, act)


@require_POST
def try_now(request: HttpRequest, pk: int) -> HttpResponse:
    """The planned try at once."""

    def act(row: Delivery, _why: str) -> str:
        replay.try_now(row, actor=request.user)
        return "It is tried now."

    return _acted(request, pk, act)


def _acted(request: HttpRequest, pk: int, act: Callable[[Delivery, str], str]) -> HttpResponse:
    """Check tenant and permission, act, and say what happened or why not."""
    eyes = viewer(request)
    row: Delivery = eyes.own(Delivery.objects.defer("draft"), pk=pk)
    eyes.need_send_again(row.merchant_id)
    why = request.POST.get("reason", "").replace("\0", "").strip()[:LONGEST_REASON]
    href = reverse("admin:delivery", args=(pk,))
    try:
        return told(request, act(row, why), href)
    except replay.Refused as refused:
        return told(request, refused.sentence, href, is_good=False)
