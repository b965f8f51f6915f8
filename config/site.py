"""The admin site in which every page lives: who may enter it at all."""

from django.http import HttpRequest
from django.urls import URLPattern, URLResolver
from unfold.sites import UnfoldAdminSite

from connections import urls as connecting
from webhooks_log import urls as support


class Shell(UnfoldAdminSite):
    site_url = None

    def has_permission(self, request: HttpRequest) -> bool:
        """Staff of the platform, and everyone who has a place at some merchant."""
        user = request.user
        if not user.is_active or not user.is_authenticated:
            return False
        return user.is_staff or user.memberships.exists()

    def get_urls(self) -> list[URLResolver | URLPattern]:
        """Our own pages before the admin's, whose last address catches everything."""
        return [*connecting.pages(self), *support.pages(self), *super().get_urls()]
