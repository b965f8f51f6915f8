"""What stands in the sidebar, and for whom. The shell asks on every page."""

from typing import Any

from django.http import HttpRequest
from django.urls import reverse_lazy

from connections.tenancy import merchants_where


def may_configure(request: HttpRequest) -> bool:
    return merchants_where(request.user, "configure").exists()


def is_platform_staff(request: HttpRequest) -> bool:
    return request.user.is_superuser


def _item(title: str, icon: str, name: str, permission: str = "") -> dict[str, Any]:
    item = {"title": title, "icon": icon, "link": reverse_lazy(f"admin:{name}")}
    return item | ({"permission": f"config.navigation.{permission}"} if permission else {})


def sidebar(request: HttpRequest) -> list[dict[str, Any]]:
    """The groups of links; those a person may not follow are left out by their permission."""
    groups = [
        {
            "items": [
                _item("Home", "home", "index"),
                _item("Webhooks", "swap_horiz", "webhooks"),
                _item("Customers", "group", "customers"),
                #                 _item("Products", "inventory_2", "events_product_changelist"),
            ]
        },
        {
            "title": "Settings",
            "separator": True,
            "items": [
                _item("Connections", "hub", "connections"),
                #                 _item("Receive from Vrio", "input", "receive"),
                #                 _item("Mapping preview", "preview", "mapping_preview"),
                #                 _item("People", "badge", "people"),
                #                 _item("Shop", "storefront", "connections_merchant_changelist", "may_configure"),
                #                 _item("History", "history", "history"),
            ],
        },
        {
            "title": "Platform",
            "separator": True,
            "items": [
                #                 _item("Users", "manage_accounts", "auth_user_changelist", "is_platform_staff"),
            ],
        },
    ]
    return groups if is_platform_staff(request) else groups[:-1]


def account_links(request: HttpRequest) -> list[dict[str, Any]]:
    """The links of the person's own menu."""
    return []
