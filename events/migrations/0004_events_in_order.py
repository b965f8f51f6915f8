from django.db import migrations, models

from connections.live_indexes import AddIndexLive, RemoveIndexLive


class Migration(migrations.Migration):
    """New events come at the end of these indexes, and no longer before all others of their merchant. The new ones have
    new names, because the old ones serve until they are there."""

    atomic = False  # indexes of a large table, while everybody goes on writing

    dependencies = [("events", "0003_mirror_by_event")]

    operations = [
        AddIndexLive(model_name="event", index=models.Index(fields=["merchant", "id"], name="event_of_merchant")),
        AddIndexLive(model_name="event", index=models.Index(fields=["merchant", "state", "id"], name="event_in_state")),
        RemoveIndexLive(model_name="event", name="event_by_merchant"),
        RemoveIndexLive(model_name="event", name="event_by_state"),
    ]
