"""The second factor of signing in: codes from an app, optional unless it is required of a merchant's people or of all.

Between the shell's door and every page behind it: who has a second factor, or needs one, sees nothing before it.
"""

import io
from collections.abc import Callable
from functools import wraps
from typing import Any

import django_otp
import qrcode
import qrcode.image.svg
from django.conf import settings
from django.contrib import messages
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils.crypto import get_random_string
from django.utils.http import url_has_allowed_host_and_scheme, urlencode
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST
from django_otp.plugins.otp_static.models import StaticDevice
from django_otp.plugins.otp_totp.models import TOTPDevice

from connections import audit
from connections.page import page
from connections.tenancy import places_of

OPEN_TO_ALL = frozenset({"two_factor", "two_factor_check", "two_factor_off", "logout", "jsi18n"})
RECOVERY_CODES = 10
ISSUER = "Viaduct"


def behind_second_factor(view: Callable[..., HttpResponse]) -> Callable[..., HttpResponse]:
    """The view, for people whose second factor has been checked or is not needed."""

    @wraps(view)
    def guarded(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_verified() or request.resolver_match.url_name in OPEN_TO_ALL:
            return view(request, *args, **kwargs)
        has_one, needs_one = second_factor_of(request.user)
        if not (has_one or needs_one):
            return view(request, *args, **kwargs)
        page_name = "admin:two_factor_check" if has_one else "admin:two_factor"
        return HttpResponseRedirect(f"{reverse(page_name)}?{urlencode({'next': request.get_full_path()})}")

    return guarded


def second_factor_of(user: AbstractBaseUser) -> tuple[bool, bool]:
    """(has a confirmed one, must have one)."""
    has_one = TOTPDevice.objects.filter(user_id=user.pk, confirmed=True).exists()
    is_asked = settings.REQUIRE_TWO_FACTOR or any(place.merchant.requires_two_factor for place in places_of(user))
    return has_one, is_asked


def take_away(user: AbstractBaseUser) -> bool:
    """Remove a person's second factor and recovery codes; whether there was one."""
    with transaction.atomic():
        found, _ = TOTPDevice.objects.filter(user_id=user.pk).delete()
        StaticDevice.objects.filter(user_id=user.pk).delete()
    return bool(found)


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "POST"])
def two_factor(request: HttpRequest) -> HttpResponse:
    """Set the second factor up: scan, type one code, keep the recovery codes."""
    has_one, needs_one = second_factor_of(request.user)
    if has_one:
        if not request.user.is_verified():
            return HttpResponseRedirect(reverse("admin:two_factor_check"))
        return page(request, "two_factor_on.html", title="Two-factor sign-in", is_required=needs_one)
    device, _ = TOTPDevice.objects.get_or_create(user=request.user, confirmed=False, defaults={"name": ISSUER})
    if request.method == "POST":
        if device.verify_token(_code(request)):
            return page(request, "two_factor_codes.html", title="Two-factor sign-in", codes=_switch_on(request, device))
        messages.error(request, "That code does not fit. Look at the clock of your phone and type the newest code.")
    return page(
        request,
        "two_factor_setup.html",
        title="Two-factor sign-in",
        picture=_picture(_address(device)),
        secret=_address(device).partition("secret=")[2].partition("&")[0],
        is_required=needs_one,
    )


@never_cache
@sensitive_post_parameters("code")
@require_http_methods(["GET", "POST"])
def two_factor_check(request: HttpRequest) -> HttpResponse:
    """Ask for a code, or a recovery code, once for each sign-in."""
    if request.method == "POST":
        device = _device_that_accepts(request.user, _code(request))
        if device is not None:
            django_otp.login(request, device)
            return HttpResponseRedirect(_next(request))
        messages.error(request, "That code does not fit. After a few wrong ones you have to wait a little.")
    return page(request, "two_factor_check.html", title="Two-factor sign-in", next=_next(request))


@require_POST
def two_factor_off(request: HttpRequest) -> HttpResponse:
    """Remove one's own second factor; only with it checked, and not where a merchant requires one."""
    _, needs_one = second_factor_of(request.user)
    if not request.user.is_verified() or needs_one:
        messages.error(request, "Two-factor sign-in is required of you, so it stays on.")
    else:
        with transaction.atomic():
            take_away(request.user)
            audit.record(request.user, "two-factor sign-in off", request.user)
        messages.success(request, "Two-factor sign-in is off.")
    return HttpResponseRedirect(reverse("admin:two_factor"))


def _switch_on(request: HttpRequest, device: TOTPDevice) -> list[str]:
    """Confirm the device, check it for this session, and make recovery codes, which are shown this once."""
    codes = [get_random_string(10, "abcdefghjkmnpqrstuvwxyz23456789") for _ in range(RECOVERY_CODES)]
    with transaction.atomic():
        device.confirmed = True
        device.save()
        StaticDevice.objects.filter(user=request.user).delete()
        spare = StaticDevice.objects.create(user=request.user, name="Recovery codes")
        spare.token_set.bulk_create([spare.token_set.model(device=spare, token=code) for code in codes])
        audit.record(request.user, "two-factor sign-in on", request.user)
    django_otp.login(request, device)
    return codes


@transaction.atomic
def _device_that_accepts(user: AbstractBaseUser, code: str) -> Any:
    """The person's device this code belongs to. A wrong code slows down the device it was typed for, not both."""
    devices = StaticDevice if not code.isdigit() else TOTPDevice
    owned = devices.objects.select_for_update().filter(user=user, confirmed=True)
    return next((device for device in owned if device.verify_token(code)), None)


def _code(request: HttpRequest) -> str:
    return request.POST.get("code", "").replace(" ", "").lower()[:20]


def _next(request: HttpRequest) -> str:
    """Where the person wanted to go, if that is a page of ours."""
    wanted = request.POST.get("next") or request.GET.get("next") or ""
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return wanted if is_ours else reverse("admin:index")


def _address(device: TOTPDevice) -> str:
    return f"{device.config_url}&issuer={ISSUER}"


def _picture(address: str) -> SafeString:
    """The address as a QR code, drawn here: nothing about a secret is asked of any other machine."""
    drawn = io.BytesIO()
    qrcode.make(address, image_factory=qrcode.image.svg.SvgPathImage, box_size=12).save(drawn)
    # Made of nothing but squares whose places we computed.
    return mark_safe(drawn.getvalue().decode().partition("?>")[2])  # noqa: S308
