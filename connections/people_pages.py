"""The pages of people: who works here, inviting, and accepting an invitation.

In the shell, except for the invited person's page, which needs no account yet.
"""

from smtplib import SMTPException
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.contrib.auth import login
from django.contrib.auth.password_validation import password_validators_help_text_html, validate_password
from django.core.exceptions import PermissionDenied, ValidationError
from django.core.mail import send_mail
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import get_object_or_404
from django.template.loader import render_to_string
from django.template.response import TemplateResponse
from django.urls import reverse
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters, sensitive_variables
from django.views.decorators.http import require_GET, require_http_methods, require_POST
from unfold.widgets import UnfoldAdminEmailInputWidget, UnfoldAdminPasswordWidget, UnfoldAdminTextInputWidget

from connections import merchant_field, people
from connections.models import Invitation, Membership, Merchant
from connections.page import page
from connections.tenancy import chosen_merchants, may_anywhere, merchants_of, merchants_where

MODEL_BACKEND = "django.contrib.auth.backends.ModelBackend"


class InviteForm(forms.Form):
    """Whom to invite, as what. Only merchants the person configures are choices."""

    merchant = forms.ModelChoiceField(Merchant.objects.none(), empty_label=None)
    email = forms.EmailField(label="E-mail address", widget=UnfoldAdminEmailInputWidget())
    role = forms.ChoiceField(choices=Membership.Role.choices, initial=Membership.Role.SUPPORT)

    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        merchant_field.offer(self.fields["merchant"], merchants_where(user, "configure"))


class PlaceForm(forms.Form):
    role = forms.ChoiceField(choices=Membership.Role.choices)
    sees_personal_data = forms.BooleanField(required=False)


class NewAccountForm(forms.Form):
    """Name and password of an invited person who has no account yet."""

    first_name = forms.CharField(
        max_length=150, widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "given-name"})
    )
    last_name = forms.CharField(
        max_length=150, widget=UnfoldAdminTextInputWidget(attrs={"autocomplete": "family-name"})
    )
    password = forms.CharField(
        strip=False,
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}),
        help_text=password_validators_help_text_html,
    )

    @sensitive_variables()
    def clean_password(self) -> str:
        validate_password(self.cleaned_data["password"])
        return self.cleaned_data["password"]


@require_GET
def people_page(request: HttpRequest) -> HttpResponse:
    """Everybody with a place at the merchants that this person configures, and the open invitations."""
    return _people(request, InviteForm(user=request.user))


@require_POST
@sensitive_variables("token")
def invite(request: HttpRequest) -> HttpResponse:
    """Make an invitation and mail it; if no mail can be sent, the link is shown once instead."""
    form = InviteForm(request.POST, user=request.user)
    if not form.is_valid():
        return _people(request, form)
    given = form.cleaned_data
    try:
        invitation, token = people.invite(given["merchant"], given["email"], given["role"], request.user)
    except ValidationError as error:
        form.add_error("email", error)
        return _people(request, form)
    _mail(request, invitation, f"{request.build_absolute_uri(reverse('join'))}?t={token}")
    return HttpResponseRedirect(reverse("admin:people"))


@require_POST
def change_place(request: HttpRequest, pk: int) -> HttpResponse:
    place, form = _place(request, pk), PlaceForm(request.POST)
    if not form.is_valid():
        raise Http404
    _do(request, "Changed.", people.change_place, place, by=request.user, **form.cleaned_data)
    return HttpResponseRedirect(reverse("admin:people"))


@require_POST
def send_away(request: HttpRequest, pk: int) -> HttpResponse:
    _do(request, "Their place is taken away; it bites at once.", people.send_away, _place(request, pk), request.user)
    return HttpResponseRedirect(reverse("admin:people"))


@require_POST
def withdraw(request: HttpRequest, pk: int) -> HttpResponse:
    rows = Invitation.objects.filter(merchant__in=merchants_where(request.user, "configure"), accepted_at=None)
    people.withdraw(get_object_or_404(rows, pk=pk), request.user)
    messages.success(request, "The invitation is withdrawn.")
    return HttpResponseRedirect(reverse("admin:people"))


@never_cache
@sensitive_post_parameters("password")
@require_http_methods(["GET", "POST"])
def join(request: HttpRequest) -> HttpResponse:
    """What the link in the mail leads to: an account is made, or the place added to the one that is there.

    The token stands in the query, which the access log leaves out.
    """
    invitation = people.open_invitation(request.GET.get("t", ""))
    if invitation is None:
        return _simple(request, "join_closed.html", status=404)
    account = people.account_for(invitation)
    if account is not None:
        return _join_with(request, invitation, account)
    form = NewAccountForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        user = people.accept(invitation, **form.cleaned_data)
        login(request, user, backend=MODEL_BACKEND)
        return HttpResponseRedirect(reverse("admin:index"))
    return _simple(request, "join.html", invitation=invitation, form=form)


def _join_with(request: HttpRequest, invitation: Invitation, account: Any) -> HttpResponse:
    """The invited address has an account: only who is signed in with it gets the place."""
    is_that_person = request.user.pk == account.pk
    if request.method == "POST" and is_that_person:
        people.accept(invitation)
        messages.success(request, f"You now have a place at {invitation.merchant}.")
        return HttpResponseRedirect(reverse("admin:index"))
    return _simple(request, "join.html", invitation=invitation, is_that_person=is_that_person, account=account)


def _people(request: HttpRequest, form: InviteForm) -> HttpResponse:
    if not may_anywhere(request.user, "configure"):
        raise PermissionDenied
    chosen = request.GET.get("merchant", "")
    merchants = merchants_where(request.user, "configure").filter(pk__in=chosen_merchants(request.user, chosen))
    places = Membership.objects.filter(merchant__in=merchants).select_related("user", "merchant")
    return page(
        request,
        "people.html",
        title="People",
        form=form,
        chosen=chosen,
        merchants=merchants_of(request.user),
        places=places.order_by("merchant__name", "role", "user__username")[:500],
        invitations=Invitation.objects.filter(merchant__in=merchants, accepted_at=None).select_related("merchant"),
        roles=Membership.Role.choices,
    )


@sensitive_variables("link")
def _mail(request: HttpRequest, invitation: Invitation, link: str) -> None:
    words = render_to_string("connections/invitation.txt", {"invitation": invitation, "link": link, "by": request.user})
    subject = f"Your place at {invitation.merchant} in Viaduct"
    try:
        send_mail(subject, words, None, [invitation.email])
    except (SMTPException, OSError):
        messages.warning(request, f"The mail to {invitation.email} could not be sent. Hand over this link: {link}")
    else:
        messages.success(request, f"Invited. The mail to {invitation.email} is on its way; its link works for 7 days.")


def _place(request: HttpRequest, pk: int) -> Membership:
    rows = Membership.objects.filter(merchant__in=merchants_where(request.user, "configure"))
    return get_object_or_404(rows.select_related("merchant", "user"), pk=pk)


def _do(request: HttpRequest, words: str, step: Any, *args: Any, **kwargs: Any) -> None:
    try:
        step(*args, **kwargs)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, words)


def _simple(request: HttpRequest, template: str, *, status: int = 200, **context: Any) -> TemplateResponse:
    """A page outside the sidebar, for somebody who may not be signed in."""
    frame = {**admin.site.each_context(request), "title": "Your invitation"}
    return TemplateResponse(request, f"connections/{template}", frame | context, status=status)
