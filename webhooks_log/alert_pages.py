"""The page of alerts: what is wrong now, what was lately, and who hears of what by mail or in a channel.

Beside the corridor; in the shell, where each person chooses for themselves and owners for their merchant's channels.
"""

from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied, ValidationError
from django.db.models import OuterRef, Q, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_GET, require_POST
from unfold.widgets import UnfoldAdminTextInputWidget

from connections import audit, hooks
from connections.models import Membership, Merchant
from connections.secrets import seal
from connections.tenancy import may, merchants_of, merchants_where, role_at
from webhooks_log.alert_kinds import BY_CODE, KINDS, Kind
from webhooks_log.alerts import default_kinds
from webhooks_log.models import Alert, AlertHook, AlertPreference, Notice
from webhooks_log.page import page, told

STAFF = "staff"
SHOWN = 50
TEST = "Viaduct: a test notice"


class HookForm(forms.Form):
    """A channel: what to call it, and its secret address."""

    name = forms.CharField(max_length=60, label="Channel", widget=UnfoldAdminTextInputWidget())
    url = forms.CharField(max_length=500, label="Webhook address", widget=UnfoldAdminTextInputWidget())

    def clean_url(self) -> str:
        try:
            hooks.check(self.cleaned_data["url"])
        except ValueError as error:
            raise ValidationError(str(error)) from None
        return self.cleaned_data["url"]


@require_GET
def alerts_page(request: HttpRequest) -> HttpResponse:
    """Everything of the person's merchants; the machinery's own for staff."""
    return _page(request, HookForm())


@require_POST
def alert_wishes(request: HttpRequest, place: str) -> HttpResponse:
    """What this person wants to hear of one merchant, or as staff."""
    merchant = _merchant(request, place)
    offered = {kind.code for kind in kinds_of(merchant)}
    chosen = [code for code in request.POST.getlist("kinds") if code in offered]
    AlertPreference.objects.update_or_create(user=request.user, merchant=merchant, defaults={"kinds": chosen})
    return told(request, "Saved. Only what changes is told, and once.", reverse("admin:alerts"))


@require_POST
@sensitive_post_parameters("url")
@sensitive_variables("form")
def alert_hook_add(request: HttpRequest, place: str) -> HttpResponse:
    """Tell a channel from now on."""
    merchant, form = _configured(request, place), HookForm(request.POST)
    if not form.is_valid():
        return _page(request, form)
    url, name = form.cleaned_data["url"], form.cleaned_data["name"]
    hook = AlertHook.objects.create(
        merchant=merchant,
        name=name,
        sealed_url=seal(url),
        host=hooks.check(url),
        hears_merchants=merchant is None and "hears_merchants" in request.POST,
    )
    audit.record(request.user, "alert channel added", hook, merchant=merchant)
    return told(request, "Added. Send a test notice to see whether it arrives.", reverse("admin:alerts"))


@require_POST
def alert_hook_remove(request: HttpRequest, pk: int) -> HttpResponse:
    """Tell a channel no more."""
    hook = _own_hook(request, pk)
    audit.record(request.user, "alert channel removed", hook, merchant=hook.merchant)
    hook.delete()
    return told(request, "Removed.", reverse("admin:alerts"))


@require_POST
def alert_hook_test(request: HttpRequest, pk: int) -> HttpResponse:
    """Send a test notice to a channel, by the way that every notice takes."""
    hook, now = _own_hook(request, pk), timezone.now()
    alert, _ = Alert.objects.get_or_create(
        kind="test", subject=f"hook:{hook.pk}", defaults={"since": now, "merchant": hook.merchant, "name": hook.name}
    )
    Notice.objects.create(alert=alert, hook=hook, title=TEST, text="Whoever reads this will hear of alerts.")
    return told(request, "On its way; it arrives within a minute.", reverse("admin:alerts"))


def kinds_of(merchant: Merchant | None) -> list[Kind]:
    """What may be heard at a place; staff may listen to the troubles of merchants as well."""
    return [kind for kind in KINDS if merchant is None or not kind.is_for_staff]


def _merchant(request: HttpRequest, place: str) -> Merchant | None:
    """The merchant of this short name, None for staff; a 404 for anybody else's."""
    if place == STAFF and request.user.is_superuser:
        return None
    return get_object_or_404(merchants_of(request.user), slug=place)


def _configured(request: HttpRequest, place: str) -> Merchant | None:
    merchant = _merchant(request, place)
    if merchant is not None and not may(request.user, merchant, "configure"):
        raise PermissionDenied
    return merchant


def _own_hook(request: HttpRequest, pk: int) -> AlertHook:
    hook = AlertHook.objects.select_related("merchant").filter(pk=pk).first()
    if hook is None or not _visible_hooks(request).filter(pk=pk).exists():
        raise Http404
    return hook


def _visible_hooks(request: HttpRequest) -> Any:
    mine = Q(merchant__in=merchants_where(request.user, "configure"))
    return AlertHook.objects.filter(mine | Q(merchant=None) if request.user.is_superuser else mine)


def _page(request: HttpRequest, form: HookForm) -> HttpResponse:
    merchants = list(merchants_of(request.user).order_by("name"))
    mine = Q(merchant__in=merchants)
    rows = Alert.objects.filter(mine | Q(merchant=None) if request.user.is_superuser else mine, kind__in=BY_CODE)
    return page(
        request,
        "alerts.html",
        title="Alerts",
        alerts=[(alert, BY_CODE[alert.kind]) for alert in rows.filter(is_on=True).order_by("-since")[:SHOWN]],
        past=[(alert, BY_CODE[alert.kind]) for alert in rows.filter(is_on=False).order_by("-since")[:SHOWN]],
        places=[_place(request, merchant) for merchant in _places(request, merchants)],
        form=form,
    )


def _places(request: HttpRequest, merchants: list[Merchant]) -> list[Merchant | None]:
    """The merchants where the person has a place of their own; staff have the machinery besides."""
    own = [merchant for merchant in merchants if Membership.objects.filter(user=request.user, merchant=merchant)]
    return [*own, None] if request.user.is_superuser else own


def _place(request: HttpRequest, merchant: Merchant | None) -> dict[str, Any]:
    wish = AlertPreference.objects.filter(user=request.user, merchant=merchant).first()
    last = Subquery(Notice.objects.filter(hook=OuterRef("pk")).order_by("-pk").values("error")[:1])
    is_owner = merchant is not None and role_at(request.user, merchant) == Membership.Role.OWNER
    chosen = wish.kinds if wish else default_kinds(is_staff=merchant is None, is_owner=is_owner)
    return {
        "slug": merchant.slug if merchant else STAFF,
        "name": merchant.name if merchant else "The installation",
        "kinds": [(kind, kind.code in chosen) for kind in kinds_of(merchant)],
        "configures": merchant is None or may(request.user, merchant, "configure"),
        "hooks": AlertHook.objects.filter(merchant=merchant).annotate(trouble=last).order_by("name"),
    }
