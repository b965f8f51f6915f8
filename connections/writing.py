"""Writes many rows of one table at once, where Django's `bulk_create` and `bulk_update` spend several times longer
building the statement than the database needs to run it.

Dispatch and the lanes settle their batches with it.
"""

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, models

PARAMETERS = 20_000  # per statement; SQLite takes 32,766, PostgreSQL 65,535
PLAIN = frozenset(
    (
        "BigIntegerField",
        "BinaryField",
        "BooleanField",
        "CharField",
        "ForeignKey",
        "IntegerField",
        "OneToOneField",
        "SmallIntegerField",
        "TextField",
    )
)

Prepare = Callable[[Any], Any]


def insert_rows(rows: Sequence[models.Model], *, unless_there: bool = False) -> None:
    """Insert new rows and give each its id. All fields must have values: defaults of the database are not asked.

    With `unless_there` a row that a constraint knows already is left out, and no ids are given.
    """
    if not rows:
        return
    for row in rows:
        row._prepare_related_fields_for_save("insert_rows")
    meta = rows[0]._meta
    fields = [field for field in meta.concrete_fields if not field.primary_key]
    quote = connection.ops.quote_name
    columns = ", ".join(quote(field.column) for field in fields)
    place = f"({', '.join(['%s'] * len(fields))})"
    size = PARAMETERS // len(fields)
    values = list(prepared(rows, fields))
    with connection.cursor() as cursor:
        for start in range(0, len(rows), size):
            block = values[start : start + size]
            places = ", ".join([place] * len(block))
            ending = "ON CONFLICT DO NOTHING" if unless_there else f"RETURNING {quote(meta.pk.column)}"
            cursor.execute(
                f"INSERT INTO {quote(meta.db_table)} ({columns}) VALUES {places} {ending}",
                [value for row in block for value in row],
            )
            if unless_there:
                continue
            for row, (pk,) in zip(rows[start : start + size], cursor.fetchall(), strict=True):
                row.pk, row._state.adding, row._state.db = pk, False, connection.alias


def update_rows(rows: Collection[models.Model], names: Sequence[str]) -> None:
    """Write these fields of rows that exist: one prepared statement, run for all of them in one go."""
    if not rows:
        return
    for row in rows:
        row._prepare_related_fields_for_save("update_rows")
    meta = next(iter(rows))._meta
    fields = [meta.get_field(name) for name in names]
    quote = connection.ops.quote_name
    columns = ", ".join(f"{quote(field.column)} = %s" for field in fields)
    statement = f"UPDATE {quote(meta.db_table)} SET {columns} WHERE {quote(meta.pk.column)} = %s"
    values = [[*told, row.pk] for told, row in zip(prepared(rows, fields), rows, strict=True)]
    with connection.cursor() as cursor:
        cursor.executemany(statement, values)


def prepared(rows: Collection[models.Model], fields: Sequence[Any]) -> Iterator[list[Any]]:
    """What each row says in these fields, as the database's driver takes it."""
    readers = [(field.attname, preparation(field)) for field in fields]
    for row in rows:
        told = row.__dict__
        yield [prepare(told[name]) if prepare else told[name] for name, prepare in readers]


def preparation(field: Any) -> Prepare | None:
    """None where the driver takes the value as it is. One moment told by many rows is prepared once."""
    if field.get_internal_type() in PLAIN:
        return None
    known: dict[int, tuple[Any, Any]] = {}
    database = connections[DEFAULT_DB_ALIAS]  # itself, not the proxy that looks it up at every attribute

    def prepare(value: Any) -> Any:
        found = known.get(id(value))
        if found is None:
            found = known[id(value)] = (value, field.get_db_prep_save(value, database))
        return found[1]

    return prepare
