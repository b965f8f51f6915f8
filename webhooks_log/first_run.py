"""The way from an empty shop to the first delivered event, as four steps that tick themselves.

On the home page until the first event has been accepted by Klaviyo.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from django.urls import reverse

from connections.models import ApiKey, Connection, Merchant, Source
from events.models import Event
from webhooks_log.models import Delivery
from webhooks_log.trial_message import METRIC, PROOF


@dataclass(frozen=True, slots=True)
class Step:
    words: str
    sentence: str
    is_done: bool
    link: str = ""
    button: str = ""
    is_optional: bool = False


def first_steps(merchant: Merchant) -> list[Step]:
    """The steps of one merchant; empty once an event of Vrio's has been delivered. A test event proves half the way."""
    accepted = Delivery.objects.filter(connection__merchant=merchant, state=Delivery.State.DELIVERED)
    if accepted.exclude(metric=METRIC).exists():
        return []
    return [_source(merchant), _connection(merchant), _history(merchant), _event(merchant)]


def merchants_with_steps(merchants: Sequence[Merchant]) -> list[tuple[Merchant, list[Step]]]:
    """Those that are still on their way; at most five, so that staff's home page stays a page."""
    found = ((merchant, first_steps(merchant)) for merchant in merchants[:50])
    return [(merchant, steps) for merchant, steps in found if steps][:5]


def _source(merchant: Merchant) -> Step:
    is_done = ApiKey.objects.filter(source__merchant=merchant, revoked_at=None).exists()
    return Step(
        "Let Vrio in",
        "Make the address or key with which Vrio tells Viaduct what happens in your shop, and enter it in Vrio.",
        is_done,
        f"{reverse('admin:receive')}?merchant={merchant.slug}",
        "Receive from Vrio",
    )


def _connection(merchant: Merchant) -> Step:
    living = Connection.objects.living().filter(merchant=merchant)
    is_done = living.filter(state=Connection.State.CONNECTED, is_active=True).exists()
    first = living.first()
    if first is not None and not is_done:
        link = reverse("admin:connection", args=(first.pk,))
        return Step("Connect Klaviyo", f"“{first}” is not connected yet: {first.state_detail}", False, link, "See why")
    return Step(
        "Connect Klaviyo",
        "Enter a private API key of the Klaviyo account your customers and orders should go to.",
        is_done,
        f"{reverse('admin:connection_catalogue')}?merchant={merchant.slug}",
        "Add New Connection",
    )


def _history(merchant: Merchant) -> Step:
    return Step(
        "Import your history",
        "Lifetime value and subscription status are right from the first day if Viaduct knows the orders of before. "
        "Nothing of it is sent to Klaviyo.",
        Source.objects.filter(merchant=merchant).exclude(history_imported_at=None).exists(),
        f"{reverse('admin:history_import')}?merchant={merchant.slug}",
        "Import history",
        is_optional=True,
    )


def _event(merchant: Merchant) -> Step:
    has_event = Event.objects.filter(merchant=merchant).exclude(authenticated_by=PROOF).exists()
    sentence = (
        "Vrio's first event has arrived. As soon as Klaviyo accepts one, this list goes away."
        if has_event
        else "Place an order in Vrio. Before that, a test event from the connection's page tries the way to Klaviyo."
    )
    link = f"{reverse('admin:webhooks')}?merchant={merchant.slug}" if has_event else ""
    return Step("See the first event arrive", sentence, False, link, "Webhooks" if has_event else "")
