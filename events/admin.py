"""Products in the shell: names, SKUs and categories that Vrio's events leave out, edited or imported from a file."""

from typing import Any

from django import forms
from django.contrib import admin
from django.http import HttpRequest
from django.urls import URLPattern, path
from unfold.widgets import UnfoldAdminTextInputWidget

from connections import audit
from connections.admin_base import MerchantFilter, TenantAdmin
from connections.tenancy import merchants_where, places_of
from events import product_import
from events.models import Product

SHOWN = ("offer_id", "item_id", "offer_name", "name", "sku", "categories")


class ProductForm(forms.ModelForm):
    """Categories are typed with commas between them."""

    categories = forms.CharField(
        required=False, help_text="Separated by commas.", widget=UnfoldAdminTextInputWidget(attrs={"size": 60})
    )

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.initial["categories"] = ", ".join(self.instance.categories or [])

    def clean_categories(self) -> list[str]:
        return [name.strip() for name in self.cleaned_data["categories"].split(",") if name.strip()]


@admin.register(Product)
class ProductAdmin(TenantAdmin):
    """A person's words win over what events say."""

    form = ProductForm
    list_display = ("shown_name", "sku", "offer_id", "item_id", "category_list", "known_from", "merchant")
    list_display_links = ("shown_name",)
    list_filter = (MerchantFilter, "is_edited")
    list_select_related = ("merchant",)
    search_fields = ("name", "offer_name", "sku", "offer_id__exact", "item_id__exact")
    fields = ("merchant", *SHOWN)
    ordering = ("-pk",)
    list_per_page = 50
    list_before_template = "events/products_before.html"

    def get_urls(self) -> list[URLPattern]:
        importing = self.admin_site.admin_view(product_import.import_products)
        return [path("import/", importing, name="product_import"), *super().get_urls()]

    def get_list_display(self, request: HttpRequest) -> tuple[str, ...]:
        has_several = request.user.is_superuser or len(places_of(request.user)) > 1
        return self.list_display if has_several else self.list_display[:-1]

    def get_readonly_fields(self, request: HttpRequest, obj: Product | None = None) -> tuple[str, ...]:
        return ("merchant", "offer_id", "item_id") if obj else ()

    def formfield_for_foreignkey(self, db_field: Any, request: HttpRequest, **kwargs: Any) -> Any:
        if db_field.name == "merchant":
            kwargs["queryset"] = merchants_where(request.user, "configure")
        return super().formfield_for_foreignkey(db_field, request, **kwargs)

    def save_model(self, request: HttpRequest, obj: Product, form: Any, change: bool) -> None:
        before = dict(Product.objects.filter(pk=obj.pk).values(*SHOWN).first() or {})
        obj.is_edited = True
        super().save_model(request, obj, form, change)
        after = {name: getattr(obj, name) for name in SHOWN}
        audit.record(request.user, "changed" if change else "added", obj, audit.differences(before, after))

    @admin.display(description="product")
    def shown_name(self, obj: Product) -> str:
        return str(obj)

    @admin.display(description="known from")
    def known_from(self, obj: Product) -> str:
        return "your shop" if obj.is_edited else "Vrio's events"

    @admin.display(description="categories")
    def category_list(self, obj: Product) -> str:
        return ", ".join(obj.categories)
