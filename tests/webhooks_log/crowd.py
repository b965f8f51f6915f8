"""Several at once, each with a connection of its own to the database. For tests with real transactions."""

import threading
from typing import Any

from django.db import connection as database


def at_once(work: Any) -> None:
    """Four threads, begun in the same moment."""
    gate = threading.Barrier(4)

    def one() -> None:
        gate.wait()
        try:
            work()
        finally:
            database.close()

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
