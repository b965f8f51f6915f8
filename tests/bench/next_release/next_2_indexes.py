"""Indexes of the two largest tables, while they are written."""

from django.db import migrations, models

from connections.live_indexes import AddIndexLive, RemoveIndexLive

BY_STATUS = models.Index("http_status", "created_at", name="delivery_next_release")
BY_DURATION = models.Index("duration_ms", name="attempt_next_release")


class Migration(migrations.Migration):
    atomic = False
    dependencies = [("webhooks_log", "next_1_column")]
    operations = [
        AddIndexLive("delivery", BY_STATUS),
        AddIndexLive("attempt", BY_DURATION),
        RemoveIndexLive("attempt", "attempt_next_release"),
    ]
