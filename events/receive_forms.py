"""The forms of *Receive from Vrio*: a source, a key of any kind, a rotation.

Between the browser and connections.keys. Which merchant it is for is given by the page, never by the form.
"""

from ipaddress import ip_network
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.core.validators import RegexValidator
from django.views.decorators.debug import sensitive_variables
from unfold.widgets import (
    UnfoldAdminPasswordWidget,
    UnfoldAdminSelectWidget,
    UnfoldAdminTextareaWidget,
    UnfoldAdminTextInputWidget,
)

from connections import keys
from connections.models import ApiKey, Merchant, Source

Kind = ApiKey.Kind


class SourceForm(forms.ModelForm):
    """A Vrio account in one dialect."""

    class Meta:
        model = Source
        fields = ("name", "dialect")
        widgets = {
            "name": UnfoldAdminTextInputWidget(attrs={"placeholder": "Vrio"}),
            "dialect": UnfoldAdminSelectWidget(),
        }
        labels = {"dialect": "How Vrio sends"}
        help_texts = {"name": "Rotating keys never changes a source; make another one only for another Vrio account."}

    def __init__(self, *args: Any, merchant: Merchant, **kwargs: Any) -> None:
        super().__init__(*args, instance=Source(merchant=merchant), **kwargs)

    def _get_validation_exclusions(self) -> set[str]:
        return super()._get_validation_exclusions() - {"merchant"}


class KeyForm(forms.Form):
    """A new way to prove who is calling. The fields about signatures count only for one."""

    kind = forms.ChoiceField(choices=Kind.choices, widget=UnfoldAdminSelectWidget())
    name = forms.CharField(
        max_length=100, help_text="Where it is used, so that you know it again.", widget=UnfoldAdminTextInputWidget()
    )
    scope = forms.ChoiceField(
        choices=ApiKey.Scope.choices,
        required=False,
        label="What an API key may do",
        widget=UnfoldAdminSelectWidget(),
    )
    allowed_addresses = forms.CharField(
        required=False,
        max_length=2000,
        label="Allowed IP addresses",
        help_text="One address or network a line. Empty allows all.",
        widget=UnfoldAdminTextareaWidget(attrs={"rows": 2}),
    )
    header = forms.CharField(
        required=False,
        max_length=100,
        label="Signature header",
        initial="X-Vrio-Signature",
        validators=[RegexValidator(r"^[A-Za-z0-9-]+$", "A header has letters, digits and hyphens.")],
        widget=UnfoldAdminTextInputWidget(),
    )
    algorithm = forms.ChoiceField(
        choices=[("sha256", "SHA-256"), ("sha512", "SHA-512")], required=False, widget=UnfoldAdminSelectWidget()
    )
    encoding = forms.ChoiceField(
        choices=[("hex", "hex"), ("base64", "base64")], required=False, widget=UnfoldAdminSelectWidget()
    )
    signature_prefix = forms.CharField(
        required=False,
        max_length=20,
        label="Prefix before the signature",
        help_text="Such as sha256=, or nothing.",
        widget=UnfoldAdminTextInputWidget(),
    )
    secret = forms.CharField(
        required=False,
        max_length=200,
        min_length=16,
        label="Signing secret",
        help_text="If Vrio's screen shows one already. Empty makes one for you to paste there.",
        widget=UnfoldAdminPasswordWidget(attrs={"autocomplete": "new-password"}, render_value=False),
    )

    def clean_allowed_addresses(self) -> str:
        lines = self.cleaned_data["allowed_addresses"].split()
        for line in lines:
            try:
                ip_network(line, strict=False)
            except ValueError:
                raise ValidationError(f"“{line}” is not an IP address or network.") from None
        return "\n".join(lines)

    def clean(self) -> dict[str, Any]:
        if self.cleaned_data.get("kind") == Kind.HMAC and not self.cleaned_data.get("header"):
            self.add_error("header", "Name the header in which Vrio sends the signature.")
        return self.cleaned_data

    @sensitive_variables()
    def save(self, source: Source, by: Any) -> tuple[ApiKey, str]:
        """The key and its clear text, which the page shows once."""
        told = self.cleaned_data
        common = {"name": told["name"], "allowed_addresses": told["allowed_addresses"], "by": by}
        if told["kind"] == Kind.BEARER:
            return keys.new_bearer(source, scope=told["scope"] or ApiKey.Scope.SEND, **common)
        if told["kind"] == Kind.ADDRESS:
            return keys.new_address(source, **common)
        return keys.new_hmac(
            source,
            header=told["header"],
            algorithm=told["algorithm"] or "sha256",
            encoding=told["encoding"] or "hex",
            prefix=told["signature_prefix"],
            clear=told["secret"],
            **common,
        )


class RotateForm(forms.Form):
    days = forms.IntegerField(min_value=0, max_value=90)
