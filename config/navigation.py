"""What stands in the sidebar, and for whom. The shell asks on every page."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse

from connections.tenancy import may_anywhere, places_of


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups of links that this person may follow; the one that leads to this page is marked."""
    groups = _groups(request)
    items = [item for group in groups for item in group["items"]]
    home = reverse("admin:index")
    here = [item for item in items if request.path.startswith(item["link"]) and item["link"] != home]
    nearest = max((len(item["link"]) for item in here), default=0)
    for item in items:
        item["active"] = len(item["link"]) == nearest if item in here else request.path == item["link"]
    return groups


def _groups(request: HttpRequest) -> list[dict[str, Any]]:
    groups = [
        _group(
            "",
            _item("Home", "home", "index"),
            _item("Webhooks", "swap_horiz", "webhooks"),
            _item("Events from Vrio", "inbox", "events"),
            _item("Customers", "group", "customers"),
            _item("Alerts", "notifications", "alerts"),
            _item("Products", "inventory_2", "events_product_changelist"),
        ),
        _group("Settings", *_settings(request)),
    ]
    if request.user.is_superuser:
        groups.append(_group("Platform", _item("Users", "manage_accounts", "auth_user_changelist")))
    return groups


def account_links(request: HttpRequest) -> list[dict[str, Any]]:
    """The links of the person's own menu."""
    return [
        {"title": "Two-factor sign-in", "link": reverse("admin:two_factor")},
        {"title": "Change password", "link": reverse("admin:password_change")},
    ]


def _settings(request: HttpRequest) -> list[dict[str, Any]]:
    items = [
        _item("Connections", "hub", "connections"),
        _item("Receive from Vrio", "input", "receive"),
        _item("Mapping preview", "preview", "mapping_preview"),
    ]
    if not may_anywhere(request.user, "configure"):
        return items
    return [
        *items,
        _item("People", "badge", "people"),
        _shop(request),
        _item("Privacy", "shield_person", "privacy"),
        _item("History", "history", "history"),
    ]


def _shop(request: HttpRequest) -> dict[str, Any]:
    """Straight to the shop's own settings where there is only one."""
    places = places_of(request.user)
    if request.user.is_superuser or len(places) != 1:
        return _item("Shops", "storefront", "connections_merchant_changelist")
    return _item("Shop", "storefront", "connections_merchant_change", places[0].merchant_id)


def _group(title: str, *items: dict[str, Any]) -> dict[str, Any]:
    return {"title": title, "separator": bool(title), "items": list(items)}


def _item(title: str, icon: str, name: str, *args: Any) -> dict[str, Any]:
    return {"title": title, "icon": icon, "link": reverse(f"admin:{name}", args=args)}
