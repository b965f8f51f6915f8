"""The field of a form that asks for which merchant: whoever has only one is not asked.

In forms of every floor.
"""

from django import forms
from django.db.models import QuerySet

from connections.models import Merchant


def offer(field: forms.Field, merchants: QuerySet[Merchant]) -> None:
    """Make these the choices; a single one is taken without a question."""
    field.queryset = merchants  # type: ignore[attr-defined]
    if merchants.count() == 1:
        field.widget = forms.HiddenInput()
        field.initial = merchants.get()
