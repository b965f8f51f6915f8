"""Many rows in one statement, each database its own cheapest way: COPY and arrays on PostgreSQL, executemany on SQLite.

Used where a lane writes down a block of calls. A statement a row would cost PostgreSQL a parse and a plan each, which
is more than the row itself.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from django.db import connection, models

Row = Sequence[Any]
INTEGERS = ("bigint", "integer", "smallint")


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


def update(
    model: type[models.Model], columns: Sequence[str], rows: Sequence[Row], *, guard: str, guards: Row = ()
) -> None:
    """Set `columns` on rows that each start with their primary key; only where `guard` holds (its values: `guards`)."""
    if not rows:
        return
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            _update_alike(cursor, model, columns, rows, guard, guards)
        else:
            sets = ", ".join(f"{column} = %s" for column in columns)
            cursor.executemany(
                f"UPDATE {table} SET {sets} WHERE {table}.id = %s AND {guard}",
                [(*row[1:], row[0], *guards) for row in rows],
            )


def moment(value: datetime | None) -> Any:
    """A moment as a statement of our own takes it."""
    return None if value is None else connection.ops.adapt_datetimefield_value(value)


def _update_alike(
    cursor: Any, model: type[models.Model], columns: Sequence[str], rows: Sequence[Row], guard: str, guards: Row
) -> None:
    """One statement for all rows that change alike but for whole numbers, which is nearly always all of them."""
    numbers = [place for place, name in enumerate(columns, 1) if _type(model, name) in INTEGERS]
    others = [place for place in range(1, len(columns) + 1) if place not in numbers]
    alike: dict[Row, list[Row]] = defaultdict(list)
    for row in rows:
        alike[tuple(row[place] for place in others)].append(row)
    names = ["id", *(columns[place - 1] for place in numbers)]
    table = model._meta.db_table
    sets = [f"{columns[place - 1]} = %s" for place in others] + [f"{name} = given.{name}" for name in names[1:]]
    arrays = ", ".join(f"%s::{_type(model, name)}[]" for name in names)
    statement = (
        f"UPDATE {table} SET {', '.join(sets)} FROM unnest({arrays}) AS given ({', '.join(names)}) "
        f"WHERE {table}.id = given.id AND {guard}"
    )
    for same, group in alike.items():
        given = [_array(row[place] for row in group) for place in (0, *numbers)]
        cursor.execute(statement, [*same, *given, *guards])


def _array(numbers: Iterable[int | None]) -> str:
    """PostgreSQL's text form of an array of whole numbers; a Python list would be adapted number by number."""
    return "{" + ",".join("NULL" if number is None else str(number) for number in numbers) + "}"


def _type(model: type[models.Model], column: str) -> str:
    """PostgreSQL's name for a column's type."""
    field = next(field for field in model._meta.concrete_fields if field.column == column)
    kind = field.rel_db_type(connection) if field.primary_key else field.db_type(connection)
    return str(kind).partition("(")[0]
