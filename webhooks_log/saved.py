"""Saved filters: an address worth keeping, by the person who named it.

Above the list of Deliveries, one click each.
"""

from dataclasses import dataclass

from django.contrib.auth.models import AbstractBaseUser
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from webhooks_log.models import SavedFilter
from webhooks_log.selection import read
from webhooks_log.viewer import Viewer

MOST = 30


@dataclass(frozen=True, slots=True)
class Chip:
    """A saved filter as a link."""

    pk: int
    name: str
    href: str


def saved_filters(user: AbstractBaseUser, eyes: Viewer) -> list[Chip]:
    """The person's own, by name."""
    found = SavedFilter.objects.filter(user_id=user.pk).order_by("name")[:MOST]
    return [Chip(row.pk, row.name, f"{reverse('admin:webhooks')}?{row.query}") for row in found]


@require_POST
def filter_save(request: HttpRequest) -> HttpResponse:
    """Keep the address's filter under a name; the same name replaces."""
    query = read(request.GET, customer=None).as_query()
    name = request.POST.get("name", "").replace("\0", "").strip()[:60]
    if name and query:
        SavedFilter.objects.update_or_create(user_id=request.user.pk, name=name, defaults={"query": query})
    return redirect(f"{reverse('admin:webhooks')}?{query}")


@require_POST
def filter_forget(request: HttpRequest, pk: int) -> HttpResponse:
    """Drop one of the person's own saved filters; anybody else's is not there."""
    SavedFilter.objects.filter(pk=pk, user_id=request.user.pk).delete()
    return redirect("admin:webhooks")
