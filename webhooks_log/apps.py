"""Names this floor to Django."""

from django.apps import AppConfig


class WebhooksLogConfig(AppConfig):
    name = "webhooks_log"
    verbose_name = "Deliveries"
