"""Statements that are written once and asked again and again, with other values each time.

Below the whole corridor, for what runs many times a second: Django takes longer to write a statement than a database
to answer it. A standing statement is an ordinary queryset; where it differs from time to time stands a `Given`, or
`Among` for a list of any length.
"""

import json
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from django.db import connection, models
from django.db.models.expressions import Expression
from django.db.transaction import TransactionManagementError

from connections.making import stored


class Given(Expression):
    """A value that is told when the statement is asked, as a field of this kind would hold it: else a whole number."""

    def __init__(self, name: str, kind: "models.Field[Any, Any] | None" = None) -> None:
        super().__init__(output_field=kind or models.BigIntegerField())
        self.name = name

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        return "%s", [self]

    def prepared(self, value: Any) -> Any:
        return self.output_field.get_db_prep_value(value, connection)


class Among(Expression):
    """Whether a column holds one of the whole numbers or texts that are told when the statement is asked."""

    def __init__(self, column: str, name: str) -> None:
        super().__init__(output_field=models.BooleanField())
        self.column: Any = models.F(column)
        self.name = name

    def get_source_expressions(self) -> list[Any]:
        return [self.column]

    def set_source_expressions(self, exprs: Sequence[Any]) -> None:
        (self.column,) = exprs

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, list[Any]]:
        column, params = compiler.compile(self.column)
        among = "= ANY(%s)" if connection.vendor == "postgresql" else "IN (SELECT value FROM json_each(%s))"
        return f"{column} {among}", [*params, self]

    def prepared(self, value: Collection[Any]) -> Any:
        return list(value) if connection.vendor == "postgresql" else json.dumps(list(value))


@dataclass(frozen=True, slots=True)
class Written:
    """A statement as text, the places of its values, and how its answer is read."""

    sql: str
    params: Sequence[Any]
    names: list[str]
    converters: dict[int, Any]
    apply: Callable[[Any, Any], Any]
    locks: bool


class Answer:
    """What a statement brought. Read it once; one that was asked in a pipeline, after that has ended."""

    def __init__(self, standing: "Standing", cursor: Any) -> None:
        self._standing, self._cursor = standing, cursor

    def rows(self) -> list[tuple[Any, ...]]:
        """What the columns hold, a tuple a row."""
        with self._cursor as cursor:
            found: list[tuple[Any, ...]] = cursor.fetchall()
        written = self._standing.written
        return list(map(tuple, written.apply(found, written.converters))) if written.converters else found

    def models(self) -> list[Any]:
        """The rows as models."""
        return stored(self._standing.model, self._standing.written.names, self.rows(), connection.alias)


class Standing:
    """A statement, written when it is first asked. `build` returns its queryset, for `rows` with `values_list`."""

    def __init__(self, build: Callable[[], models.QuerySet[Any, Any]]) -> None:
        self._build = build

    def ask(self, **given: Any) -> Answer:
        """Send the statement; KeyError where a value is missing."""
        written = self.written
        if written.locks and not connection.in_atomic_block:
            raise TransactionManagementError("This statement locks rows; ask it inside a transaction.")
        params = [one.prepared(given[one.name]) if isinstance(one, Given | Among) else one for one in written.params]
        cursor = connection.cursor()
        cursor.execute(written.sql, params)
        return Answer(self, cursor)

    def rows(self, **given: Any) -> list[tuple[Any, ...]]:
        """Ask and read: what the columns hold."""
        return self.ask(**given).rows()

    def models(self, **given: Any) -> list[Any]:
        """Ask and read: the rows as models."""
        return self.ask(**given).models()

    @cached_property
    def model(self) -> Any:
        return self._build().model

    @cached_property
    def written(self) -> Written:
        query = self._build().query
        compiler = query.get_compiler(connection=connection)
        sql, params = _with_constants(*compiler.as_sql())
        columns = [column for column, _, _ in compiler.select]
        names = [getattr(getattr(column, "target", None), "attname", "") for column in columns]
        return Written(
            sql,
            params,
            names,
            compiler.get_converters(columns),
            compiler.apply_converters,
            bool(query.select_for_update),
        )


def _with_constants(sql: str, params: Sequence[Any]) -> tuple[str, list[Any]]:
    """The statement with what never changes written into it: only so SQLite sees that a partial index covers it."""
    first, *rest = sql.split("%s")
    assert len(rest) == len(params), "a text in the statement looks like a place for a value"
    written, left = first, list[Any]()
    for value, text in zip(params, rest, strict=True):
        literal = _literal(value)
        left += [value] if literal is None else []
        written += ("%s" if literal is None else literal) + text
    return written, left


def _literal(value: Any) -> str | None:
    """As SQL writes it; None for what is left to the driver."""
    if isinstance(value, str):
        return "'" + str(value).replace("'", "''").replace("%", "%%") + "'"
    return str(int(value)) if isinstance(value, int) and not isinstance(value, bool) else None
