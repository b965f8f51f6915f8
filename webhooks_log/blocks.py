"""Many rows in one statement, each database its own cheapest way: COPY and arrays on PostgreSQL, executemany on SQLite.

Used where a lane writes down a block of calls. A statement a row would cost PostgreSQL a parse and a plan each, which
is more than the row itself.
"""

from collections.abc import Sequence
from typing import Any

from django.db import connection, models

Row = Sequence[Any]


def insert(model: type[models.Model], columns: Sequence[str], rows: Sequence[Row]) -> None:
    """Insert rows given in the order of `columns`, primary key included; call it inside a transaction."""
    if not rows:
        return
    table, names = model._meta.db_table, ", ".join(columns)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            places = ", ".join(["%s"] * len(columns))
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({places})", rows)


def update(model: type[models.Model], columns: Sequence[str], rows: Sequence[Row], *, guard: str, guards: Row) -> None:
    """Set `columns` on rows that each start with their primary key; only where `guard` holds (its values: `guards`)."""
    if not rows:
        return
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            sets = ", ".join(f"{column} = given.{column}" for column in columns)
            names = ("id", *columns)
            arrays = ", ".join(f"%s::{_type(model, name)}[]" for name in names)
            cursor.execute(
                f"UPDATE {table} SET {sets} FROM unnest({arrays}) AS given ({', '.join(names)}) "
                f"WHERE {table}.id = given.id AND {guard}",
                [*map(list, zip(*rows, strict=True)), *guards],
            )
        else:
            sets = ", ".join(f"{column} = %s" for column in columns)
            cursor.executemany(
                f"UPDATE {table} SET {sets} WHERE {table}.id = %s AND {guard}",
                [(*row[1:], row[0], *guards) for row in rows],
            )


def _type(model: type[models.Model], column: str) -> str:
    """PostgreSQL's name for a column's type."""
    field = next(field for field in model._meta.concrete_fields if field.column == column)
    kind = field.rel_db_type(connection) if field.primary_key else field.db_type(connection)
    return str(kind).partition("(")[0]
