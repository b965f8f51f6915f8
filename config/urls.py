"""Every address of Viaduct."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from events.api import not_found

urlpatterns = [
    path("", RedirectView.as_view(pattern_name="admin:index"), name="root"),
    path("api/v1/", include("events.urls")),
    path("api/<path:rest>", not_found),
    path("app/", admin.site.urls),
]
