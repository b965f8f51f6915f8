"""The form in which a merchant describes a connection; the key goes in and never comes out again.

Between the browser and the Connection row.
"""

import re
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.utils import timezone
from django.views.decorators.debug import sensitive_variables
from unfold.widgets import (
    UnfoldAdminCheckboxSelectMultipleWidget,
    UnfoldAdminPasswordWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from connections import secrets
from connections.key_shape import problem_with_private_key, problem_with_public_key
from connections.models import Campaign, Connection, KlaviyoAccount, Merchant

KEY_PURPOSE = "klaviyo private key"  # what fingerprints of keys are made for


class ConnectionForm(forms.ModelForm):
    """Everything about a connection that its merchant decides. `merchant` is given by the page, never by the form."""

    private_key = forms.CharField(
        label="Private API key",
        required=False,
        max_length=200,
        widget=UnfoldAdminPasswordWidget(
            attrs={"autocomplete": "new-password", "spellcheck": "false"}, render_value=False
        ),
    )
    more_campaigns = forms.CharField(
        label="Other campaign ids",
        required=False,
        help_text="Vrio campaign ids that Viaduct has not seen yet, separated by commas.",
        widget=UnfoldAdminTextInputWidget(),
    )

    class Meta:
        model = Connection
        fields = ("name", "public_key", "push_events", "campaigns", "send_test_orders", "is_active")
        widgets = {
            "name": UnfoldAdminTextInputWidget(attrs={"placeholder": "Klaviyo Production"}),
            "public_key": UnfoldAdminTextInputWidget(attrs={"autocomplete": "off", "spellcheck": "false"}),
            "push_events": UnfoldBooleanSwitchWidget(),
            "campaigns": UnfoldAdminCheckboxSelectMultipleWidget(),
            "send_test_orders": UnfoldBooleanSwitchWidget(),
            "is_active": UnfoldBooleanSwitchWidget(),
        }
        help_texts = {
            "name": "Something descriptive, such as “Klaviyo Production”.",
            "public_key": "Optional, six letters and digits. Viaduct compares it with the account of the private key.",
            "push_events": "Send customer and order events to Klaviyo.",
            "campaigns": "None chosen means all campaigns, those to come included.",
            "send_test_orders": "Test orders are left out unless this is on.",
            "is_active": "Off: what is owed waits until you switch it on again; events of the meantime are skipped.",
        }

    def __init__(self, *args: Any, merchant: Merchant, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.merchant = merchant
        self.instance.merchant = merchant
        self.fields["campaigns"].queryset = Campaign.objects.filter(merchant=merchant)
        self.fields["private_key"].help_text = self._what_is_kept()
        self.fields["private_key"].required = not self.instance.sealed_key
        self.fields["private_key"].error_messages["required"] = "Enter the private API key, starting with pk_."
        # A native "required" would stop the browser before our sentences can say what is wrong.
        self.use_required_attribute = False

    def _what_is_kept(self) -> str:
        if not self.instance.sealed_key:
            return "Starts with pk_. It is encrypted at once and never shown again."
        return f"The key ending in {self.instance.key_hint} is kept. Enter another one only to replace it."

    @sensitive_variables()
    def clean_private_key(self) -> str:
        key = self.cleaned_data["private_key"]
        if not key:
            return ""
        if problem := problem_with_private_key(key):
            raise ValidationError(problem, code="not_a_private_key")
        twin = self._other_connections().filter(key_fingerprint=secrets.fingerprint(key, KEY_PURPOSE)).first()
        if twin is not None:
            raise ValidationError(
                f"Your connection “{twin}” already uses this key; a second one would send everything twice. "
                "Change that connection, or use the key of another Klaviyo account.",
                code="used_already",
            )
        return key

    def clean_public_key(self) -> str:
        key = self.cleaned_data["public_key"].strip()
        if problem := problem_with_public_key(key):
            raise ValidationError(problem)
        return key

    def clean_name(self) -> str:
        name = self.cleaned_data["name"].strip()
        if self._other_connections().filter(name=name).exists():
            raise ValidationError("Another connection of yours has this name. Choose one that tells them apart.")
        return name

    def clean_more_campaigns(self) -> list[str]:
        ids = [part for part in re.split(r"[,;\s]+", self.cleaned_data["more_campaigns"]) if part]
        if wrong := next((part for part in ids if not re.fullmatch(r"[A-Za-z0-9_-]{1,50}", part)), None):
            raise ValidationError(f"“{wrong[:50]}” is not a campaign id. Vrio shows the id beside the campaign's name.")
        return ids

    @sensitive_variables()
    def save(self, commit: bool = True) -> Connection:
        """The stored connection. Call it inside a transaction; the key is sealed here and forgotten."""
        connection = self.instance
        if key := self.cleaned_data["private_key"]:
            connection.sealed_key = secrets.seal(key)
            connection.key_hint = secrets.hint(key)
            connection.key_fingerprint = secrets.fingerprint(key, KEY_PURPOSE)
            connection.state = Connection.State.UNCHECKED
            connection.held_at = timezone.now()  # nothing leaves before the doctor knows whose key this is
        if connection.account_id is None:
            connection.account = KlaviyoAccount.objects.create()
        connection.save()
        connection.campaigns.set([*self.cleaned_data["campaigns"], *self._typed_campaigns()])
        return connection

    def _typed_campaigns(self) -> list[Campaign]:
        return [
            Campaign.objects.get_or_create(
                merchant=self.merchant, vrio_id=vrio_id, defaults={"first_seen_at": timezone.now()}
            )[0]
            for vrio_id in self.cleaned_data["more_campaigns"]
        ]

    def _other_connections(self) -> Any:
        return Connection.objects.living().filter(merchant=self.merchant).exclude(pk=self.instance.pk)


def shown_values(connection: Connection) -> dict[str, Any]:
    """What the history keeps of a connection: its settings and the key's last four characters, never the key."""
    return {
        "name": connection.name,
        "private key": f"…{connection.key_hint}" if connection.key_hint else "",
        "public key": connection.public_key,
        "push events": connection.push_events,
        "campaigns": sorted(connection.campaigns.values_list("vrio_id", flat=True)) or "all",
        "send test orders": connection.send_test_orders,
        "active": connection.is_active,
    }
