"""The page *Receive from Vrio*: what goes into which field of Vrio, the keys, what we refused, and what we hold.

In the shell. A secret is shown once, in the answer to the very request that made it; every change is written down.
"""

from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.db.models import Prefetch, QuerySet
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from connections import audit, keys, links
from connections.models import ApiKey, Merchant, Source
from connections.page import page
from connections.tenancy import chosen_merchants, may, own
from events import refusals
from events.models import Event, Inbox, Refusal
from events.problems import Problem
from events.receive_forms import KeyForm, RotateForm, SourceForm

SHOWN = 50
RELEASED = "released"  # dispatch lets pass what carries this reason
DISCARDED = "discarded"


@never_cache
@require_GET
def receive(request: HttpRequest) -> HttpResponse:
    """Everything about receiving for one merchant, or the choice of one."""
    merchants = chosen_merchants(request.user, request.GET.get("merchant", ""))
    if merchants.count() != 1:
        return page(request, "receive_choice.html", title="Receive from Vrio", merchants=merchants)
    return _shown(request, merchants.get())


@require_POST
def add_source(request: HttpRequest, slug: str) -> HttpResponse:
    """Another Vrio account or dialect, with the inbox in which its events will wait."""
    merchant = _configurable(request, slug)
    form = SourceForm(request.POST, merchant=merchant)
    if not form.is_valid():
        return _shown(request, merchant, source_form=form)
    with transaction.atomic():
        source = form.save()
        Inbox.objects.get_or_create(merchant=merchant)
        audit.record(request.user, "source added", source)
    messages.success(request, f"“{source}” is there. Now make a key for it.")
    return _back(merchant)


@never_cache
@sensitive_post_parameters("secret")
@sensitive_variables("clear")
@require_http_methods(["POST"])
def add_key(request: HttpRequest, pk: int) -> HttpResponse:
    """A new key; its clear text is part of this answer and of nothing else."""
    source = get_object_or_404(own(Source.objects.select_related("merchant"), request.user), pk=pk, archived_at=None)
    merchant = _configurable(request, source.merchant.slug)
    form = KeyForm(request.POST, prefix=str(source.pk))
    if not form.is_valid():
        return _shown(request, merchant, key_form=form, key_form_of=source.pk)
    with transaction.atomic():
        key, clear = form.save(source, request.user)
        audit.record(request.user, "key made", key, {"kind": (None, key.get_kind_display())})
    return _shown(request, merchant, made=key, clear=_as_used(key, clear))


@never_cache
@sensitive_variables("clear")
@require_POST
def rotate_key(request: HttpRequest, pk: int) -> HttpResponse:
    """A new key like this one; the old one stays valid for as many days as asked."""
    key = _own_key(request, pk)
    form = RotateForm(request.POST)
    if not form.is_valid() or key.revoked_at is not None:
        messages.error(request, "A key is rotated with 0 to 90 days of overlap, and only while it is valid.")
        return _back(key.source.merchant)
    with transaction.atomic():
        fresh, clear = keys.rotate(key, days=form.cleaned_data["days"], by=request.user)
        audit.record(request.user, "key rotated", key, {"valid until": (None, key.valid_until)})
    return _shown(request, key.source.merchant, made=fresh, clear=_as_used(fresh, clear))


@require_POST
def revoke_key(request: HttpRequest, pk: int) -> HttpResponse:
    """Shut a key out at once."""
    key = _own_key(request, pk)
    if keys.revoke(key):
        audit.record(request.user, "key revoked", key)
    messages.success(request, f"“{key}” is revoked. Whoever still uses it is turned away from now on.")
    return _back(key.source.merchant)


@require_POST
def resubmit(request: HttpRequest, pk: int) -> HttpResponse:
    """Take in what was refused, if nothing stands in the way any more."""
    refusal = _own_refusal(request, pk)
    try:
        rows = refusals.resubmit(refusal, timezone.now())
    except Problem as problem:
        messages.error(request, f"Still refused: {problem.detail}")
    else:
        audit.record(request.user, "refusal resubmitted", refusal, {"event": (None, rows[0].id)})
        messages.success(request, f"Taken in as event {rows[0].id}.")
    return _back(refusal.merchant)


@never_cache
@require_GET
def refused_body(request: HttpRequest, pk: int) -> HttpResponse:
    """The bytes that were refused, for people who may see personal data; every look is recorded."""
    refusal = _own_refusal(request, pk, "personal_data")
    audit.record(request.user, "refusal viewed", refusal)
    return HttpResponse(bytes(refusal.body), content_type="text/plain; charset=utf-8")


@require_POST
def judge_held(request: HttpRequest, pk: int) -> HttpResponse:
    """Release a held event to Klaviyo, or discard it."""
    event = get_object_or_404(own(Event.objects.select_related("merchant").defer("body"), request.user), pk=pk)
    _configurable(request, event.merchant.slug)
    released = request.POST.get("release") == "1"
    held = Event.objects.filter(pk=pk, state=Event.State.HELD)
    changed = (
        held.update(state=Event.State.RECEIVED, reason=RELEASED, detail="", dispatched_at=None)
        if released
        else held.update(state=Event.State.IGNORED, reason=DISCARDED, detail="The owner discarded this held event.")
    )
    if changed:
        audit.record(request.user, "held event released" if released else "held event discarded", event)
        messages.success(request, "It is on its way." if released else "Discarded: nothing was sent.")
    return _back(event.merchant)


# ── The page ─────────────────────────────────────────────────────────────────────────────────────────────────────────
@sensitive_variables()
def _shown(request: HttpRequest, merchant: Merchant, **more: Any) -> HttpResponse:
    sources = list(_sources(merchant))
    for source in sources:
        wrong = more.get("key_form") if more.get("key_form_of") == source.pk else None
        source.key_form = wrong or KeyForm(prefix=str(source.pk))
    events = Event.objects.filter(merchant=merchant).select_related("source", "key").defer("body").order_by("-pk")
    refused = Refusal.objects.filter(merchant=merchant).select_related("source").defer("body")
    context = {
        "merchant": merchant,
        "merchants": chosen_merchants(request.user, ""),
        "chosen": merchant.slug,
        "address": _address(),
        "sources": sources,
        "source_form": SourceForm(merchant=merchant),
        "arrivals": events[:10],
        "held": events.filter(state=Event.State.HELD)[:SHOWN],
        "refused": refused.order_by("-pk")[:SHOWN],
        "refused_today": refused.filter(received_at__gt=timezone.now() - timedelta(days=1)).count(),
        "may_configure": may(request.user, merchant, "configure"),
        "sees_bodies": may(request.user, merchant, "personal_data"),
        "now": timezone.now(),
    }
    return page(request, "receive.html", title="Receive from Vrio", **(context | more))


def _sources(merchant: Merchant) -> QuerySet[Source]:
    newest_first = Prefetch("keys", queryset=ApiKey.objects.order_by("-pk"))
    return merchant.sources.filter(archived_at=None).prefetch_related(newest_first).order_by("pk")


def _address() -> str:
    return links.public("/api/v1/")


@sensitive_variables()
def _as_used(key: ApiKey, clear: str) -> str:
    """What is pasted into Vrio: a token is of use only as the whole address."""
    return f"{_address()}ingest/{clear}" if key.kind == ApiKey.Kind.ADDRESS else clear


def _back(merchant: Merchant) -> HttpResponseRedirect:
    return HttpResponseRedirect(f"{reverse('admin:receive')}?merchant={merchant.slug}")


def _configurable(request: HttpRequest, slug: str) -> Merchant:
    merchant = get_object_or_404(chosen_merchants(request.user, slug))
    if not may(request.user, merchant, "configure"):
        raise PermissionDenied
    return merchant


def _own_key(request: HttpRequest, pk: int) -> ApiKey:
    key = get_object_or_404(own(ApiKey.objects.select_related("source__merchant"), request.user), pk=pk)
    _configurable(request, key.source.merchant.slug)
    return key


def _own_refusal(request: HttpRequest, pk: int, permission: str = "configure") -> Refusal:
    refusal = get_object_or_404(own(Refusal.objects.select_related("merchant"), request.user), pk=pk)
    if not may(request.user, refusal.merchant, permission):
        raise PermissionDenied
    return refusal
