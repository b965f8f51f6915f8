"""The pages of a connection: catalogue, list, form, its state, and the few things one can do to it.

What a merchant sees between "Add New Connection" and "Connected". What these pages show of Deliveries comes from the
upper floor by template tags.
"""

from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.db import transaction
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_http_methods, require_POST

from connections import audit, doctor
from connections.forms import ConnectionForm, shown_values
from connections.models import Connection, Merchant
from connections.page import page
from connections.providers import by_category, providers_matching
from connections.tenancy import chosen_merchants, may, may_anywhere, merchants_where, own

State = Connection.State


@require_GET
def catalogue(request: HttpRequest) -> HttpResponse:
    """What can be connected, by category, with a search."""
    words = request.GET.get("q", "")[:100]
    return page(
        request,
        "catalogue.html",
        title="Add New Connection",
        words=words,
        categories=list(by_category(providers_matching(words))),
        merchant_slug=request.GET.get("merchant", ""),
        may_connect=may_anywhere(request.user, "configure"),
    )


@require_GET
def connection_list(request: HttpRequest) -> HttpResponse:
    """The connections of the person's merchants; archived ones on demand."""
    merchants = chosen_merchants(request.user, request.GET.get("merchant", ""))
    rows = Connection.objects.filter(merchant__in=merchants).select_related("merchant", "account")
    shows_archived = "archived" in request.GET
    return page(
        request,
        "connection_list.html",
        title="Connections",
        connections=rows.exclude(archived_at=None) if shows_archived else rows.living(),
        archived_count=0 if shows_archived else rows.exclude(archived_at=None).count(),
        shows_archived=shows_archived,
        merchants=chosen_merchants(request.user, ""),
        chosen=request.GET.get("merchant", ""),
        may_connect=may_anywhere(request.user, "configure"),
    )


@sensitive_post_parameters("private_key")
@require_http_methods(["GET", "POST"])
def add_connection(request: HttpRequest) -> HttpResponse:
    """The form of a new Klaviyo connection, for the one merchant that the address names or the person has."""
    merchant = _merchant_to_connect(request)
    if merchant is None:
        return page(
            request,
            "choose_merchant.html",
            title="Connect Klaviyo",
            merchants=merchants_where(request.user, "configure"),
        )
    form = ConnectionForm(request.POST or None, merchant=merchant, initial={"is_active": True, "push_events": True})
    if request.method == "POST" and form.is_valid():
        return _saved(request, form, before={})
    return _form_page(request, form, title="Connect Klaviyo")


@sensitive_post_parameters("private_key")
@require_http_methods(["GET", "POST"])
def connection_settings(request: HttpRequest, pk: int) -> HttpResponse:
    """The form of a connection that exists; its key is never part of the page."""
    connection = _configurable(request, pk)
    form = ConnectionForm(request.POST or None, instance=connection, merchant=connection.merchant)
    if request.method == "POST":
        before = shown_values(Connection.objects.get(pk=pk))
        if form.is_valid():
            return _saved(request, form, before=before)
    return _form_page(request, form, title=Connection.objects.get(pk=pk).name)


@require_GET
def connection_page(request: HttpRequest, pk: int) -> HttpResponse:
    """How a connection is doing: the doctor's words, the checklist, the ways on."""
    connection = _visible(request, pk)
    return page(
        request,
        "connection.html",
        title=connection.name,
        connection=connection,
        result=connection.check_result,
        found_account=_account_found(connection),
        may_configure=may(request.user, connection.merchant, "configure"),
    )


@require_GET
def connection_history(request: HttpRequest, pk: int) -> HttpResponse:
    """Who changed what on this connection, newest first."""
    connection = _visible(request, pk)
    entries = audit.history(connection)[:200]
    return page(request, "history.html", title=f"{connection.name}: history", connection=connection, entries=entries)


@require_POST
def check_now(request: HttpRequest, pk: int) -> HttpResponse:
    """Ask Klaviyo again; anybody who may see the connection may ask, because nothing is changed by asking."""
    connection = _visible(request, pk)
    if connection.archived_at is not None:
        raise Http404
    _say(request, doctor.check(connection))
    return _to_page(connection)


@require_POST
def switch(request: HttpRequest, pk: int) -> HttpResponse:
    """Turn the connection on or off; what is owed waits."""
    connection = _configurable(request, pk)
    active = request.POST.get("active") == "1"
    if connection.is_active != active:
        Connection.objects.filter(pk=pk).update(is_active=active)
        audit.record(request.user, "changed", connection, {"active": (not active, active)})
        messages.success(
            request,
            "The connection is active; what waited goes out now."
            if active
            else "Paused. What is owed waits; new events are skipped.",
        )
    return _to_page(connection)


@require_POST
def archive(request: HttpRequest, pk: int) -> HttpResponse:
    """Put a connection away for good. Its history stays; its key is destroyed; what was owed is skipped."""
    connection = _configurable(request, pk)
    if request.POST.get("name", "").strip() != connection.name:
        messages.error(request, "Type the connection's name to archive it.")
        return _to_page(connection)
    with transaction.atomic():
        audit.record(request.user, "archived", connection, {"private key": (f"…{connection.key_hint}", "destroyed")})
        Connection.objects.filter(pk=pk).update(
            archived_at=timezone.now(), is_active=False, sealed_key=None, key_fingerprint=""
        )
    messages.success(request, f"“{connection}” is archived and its key destroyed. What was sent stays visible.")
    return HttpResponseRedirect(reverse("admin:connections"))


def _account_found(connection: Connection) -> str:
    """The other account that the doctor found behind the key, if the owner has to decide about it."""
    found = str(connection.check_result.get("cid", ""))
    return found if connection.state == State.WRONG_ACCOUNT and found != connection.account.cid else ""


def _merchant_to_connect(request: HttpRequest) -> Merchant | None:
    """The merchant for whom the form is; None if the person must choose; 403 if they may connect for nobody."""
    allowed = merchants_where(request.user, "configure")
    if slug := request.GET.get("merchant", ""):
        chosen = get_object_or_404(chosen_merchants(request.user, slug))
        if not may(request.user, chosen, "configure"):
            raise PermissionDenied
        return chosen
    if not allowed.exists():
        raise PermissionDenied
    return allowed.get() if allowed.count() == 1 else None


def _visible(request: HttpRequest, pk: int) -> Connection:
    rows = own(Connection.objects.select_related("merchant", "account"), request.user)
    return get_object_or_404(rows, pk=pk)


def _configurable(request: HttpRequest, pk: int) -> Connection:
    connection = _visible(request, pk)
    if not may(request.user, connection.merchant, "configure"):
        raise PermissionDenied
    if connection.archived_at is not None:
        raise Http404
    return connection


def _form_page(request: HttpRequest, form: ConnectionForm, *, title: str) -> HttpResponse:
    return page(
        request,
        "connection_form.html",
        title=title,
        form=form,
        connection=form.instance if form.instance.pk else None,
        merchant=form.merchant,
        status=200,
    )


def _saved(request: HttpRequest, form: ConnectionForm, *, before: dict[str, Any]) -> HttpResponse:
    """Store, write history, ask Klaviyo, and show what it said."""
    if "activate" in request.POST:
        form.instance.is_active = True
    with transaction.atomic():
        connection = form.save()
        changes = audit.differences(before, shown_values(connection))
        if changes or not before:
            audit.record(request.user, "changed" if before else "connected", connection, changes)
    _say(request, doctor.check(connection))
    return _to_page(connection)


def _say(request: HttpRequest, result: doctor.Result) -> None:
    if result.is_good:
        messages.success(request, "Connected. " + result.sentence)
    else:
        messages.warning(request, result.sentence)


def _to_page(connection: Connection) -> HttpResponse:
    return HttpResponseRedirect(reverse("admin:connection", args=(connection.pk,)))
