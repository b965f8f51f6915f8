"""Shows every moment in the merchant's time zone.

Around every page: the zone of the merchant in the address, else of the person's first merchant.
"""

from collections.abc import Callable
from zoneinfo import ZoneInfo

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

from connections.tenancy import places_of


class MerchantZone:
    """Middleware. Pages of one merchant's things switch to that merchant's zone themselves."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        if not request.path.startswith("/app/") or not request.user.is_authenticated:
            return self.get_response(request)
        with timezone.override(self._zone(request)):
            response = self.get_response(request)
            if hasattr(response, "render") and not response.is_rendered:
                response.render()  # inside the zone
            return response

    def _zone(self, request: HttpRequest) -> ZoneInfo:
        merchants = [place.merchant for place in places_of(request.user)]
        slug = request.GET.get("merchant")
        named = next((merchant for merchant in merchants if merchant.slug == slug), None)
        merchant = named or next(iter(merchants), None)
        return ZoneInfo(merchant.time_zone if merchant else "UTC")
