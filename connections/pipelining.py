"""Several statements sent to the database in one go, where none needs another's answer.

Below the whole corridor, for what runs many times a second: on a busy machine waiting for an answer costs more than the
answer. PostgreSQL takes them in libpq's pipeline mode, one round trip for all; SQLite has no way to go.
"""

from collections.abc import Callable
from contextlib import ExitStack
from types import TracebackType
from typing import Any, Self

from django.db import connection

from connections.standing import Answer, Standing


class Pipeline:
    """Statements run inside it are sent as they come and answered by its end; an error of any is raised there.

    Of what runs inside only `ask` may be read, and only after the end. PostgreSQL's COPY cannot go this way.
    """

    def __init__(self) -> None:
        self._entered = ExitStack()
        self._afterwards: list[Callable[[], None]] = []

    def __enter__(self) -> Self:
        if connection.vendor == "postgresql":
            connection.ensure_connection()
            self._entered.enter_context(connection.wrap_database_errors)
            self._entered.enter_context(connection.connection.pipeline())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._entered.__exit__(kind, error, trace)
        if error is None:
            for do in self._afterwards:
                do()

    def ask(self, standing: Standing, **given: Any) -> Answer:
        """Ask now, read after the end."""
        return standing.ask(**given)

    def afterwards(self, do: Callable[[], None]) -> None:
        """Something to do with the answers when all of them have come."""
        self._afterwards.append(do)
