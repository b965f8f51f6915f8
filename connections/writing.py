"""Writes many rows of one table at once, each database its own cheapest way; Django's `bulk_create` and `bulk_update`
spend several times longer building a statement than the database needs to run it.

Dispatch writes its batches with it, as models (`…_rows`); lanes their blocks of calls, as plain values (`…_values`).
"""

import json
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from datetime import date, datetime
from functools import lru_cache, partial
from operator import attrgetter
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connection, connections, models

from connections.pipelining import Pipeline

PARAMETERS = 20_000  # per statement; SQLite takes 32,766, PostgreSQL 65,535
COPIED_FROM = 50  # rows; below that COPY's own round trips cost PostgreSQL more than it saves
INTEGERS = ("bigint", "integer", "smallint")
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

Model = type[models.Model]
Prepare = Callable[[Any], Any]
Values = Sequence[Any]


# ── Models ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def insert_rows(rows: Sequence[models.Model], *, unless_there: bool = False, within: Pipeline | None = None) -> None:
    """Insert new rows and give each its id. All fields must have values: defaults of the database are not asked.

    With `unless_there` a row that a constraint knows already is left out, and no ids are given. Within a pipeline they
    are given by its end.
    """
    if not rows:
        return
    model = type(rows[0])
    fields = [field for field in model._meta.concrete_fields if not field.primary_key]
    if connection.vendor == "postgresql" and within is None and not unless_there and len(rows) >= COPIED_FROM:
        _copy_rows(rows, fields)
        return
    given = _given_as_json if connection.vendor == "postgresql" else _given_as_values
    size = PARAMETERS // len(fields)
    for start in range(0, len(rows), size):
        block = rows[start : start + size]
        columns, source, params = given(model, fields, block)
        ending = "ON CONFLICT DO NOTHING" if unless_there else f"RETURNING {_quoted(model._meta.pk.column)}"
        cursor = connection.cursor()
        cursor.execute(f"INSERT INTO {_quoted(model._meta.db_table)} ({columns}) {source} {ending}", params)
        if unless_there:
            cursor.close()
        elif within is None or connection.vendor == "sqlite":  # unread, they would stand in the way of a rollback
            _give_told_ids(block, cursor)
        else:
            within.afterwards(partial(_give_told_ids, block, cursor))


def _given_as_values(model: Model, fields: Sequence[Any], rows: Sequence[models.Model]) -> tuple[str, str, Values]:
    place = f"({_places(fields)})"
    values = [value for told in _prepared(rows, fields) for value in told]
    return _columns(tuple(fields)), f"VALUES {', '.join([place] * len(rows))}", values


def _given_as_json(model: Model, fields: Sequence[Any], rows: Sequence[models.Model]) -> tuple[str, str, Values]:
    """One text, whatever the rows: the driver finds the places of a hundred values in as long as PostgreSQL inserts
    them. TypeError for a JSON column's value that JSON does not know."""
    columns, names = _columns(tuple(fields)), [field.column for field in fields]
    forms = [(place, form) for place, field in enumerate(fields) if (form := _IN_JSON.get(field.get_internal_type()))]
    told = []
    for values in _prepared(rows, fields):
        for place, form in forms:
            if values[place] is not None:
                values[place] = form(values[place])
        told.append(dict(zip(names, values, strict=True)))
    table = _quoted(model._meta.db_table)
    return columns, f"SELECT {columns} FROM json_populate_recordset(NULL::{table}, %s)", [_JSON.encode(told)]


def _copy_rows(rows: Sequence[models.Model], fields: Sequence[Any]) -> None:
    """The same by PostgreSQL's COPY, which tells no ids back: they are reserved before."""
    model = type(rows[0])
    ids = reserve_ids(model, len(rows))
    columns = [model._meta.pk.column, *(field.column for field in fields)]
    insert_values(model, columns, [(pk, *told) for pk, told in zip(ids, _prepared(rows, fields), strict=True)])
    _give_ids(rows, ids)


def _give_told_ids(rows: Sequence[models.Model], cursor: Any) -> None:
    with cursor:
        _give_ids(rows, [pk for (pk,) in cursor.fetchall()])


def _give_ids(rows: Sequence[models.Model], ids: Sequence[int]) -> None:
    for row, pk in zip(rows, ids, strict=True):
        row.pk, row._state.adding, row._state.db = pk, False, connection.alias


def update_rows(rows: Collection[models.Model], names: Sequence[str]) -> None:
    """Write these fields of rows that exist."""
    if not rows:
        return
    model = type(next(iter(rows)))
    fields = [model._meta.get_field(name) for name in names]
    values = [(row.pk, *told) for told, row in zip(_prepared(rows, fields), rows, strict=True)]
    with connection.cursor() as cursor:
        _update_each(cursor, model, [field.column for field in fields], values)


def delete_rows(model: Model, pks: Collection[int]) -> None:
    """Delete rows by their primary keys, without asking who else names them: callers know that nobody does."""
    if not pks:
        return
    key = _quoted(model._meta.pk.column)
    with connection.cursor() as cursor:
        cursor.execute(f"DELETE FROM {_quoted(model._meta.db_table)} WHERE {key} IN ({_places(list(pks))})", list(pks))


# ── Values ───────────────────────────────────────────────────────────────────────────────────────────────────────────
def insert_values(model: Model, columns: Sequence[str], rows: Sequence[Values]) -> None:
    """Insert rows given in the order of `columns`, primary key included; call it inside a transaction."""
    if not rows:
        return
    table, names = _quoted(model._meta.db_table), ", ".join(map(_quoted, columns))
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            with cursor.copy(f"COPY {table} ({names}) FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)
        else:
            cursor.executemany(f"INSERT INTO {table} ({names}) VALUES ({_places(columns)})", rows)


def update_values(
    model: Model, columns: Sequence[str], rows: Sequence[Values], *, guard: str, guards: Values = ()
) -> None:
    """Set `columns` on rows that each start with their primary key; only where `guard` holds (its values: `guards`)."""
    if not rows:
        return
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            _update_alike(cursor, model, columns, rows, guard, guards)
        else:
            _update_each(cursor, model, columns, rows, guard, guards)


def moment_value(value: datetime | None) -> Any:
    """A moment as it stands among such values."""
    return None if value is None else connection.ops.adapt_datetimefield_value(value)


def reserve_ids(model: Model, count: int) -> Sequence[int]:
    """Primary keys for new rows, known before the INSERT; call it inside the transaction that writes them.

    No more than are needed now: ids follow the order of writing, whichever process writes.
    """
    table = model._meta.db_table
    with connection.cursor() as cursor:
        if connection.vendor == "sqlite":  # the write lock is ours until the commit, so nobody else takes these
            cursor.execute("SELECT COALESCE((SELECT seq FROM sqlite_sequence WHERE name = %s), 0)", [table])
            first = cursor.fetchone()[0] + 1
            return range(first, first + count)
        # Named outright: else PostgreSQL would look the sequence up for every single number.
        cursor.execute(f"SELECT nextval('{_sequence(table)}'::regclass) FROM generate_series(1, %s)", [count])
        return [pk for (pk,) in cursor.fetchall()]


@lru_cache
def _sequence(table: str) -> str:
    """What PostgreSQL calls the sequence of a table's primary keys, quoted where it must be."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_get_serial_sequence(%s, 'id')", [table])
        (name,) = cursor.fetchone()
    if name is None:
        raise RuntimeError(f"The ids of {table} come from no sequence; restore the table with the ones it had.")
    return str(name).replace("'", "''").replace("%", "%%")


# ── Statements ───────────────────────────────────────────────────────────────────────────────────────────────────────
def _update_each(
    cursor: Any, model: Model, columns: Sequence[str], rows: Sequence[Values], guard: str = "true", guards: Values = ()
) -> None:
    """One prepared statement, run for all rows in one go."""
    table, pk = _quoted(model._meta.db_table), _quoted(model._meta.pk.column)
    sets = ", ".join(f"{_quoted(column)} = %s" for column in columns)
    cursor.executemany(
        f"UPDATE {table} SET {sets} WHERE {table}.{pk} = %s AND {guard}",
        [(*row[1:], row[0], *guards) for row in rows],
    )


def _update_alike(
    cursor: Any, model: Model, columns: Sequence[str], rows: Sequence[Values], guard: str, guards: Values
) -> None:
    """One statement for all rows that change alike but for whole numbers, which is nearly all of a lane's: PostgreSQL
    takes longer to plan a statement than to write the row."""
    numbers = [place for place, name in enumerate(columns, 1) if _type(model, name) in INTEGERS]
    others = [place for place in range(1, len(columns) + 1) if place not in numbers]
    alike: dict[Values, list[Values]] = defaultdict(list)
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


def _type(model: Model, column: str) -> str:
    """PostgreSQL's name for a column's type."""
    field = next(field for field in model._meta.concrete_fields if field.column == column)
    kind = field.rel_db_type(connection) if field.primary_key else field.db_type(connection)
    return str(kind).partition("(")[0]


def _quoted(name: str) -> str:
    return connection.ops.quote_name(name)


def _places(columns: Sequence[Any]) -> str:
    return ", ".join(["%s"] * len(columns))


@lru_cache
def _columns(fields: tuple[Any, ...]) -> str:
    return ", ".join(_quoted(field.column) for field in fields)


# ── What the driver takes ────────────────────────────────────────────────────────────────────────────────────────────
def _prepared(rows: Collection[models.Model], fields: Sequence[Any]) -> Iterator[list[Any]]:
    """What each row says in these fields; ValueError where it names a row that has not been written."""
    readers = [(field.attname, _preparation(field)) for field in fields]
    related = [field for field in fields if field.is_relation]
    for row in rows:
        told = row.__dict__
        for field in related:
            if told[field.attname] is None and field.is_cached(row):
                _name_related(row, field)
        yield [prepare(told[name]) if prepare else told[name] for name, prepare in readers]


def _name_related(row: models.Model, field: Any) -> None:
    """A row that was given a related one before that had its id names it now."""
    other = field.get_cached_value(row)
    if other is not None:
        if other.pk is None:
            raise ValueError(f"{field} names a row that has not been written.")
        setattr(row, field.attname, other.pk)


def _preparation(field: Any) -> Prepare | None:
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


# What PostgreSQL reads back from JSON as the value of a column, by kind of field; the driver wraps a JSON column's.
_IN_JSON: dict[str, Prepare] = {
    "BinaryField": lambda value: f"\\x{value.hex()}",
    "DateField": date.isoformat,
    "DateTimeField": datetime.isoformat,
    "DecimalField": str,
    "JSONField": attrgetter("obj"),
}
_JSON = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"))
