"""Every address of Viaduct."""

from django.contrib import admin
from django.urls import include, path, re_path
from django.views.generic import RedirectView
from drf_spectacular.views import SpectacularAPIView, SpectacularSwaggerSplitView

from connections import password_pages
from connections.people_pages import join
from events.api import not_found, receive_by_key
from events.methods import by_method
from webhooks_log import health, reconcile
from webhooks_log.api import explain

urlpatterns = [
    path("api/v1/events", by_method(POST=receive_by_key, GET=reconcile.event_list), name="events"),  # the doors first
    path("api/v1/", include("events.urls")),
    path("", RedirectView.as_view(pattern_name="admin:index"), name="root"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", health.metrics_page, name="metrics"),
    path("api/v1/explain", explain, name="explain"),
    path("api/v1/events/validate", by_method(POST=reconcile.validate), name="events-validate"),
    path("api/v1/events/<int:pk>", by_method(GET=reconcile.event), name="event"),
    path("api/schema/", SpectacularAPIView.as_view(), name="schema"),
    path("api/docs/", SpectacularSwaggerSplitView.as_view(url_name="schema"), name="docs"),
    re_path(r"^api/", not_found),  # whatever else stands below, a line break included, which `<path:…>` does not match
    path("join/", join, name="join"),
    path("password/", password_pages.Asked.as_view(), name="admin_password_reset"),
    path("password/sent/", password_pages.Sent.as_view(), name="password_reset_done"),
    path("password/<uidb64>/<token>/", password_pages.Chosen.as_view(), name="password_reset_confirm"),
    path("password/changed/", password_pages.Saved.as_view(), name="password_reset_complete"),
    path("app/", admin.site.urls),
]
