"""What stands in the sidebar, and for whom. The shell asks on every page."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from connections.models import Membership
from connections.tenancy import places_of


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups of links that this person may follow."""
    groups = [
        _group(
            "",
            _item("Home", "home", "index"),
            _item("Webhooks", "swap_horiz", "webhooks"),
            _item("Customers", "group", "customers"),
        ),
        _group("Settings", *_settings(request)),
    ]
    if request.user.is_superuser:
        groups.append(_group("Platform", _item("Users", "manage_accounts", "auth_user_changelist")))
    return groups


def account_links(request: HttpRequest) -> list[dict[str, Any]]:
    """The links of the person's own menu."""
    return [{"title": "Two-factor sign-in", "link": reverse("admin:two_factor")}]


def _settings(request: HttpRequest) -> list[dict[str, Any]]:
    items = [_item("Connections", "hub", "connections")]
    if not _configures(request):
        return items
    return [
        *items,
        _item("People", "badge", "people"),
        _item("Shop", "storefront", "connections_merchant_changelist"),
        _item("History", "history", "history"),
    ]


def _configures(request: HttpRequest) -> bool:
    owns = any(place.role == Membership.Role.OWNER for place in places_of(request.user))
    return owns or request.user.is_superuser


def _group(title: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "separator": bool(title), "items": list(items)}


def _item(title: str, icon: str, name: str) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse(f"admin:{name}")}
