"""The owner's page of privacy: what is kept of a person, a copy of it, and forgetting them for good.

Beside the corridor; `webhooks_log.erasure` does the work. The address that is typed here is written into no log.
"""

from typing import Any

from django import forms
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_GET, require_POST

from connections import audit
from connections.models import Merchant
from connections.tenancy import merchants_where
from events import forgetting
from webhooks_log import erasure
from webhooks_log.models import Delivery, Erasure
from webhooks_log.page import page, told
from webhooks_log.person_export import export_person

SHOWN = 100
REQUEST_SECONDS = 2.0


class PersonForm(forms.Form):
    """Whom it is about, at which of the merchants that this person configures."""

    merchant = forms.ModelChoiceField(Merchant.objects.none(), empty_label=None)
    email = forms.EmailField(label="E-mail address of the customer")

    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        allowed = merchants_where(user, "configure").filter(pk__in=merchants_where(user, "personal_data"))
        if not allowed.exists():
            raise PermissionDenied("Only owners who may see personal data forget people or copy what is kept.")
        self.fields["merchant"].queryset = allowed
        if allowed.count() == 1:
            self.fields["merchant"].widget = forms.HiddenInput()
            self.fields["merchant"].initial = allowed.get()

    def clean_email(self) -> str:
        return self.cleaned_data["email"].lower()


class ErasureForm(PersonForm):
    """The address once more, typed by hand, and what goes with the erasure."""

    again = forms.EmailField(label="Type the address again to confirm")
    tells_klaviyo = forms.BooleanField(required=False, initial=True, label="Also delete the profile in Klaviyo")
    sends_later_purchases = forms.BooleanField(
        required=False, label="If this customer buys again later, tell Klaviyo about that purchase"
    )
    reason = forms.CharField(required=False, max_length=500, label="Reason or reference, without personal data")

    def clean(self) -> dict[str, Any]:
        given = super().clean() or {}
        if given.get("email") and given.get("again", "").lower() != given["email"]:
            self.add_error("again", "The two addresses differ.")
        return given


@require_GET
def privacy(request: HttpRequest) -> HttpResponse:
    """The two forms, and what was forgotten so far."""
    return _page(request, PersonForm(user=request.user))


@require_POST
@sensitive_post_parameters("email")
def person_found(request: HttpRequest) -> HttpResponse:
    """How much is kept of the person, and the form that forgets them."""
    form = PersonForm(request.POST, user=request.user)
    if not form.is_valid():
        return _page(request, form)
    merchant, email = form.cleaned_data["merchant"], form.cleaned_data["email"]
    found = _found(merchant, email)
    ready = ErasureForm(user=request.user, initial={"merchant": merchant, "email": email, "tells_klaviyo": True})
    return _page(request, form, found=found, ready=ready, email=email, merchant=merchant)


@require_POST
@sensitive_post_parameters("email")
def person_copy(request: HttpRequest) -> HttpResponse:
    """Everything that is kept of the person, as a file."""
    form = PersonForm(request.POST, user=request.user)
    if not form.is_valid():
        return _page(request, form)
    merchant = form.cleaned_data["merchant"]
    content = export_person(merchant, form.cleaned_data["email"], now=timezone.now())
    audit.record(request.user, "copy of one person's data made", merchant)
    return HttpResponse(
        content,
        content_type="application/json",
        headers={"Content-Disposition": 'attachment; filename="person.json"', "Cache-Control": "no-store"},
    )


@require_POST
@sensitive_post_parameters("email", "again")
def person_erase(request: HttpRequest) -> HttpResponse:
    """Forget the person; what cannot be done in this moment the clock finishes."""
    form = ErasureForm(request.POST, user=request.user)
    if not form.is_valid():
        return _page(request, PersonForm(user=request.user), ready=form)
    given = {name: form.cleaned_data[name] for name in ("reason", "tells_klaviyo", "sends_later_purchases")}
    row = erasure.request(form.cleaned_data["merchant"], form.cleaned_data["email"], actor=request.user, **given)
    erasure.advance(row, seconds=REQUEST_SECONDS)
    return told(request, SAID[row.state], reverse("admin:privacy"))


SAID = {
    Erasure.State.REQUESTED: "Suppressed: nothing more goes out. The rest follows within minutes; see the list below.",
    Erasure.State.SCRUBBED: "Forgotten here. Klaviyo is being asked to delete the profile; see the list below.",
    Erasure.State.DONE: "Forgotten. The list below is the record that it was done.",
}


def _found(merchant: Merchant, email: str) -> list[tuple[str, int]]:
    customers = list(forgetting.customers_called(merchant, email).values_list("pk", flat=True))
    events = sum(len(block) for block in forgetting.events_of(merchant, email, customers))
    messages = Delivery.objects.filter(merchant=merchant, customer__in=customers).count()
    return [("customers", len(customers)), ("events from Vrio", events), ("messages to Klaviyo", messages)]


def _page(request: HttpRequest, form: PersonForm, **more: Any) -> HttpResponse:
    allowed = merchants_where(request.user, "configure")
    rows = Erasure.objects.filter(merchant__in=allowed).select_related("merchant").prefetch_related("calls__account")
    context = {"form": form, "erasures": rows.order_by("-pk")[:SHOWN], "names_merchants": allowed.count() > 1, **more}
    return page(request, "privacy.html", title="Privacy", **context)
