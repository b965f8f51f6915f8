"""The admin site in which every page lives: who may enter it at all."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.urls import URLPattern, URLResolver
from unfold.admin import ModelAdmin
from unfold.sites import UnfoldAdminSite

from connections import urls as connecting
from connections.tenancy import places_of
from connections.two_factor import behind_second_factor
from events import pages as receiving
from webhooks_log import urls as support


class Shell(UnfoldAdminSite):
    site_url = None

    def has_permission(self, request: HttpRequest) -> bool:
        """Staff of the platform, and everyone who has a place at some merchant."""
        user = request.user
        if not user.is_active or not user.is_authenticated:
            return False
        return user.is_staff or bool(places_of(user))

    def admin_view(self, view: Callable[..., HttpResponse], cacheable: bool = False) -> Callable[..., HttpResponse]:
        """Every page stands behind the door, and behind the second factor of who has or needs one."""
        return super().admin_view(behind_second_factor(view), cacheable)

    def register(self, models: Any, admin_class: Any = None, **options: Any) -> None:
        """Pages that other packages bring along stay shut: they know no merchants and would show everybody's rows."""
        if admin_class is not None and issubclass(admin_class, ModelAdmin):
            super().register(models, admin_class, **options)

    def search(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        """Unfold's own search stays empty: it keeps what a person found for minutes, a place lost meanwhile or not."""
        return HttpResponse()

    def get_urls(self) -> list[URLResolver | URLPattern]:
        """Our own pages before the admin's, whose last address catches everything."""
        return [*connecting.pages(self), *receiving.pages(self), *support.pages(self), *super().get_urls()]
