"""The few pages of this floor that Django makes: merchants' own settings, and users for the platform's staff."""

from typing import Any
from zoneinfo import available_timezones

from django import forms
from django.contrib import admin
from django.contrib.auth import get_user_model
from django.contrib.auth.admin import UserAdmin as DjangoUserAdmin
from django.http import HttpRequest, HttpResponse
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelectWidget, UnfoldBooleanSwitchWidget

from connections import audit
from connections.admin_base import TenantAdmin
from connections.models import Merchant
from connections.two_factor import take_away

RECORDED = ("username", "email", "is_active", "is_staff", "is_superuser")
SHOWN = ("name", "time_zone", "currency", "country", "requires_two_factor", "body_days", "row_days")


class MerchantForm(forms.ModelForm):
    time_zone = forms.ChoiceField(
        choices=[(name, name.replace("_", " ")) for name in sorted(available_timezones()) if "/" in name],
        widget=UnfoldAdminSelectWidget(),
        help_text="Every moment is shown in this zone, and Vrio's times without a zone are read in it.",
    )

    class Meta:
        labels = {"requires_two_factor": "Two-factor sign-in required"}
        help_texts = {
            "requires_two_factor": "Whoever works here needs a code from their phone to sign in. Once on, only the "
            "platform's staff can lift it.",
        }

    def clean_currency(self) -> str:
        return self.cleaned_data["currency"].upper()

    def clean_country(self) -> str:
        return self.cleaned_data["country"].upper()


@admin.register(Merchant)
class MerchantAdmin(TenantAdmin):
    """What a merchant decides about the shop; only the platform's staff make a new one."""

    form = MerchantForm
    list_display = ("name", "time_zone", "currency", "country", "requires_two_factor")
    search_fields = ("name",)
    fields = SHOWN
    add_fieldsets = ((None, {"fields": ("name", "slug", *SHOWN[1:])}),)

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        return super().get_fieldsets(request, obj) if obj else self.add_fieldsets

    def get_prepopulated_fields(self, request: HttpRequest, obj: Any = None) -> dict[str, Any]:
        return {} if obj else {"slug": ("name",)}

    def get_readonly_fields(self, request: HttpRequest, obj: Merchant | None = None) -> tuple[str, ...]:
        """What protects the shop's people is not lifted by whoever got hold of an owner's session."""
        is_required = obj is not None and obj.requires_two_factor
        return ("requires_two_factor",) if is_required and not request.user.is_superuser else ()

    def has_add_permission(self, request: HttpRequest) -> bool:
        return request.user.is_superuser

    def save_model(self, request: HttpRequest, obj: Merchant, form: Any, change: bool) -> None:
        before = dict(Merchant.objects.filter(pk=obj.pk).values(*SHOWN).first() or {})
        super().save_model(request, obj, form, change)
        after = {name: getattr(obj, name) for name in SHOWN}
        audit.record(request.user, "changed" if change else "created", obj, audit.differences(before, after))


class AccountForm(UserChangeForm):
    """An account, and the way back in for somebody who lost phone and recovery codes."""

    remove_two_factor = forms.BooleanField(
        required=False,
        label="Remove two-factor sign-in",
        help_text="For somebody who lost their phone and their recovery codes. Be sure who is asking.",
        widget=UnfoldBooleanSwitchWidget(),
    )


@admin.register(get_user_model())
class UserAdmin(DjangoUserAdmin, ModelAdmin):
    """Accounts, for the platform's staff only; owners give and take places on the page of people."""

    form = AccountForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm
    list_display = ("username", "email", "is_active", "is_superuser", "last_login")
    list_filter = ("is_active", "is_superuser")
    fieldsets = (
        (None, {"fields": ("username", "password")}),
        ("Person", {"fields": ("first_name", "last_name", "email")}),
        ("Access", {"fields": ("is_active", "is_staff", "is_superuser", "remove_two_factor")}),
        ("Dates", {"fields": ("last_login", "date_joined")}),
    )
    filter_horizontal = ()

    def has_module_permission(self, request: HttpRequest) -> bool:
        return request.user.is_active and request.user.is_superuser

    def has_view_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return self.has_module_permission(request)

    def save_model(self, request: HttpRequest, obj: Any, form: Any, change: bool) -> None:
        before = dict(get_user_model().objects.filter(pk=obj.pk).values(*RECORDED).first() or {})
        super().save_model(request, obj, form, change)
        changes = audit.differences(before, {name: getattr(obj, name) for name in RECORDED})
        if not change or changes:
            audit.record(request.user, "account changed" if change else "account made", obj, changes)
        if form.cleaned_data.get("remove_two_factor") and take_away(obj):
            audit.record(request.user, "two-factor sign-in removed", obj)

    def user_change_password(self, request: HttpRequest, id: str, form_url: str = "") -> HttpResponse:  # noqa: A002
        """Django's page; whoever sets another's password is in the history."""
        before = get_user_model().objects.filter(pk=id).values_list("password", flat=True).first()
        answer = super().user_change_password(request, id, form_url)
        account = get_user_model().objects.filter(pk=id).first()
        if account is not None and account.password != before:
            audit.record(request.user, "password set", account)
        return answer

    has_add_permission = has_module_permission
    has_change_permission = has_view_permission

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False  # what a person did stays in the history; accounts are deactivated
