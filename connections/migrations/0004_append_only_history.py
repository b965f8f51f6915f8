"""Entries of the history are never edited and never deleted."""

from django.db import migrations

from connections.append_only import STATEMENTS, UNDO


def forbid(apps, schema_editor):
    for statement in STATEMENTS[schema_editor.connection.vendor]:
        schema_editor.execute(statement)


def allow(apps, schema_editor):
    for statement in UNDO[schema_editor.connection.vendor]:
        schema_editor.execute(statement)


class Migration(migrations.Migration):

    dependencies = [
        ('connections', '0003_clocks_of_their_own'),
    ]

    operations = [
        migrations.RunPython(forbid, allow),
    ]
