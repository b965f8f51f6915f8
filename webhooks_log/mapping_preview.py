"""What would Klaviyo be sent for this event? Asked of the real dispatch, stored nowhere, sent nowhere.

A page of the settings: a Vrio event is pasted, or one of the newest is picked.
"""

import difflib
import json
from dataclasses import dataclass
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods

from connections import merchant_field
from connections.models import Connection, Merchant
from connections.tenancy import chosen_merchants, may, merchants_where, own
from events.models import Event
from webhooks_log.models import Delivery
from webhooks_log.packing import unpack
from webhooks_log.page import page
from webhooks_log.preview import Preview, Prospect, preview
from webhooks_log.reasons import sentence
from webhooks_log.trial_message import TYPE

MOST_BYTES = 200_000
RECENT = 30


class PreviewForm(forms.Form):
    """An event as Vrio sends it, and at which merchant it should be tried."""

    merchant = forms.ModelChoiceField(Merchant.objects.none(), empty_label=None, to_field_name="slug")
    body = forms.CharField(
        label="Event as Vrio sends it (JSON)",
        max_length=MOST_BYTES,
        widget=forms.Textarea(attrs={"rows": 14, "spellcheck": "false"}),
    )

    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Personal data of the mirror may show up in what would be sent.
        merchant_field.offer(self.fields["merchant"], merchants_where(user, "personal_data"))

    def clean_merchant(self) -> Merchant:
        merchant = self.cleaned_data["merchant"]
        if not merchant.sources.filter(archived_at=None).exists():
            raise ValidationError("Nothing can be tried before “Receive from Vrio” is set up for this merchant.")
        return merchant


@dataclass(frozen=True, slots=True)
class Shown:
    """One message to one connection, in words, with what changed since it was sent."""

    prospect: Prospect
    state: str
    reason: str
    text: str
    difference: list[tuple[str, str]]
    last: Delivery | None
    hold: str  # what keeps everything of this connection waiting at present


@sensitive_post_parameters("body")
@require_http_methods(["GET", "POST"])
def mapping_preview(request: HttpRequest) -> HttpResponse:
    """GET shows the form, filled with the picked event; POST shows what would happen."""
    merchants = chosen_merchants(request.user, request.GET.get("merchant", ""))
    form = PreviewForm(request.POST or None, user=request.user, initial=_picked(request) or _first(merchants))
    told: Preview | None = None
    shown: list[Shown] = []
    if request.method == "POST" and form.is_valid():
        merchant = form.cleaned_data["merchant"]
        told = preview(form.cleaned_data["body"].encode(), merchant, now=timezone.now())
        shown = [show(prospect, merchant) for prospect in told.prospects]
    return page(
        request,
        "mapping_preview.html",
        title="Mapping preview",
        form=form,
        told=told,
        told_state=dict(Event.State.choices).get(told.state, "") if told else "",
        shown=shown,
        recent=_recent(request, merchants),
    )


def show(prospect: Prospect, merchant: Merchant) -> Shown:
    """The prospect beside what was sent under the same id before, and what stands in its connection's way."""
    to = Connection.objects.living().filter(merchant=merchant, name=prospect.connection).first()
    last = (
        Delivery.objects.filter(
            connection=to,
            metric=prospect.metric,
            unique_id=prospect.unique_id,
        )
        .exclude(state=Delivery.State.SKIPPED)
        .select_related("body")
        .first()
    )
    text = readable(prospect.body) if prospect.body else ""
    return Shown(
        prospect,
        dict(Delivery.State.choices).get(prospect.state, prospect.state),
        prospect.detail or sentence(prospect.reason),
        text,
        difference(sent_before(last), text) if last is not None else [],
        last,
        to.state_detail if to is not None and (to.held_at or to.held_families) else "",
    )


def sent_before(delivery: Delivery) -> str:
    """What the Delivery sent, readable; "" once its body has expired."""
    body = delivery.body
    return readable(unpack(bytes(body.content), body.codec)) if body is not None and body.content is not None else ""


def readable(body: bytes) -> str:
    """The body with a line for each value."""
    return json.dumps(json.loads(body), indent=2, ensure_ascii=False)


def difference(before: str, after: str) -> list[tuple[str, str]]:
    """[(kind, line)] of the lines that differ: "removed" or "added". Empty when nothing does, or nothing is known."""
    if not before or not after or before == after:
        return []
    kinds = {"- ": "removed", "+ ": "added"}
    lines = difflib.ndiff(before.splitlines()[:2000], after.splitlines()[:2000])
    return [(kinds[line[:2]], line[2:]) for line in lines if line[:2] in kinds]


def _recent(request: HttpRequest, merchants: Any) -> list[Event]:
    """The newest events of the merchants whose customers' data this person may see."""
    rows = Event.objects.filter(merchant__in=merchants & merchants_where(request.user, "personal_data"))
    rows = rows.exclude(webhook_type=TYPE)  # our own test events are no events of Vrio's
    return list(rows.select_related("merchant").defer("body").order_by("-pk")[:RECENT])


def _picked(request: HttpRequest) -> dict[str, Any] | None:
    if not request.GET.get("event", "").isdecimal():
        return None
    event = get_object_or_404(own(Event.objects.select_related("merchant"), request.user), pk=int(request.GET["event"]))
    if not may(request.user, event.merchant, "personal_data"):
        return None
    return {"merchant": event.merchant.slug, "body": bytes(event.body).decode("utf-8", "replace")}


def _first(merchants: Any) -> dict[str, Any]:
    merchant = merchants.first()
    return {"merchant": merchant.slug} if merchant else {}
