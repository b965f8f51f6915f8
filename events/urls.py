"""The addresses of the door, below /api/v1/."""

from django.urls import path

from events import api

urlpatterns = [
    path("events", api.receive_by_key, name="receive"),
    path("ingest/***", api.receive_by_address, name="receive-by-address"),
    path("signed/<slug:public_id>", api.receive_by_signature, name="receive-by-signature"),
]
