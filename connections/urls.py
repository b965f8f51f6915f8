"""The addresses of this floor's pages inside the shell; their names are `admin:…`.

The shell asks for them; templates and other floors know the names only.
"""

from django.contrib.admin import AdminSite
from django.urls import URLPattern, path

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
    )
    return [path(route, site.admin_view(view), name=name) for route, view, name in views]
