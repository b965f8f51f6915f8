"""Several statements sent to the database in one go, where none needs another's answer.

Below the whole corridor, for what runs many times a second: on a busy machine waiting for an answer costs more than the
answer. PostgreSQL takes them in libpq's pipeline mode, one round trip for all; SQLite has no way to go.
"""

from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Self

from django.db import connection


class Pipeline:
    """Every statement run inside it is sent as it comes and answered by its end; errors are raised by then.

    Nothing that runs inside may be read before the end. PostgreSQL's COPY and savepoints cannot go this way.
    """

    def __init__(self) -> None:
        self._entered = ExitStack()
        self._afterwards: list[Callable[[], None]] = []

    def __enter__(self) -> Self:
        if connection.vendor == "postgresql":
            connection.cursor().close()  # connects, and looks whether an old connection still lives, where that is due
            with ExitStack() as entered:
                entered.enter_context(connection.wrap_database_errors)
                entered.enter_context(connection.connection.pipeline())
                self._entered = entered.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered.__exit__(kind, error, trace)
        if error is None:
            for do in self._afterwards:
                do()

    def afterwards(self, do: Callable[[], None]) -> None:
        """Something to do with the answers when all of them have come."""
        self._afterwards.append(do)
