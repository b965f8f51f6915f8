"""A column, while the table is written by processes that do not know it."""

import pkgutil

from django.db import migrations, models

from webhooks_log import migrations as present

LATEST = max(module.name for module in pkgutil.iter_modules(present.__path__))


class Migration(migrations.Migration):
    dependencies = [("webhooks_log", LATEST)]
    operations = [migrations.AddField("delivery", "next_release", models.CharField(max_length=9, null=True))]
