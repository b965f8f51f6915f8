"""Everything that the database holds, as somebody finds it who takes it along."""

from collections.abc import Iterator
from pathlib import Path

from django.db import connection as database

from webhooks_log.models import AttemptContent, Body
from webhooks_log.packing import unpack


def stored() -> list[bytes]:
    """On SQLite the files themselves, free pages and all; on PostgreSQL every row of every table, as a dump has it."""
    if database.vendor == "sqlite":
        with database.cursor() as cursor:
            cursor.execute("PRAGMA database_list")
            name = cursor.fetchone()[2]
        files = [path for ending in ("", "-wal") if (path := Path(name + ending)).exists()]
        assert files
        return [path.read_bytes() for path in files]
    return [row.encode() for row in rows()]


def rows() -> Iterator[str]:
    """Every row of every table, and what it holds as bytes."""
    with database.cursor() as cursor:
        for table in database.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {database.ops.quote_name(table)}")
            for row in cursor.fetchall():
                yield f"{table}: {row}"
                yield from (bytes(told).decode("latin-1") for told in row if isinstance(told, bytes | memoryview))


def unpacked() -> list[bytes]:
    """What is packed, as it was before."""
    packed = [(row.content, row.codec) for row in Body.objects.exclude(content=None)]
    packed += [(row.packed, row.codec) for row in AttemptContent.objects.exclude(packed=None)]
    return [unpack(bytes(content), codec) for content, codec in packed]
