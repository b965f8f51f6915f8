"""Print every stored event's id and how often it arrived, as JSON; a process of its own, because of its database."""

import json
import os

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
django.setup()

from events.models import Event  # noqa: E402

if __name__ == "__main__":
    rows = list(Event.objects.values_list("event_id", "arrivals"))
    assert len(rows) == len({event_id for event_id, _ in rows}), "an event is stored twice"
    print(json.dumps(dict(rows)))
