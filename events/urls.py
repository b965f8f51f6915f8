"""The addresses of the door, below /api/v1/; `/events` itself is joined with its readers in config/urls."""

from django.urls import path

from events import api
from events.methods import by_method

urlpatterns = [
    path("ingest/***", by_method(POST=api.receive_by_address), name="receive-by-address"),
    path("signed/<slug:public_id>", by_method(POST=api.receive_by_signature), name="receive-by-signature"),
]
