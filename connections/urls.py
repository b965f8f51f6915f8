"""The addresses of this floor's pages inside the shell; their names are `admin:…`.

The shell asks for them; templates and other floors know the names only.
"""

from django.contrib.admin import AdminSite
from django.urls import URLPattern, path

from connections import history_page, people_pages, two_factor
from connections import pages as connection_pages


def pages(site: AdminSite) -> list[URLPattern]:
    """Every page, behind the shell's own door."""
    views = (
        ("connections/", connection_pages.connection_list, "connections"),
        ("connections/catalogue/", connection_pages.catalogue, "connection_catalogue"),
        ("connections/add/", connection_pages.add_connection, "connection_add"),
        ("connections/<int:pk>/", connection_pages.connection_page, "connection"),
        ("connections/<int:pk>/settings/", connection_pages.connection_settings, "connection_settings"),
        ("connections/<int:pk>/history/", connection_pages.connection_history, "connection_history"),
        ("connections/<int:pk>/check/", connection_pages.check_now, "connection_check"),
        ("connections/<int:pk>/switch/", connection_pages.switch, "connection_switch"),
        ("connections/<int:pk>/archive/", connection_pages.archive, "connection_archive"),
        ("people/", people_pages.people_page, "people"),
        ("people/invite/", people_pages.invite, "invite"),
        ("people/<int:pk>/change/", people_pages.change_place, "place_change"),
        ("people/<int:pk>/send-away/", people_pages.send_away, "place_send_away"),
        ("people/invitations/<int:pk>/withdraw/", people_pages.withdraw, "invitation_withdraw"),
        ("history/", history_page.history_page, "history"),
        ("two-factor/", two_factor.two_factor, "two_factor"),
        ("two-factor/check/", two_factor.two_factor_check, "two_factor_check"),
        ("two-factor/off/", two_factor.two_factor_off, "two_factor_off"),
    )
    return [path(route, site.admin_view(view), name=name) for route, view, name in views]
