"""Products from a CSV file: checked whole, then stored whole, or not at all.

A page behind the list of products.
"""

import csv
import io
from collections.abc import Iterable
from typing import Any

from django import forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.db import transaction
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from connections import audit, merchant_field
from connections.models import Merchant
from connections.page import page
from connections.tenancy import may_anywhere, merchants_where
from events.models import Product

COLUMNS = ("offer_id", "item_id", "offer_name", "name", "sku", "categories")
MOST_BYTES = 5_000_000
MOST_ROWS = 50_000
BLOCK = 500


class ImportForm(forms.Form):
    """The file, and whose products it describes."""

    merchant = forms.ModelChoiceField(Merchant.objects.none(), empty_label=None)
    file = forms.FileField(label="CSV file", widget=forms.FileInput(attrs={"accept": ".csv,text/csv"}))

    def __init__(self, *args: Any, user: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        merchant_field.offer(self.fields["merchant"], merchants_where(user, "configure"))

    def clean_file(self) -> list[dict[str, str]]:
        upload = self.cleaned_data["file"]
        if upload.size > MOST_BYTES:
            raise ValidationError(f"The file has more than {MOST_BYTES // 1_000_000} MB. Split it.")
        return rows_of(upload.read())


@require_http_methods(["GET", "POST"])
def import_products(request: HttpRequest) -> HttpResponse:
    """The form; a good file is stored at once."""
    if not may_anywhere(request.user, "configure"):
        raise PermissionDenied
    form = ImportForm(request.POST or None, request.FILES or None, user=request.user)
    if request.method == "POST" and form.is_valid():
        merchant, rows = form.cleaned_data["merchant"], form.cleaned_data["file"]
        with transaction.atomic():
            count = store(merchant, rows)
            audit.record(request.user, "imported products", changes={"products": (None, count)}, merchant=merchant)
        messages.success(request, f"{count} products stored. They are used for every event from now on.")
        return HttpResponseRedirect(reverse("admin:events_product_changelist"))
    return page(request, "product_import.html", title="Import products", form=form, columns=COLUMNS)


def rows_of(content: bytes) -> list[dict[str, str]]:
    """The file's rows by column; raises ValidationError with the line that is wrong. Comma or semicolon, UTF-8."""
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ValidationError("The file is not UTF-8. Save it as “CSV UTF-8” and try again.") from None
    first = text.split("\n", 1)[0]
    reader = csv.DictReader(io.StringIO(text), delimiter=";" if first.count(";") > first.count(",") else ",")
    names = [(name or "").strip().lower() for name in reader.fieldnames or []]
    if "offer_id" not in names and "item_id" not in names:
        raise ValidationError(f"The first line must name the columns: {', '.join(COLUMNS)}.")
    reader.fieldnames = names
    try:
        return list(_checked(reader))
    except csv.Error as error:
        raise ValidationError(f"Line {reader.line_num}: {error}.") from None


def store(merchant: Merchant, rows: list[dict[str, str]]) -> int:
    """Insert or replace by offer and item; the last of two equal rows wins."""
    unique = {(row["offer_id"], row["item_id"]): row for row in rows}
    products = [
        Product(
            merchant=merchant,
            **{name: row[name] for name in COLUMNS if name != "categories"},
            categories=[part.strip() for part in row["categories"].replace("|", ",").split(",") if part.strip()],
            is_edited=True,
        )
        for row in unique.values()
    ]
    Product.objects.bulk_create(
        products,
        batch_size=BLOCK,
        update_conflicts=True,
        unique_fields=("merchant", "offer_id", "item_id"),
        update_fields=("offer_name", "name", "sku", "categories", "is_edited"),
    )
    return len(products)


def _checked(reader: "csv.DictReader[str]") -> Iterable[dict[str, str]]:
    lengths = {name: Product._meta.get_field(name).max_length or 2000 for name in COLUMNS}
    for count, line in enumerate(reader, 1):
        row = {name: (line.get(name) or "").strip().replace("\x00", "") for name in COLUMNS}
        if count > MOST_ROWS:
            raise ValidationError(f"The file has more than {MOST_ROWS} rows. Split it.")
        if not (row["offer_id"] or row["item_id"]):
            raise ValidationError(f"Line {reader.line_num}: neither offer_id nor item_id is given.")
        if long := next((name for name, most in lengths.items() if len(row[name]) > most), None):
            raise ValidationError(f"Line {reader.line_num}: {long} is longer than {lengths[long]} characters.")
        yield row
