"""Mixed load on a running door, and the count afterwards: is every yes in the table, exactly once?

`python -m tests.bench.mixed_load [--seconds 60]` is the long form; a test runs the short one.
"""

import argparse
import http.client
import itertools
import json
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.events.plain_event import an_event
from tests.running import environment, manage, module, process, web
from tests.servers import Postgres

CONNECTIONS = 4


@dataclass
class Told:
    """What the callers were told: statuses, and per event id how often a yes was heard."""

    statuses: Counter = field(default_factory=Counter)
    accepted: Counter = field(default_factory=Counter)
    lost_answers: int = 0
    lock: Any = field(default_factory=threading.Lock)

    def hear(self, status: int, ids: list[str], body: bytes) -> None:
        with self.lock:
            self.statuses[status] += 1
            if status < 300:
                results = json.loads(body)["results"]
                self.accepted.update(id_ for id_, one in zip(ids, results, strict=True) if one["status"] != "refused")


def load(port: int, clear: str, *, seconds: float, midway: Callable[[], None] | None = None) -> Told:
    """Singles, lists with a bad item, and repeats, over four connections; `midway` happens in the middle."""
    told, numbers, until = Told(), itertools.count(1), time.monotonic() + seconds
    callers = [threading.Thread(target=_call, args=(port, clear, told, numbers, until, n)) for n in range(CONNECTIONS)]
    for caller in callers:
        caller.start()
    if midway:
        time.sleep(seconds / 3)
        midway()
    for caller in callers:
        caller.join()
    return told


def _call(port: int, clear: str, told: Told, numbers: itertools.count, until: float, seed: int) -> None:
    draw, line = random.Random(seed), http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    while time.monotonic() < until:
        ids = [str(next(numbers)) for _ in range(draw.choice([1, 1, 1, 1, 20]))]
        events = [an_event(id_) for id_ in ids]
        if len(ids) > 1:
            ids[3], events[3] = "refused", {"webhook_type": "order"}
        body = json.dumps(events if len(ids) > 1 else events[0]).encode()
        for _ in range(draw.choice([1, 1, 1, 2])):
            try:
                line.request("POST", "/api/v1/events", body, {"Authorization": f"Bearer {clear}"})
                answer = line.getresponse()
                told.hear(answer.status, ids, answer.read())
            except (OSError, http.client.HTTPException):
                told.lost_answers += 1
                line.close()


def complaints(told: Told, stored: dict[str, int], allowed: set[int]) -> list[str]:
    """What is wrong; nothing, if every yes is in the table once and nothing else was answered than allowed."""
    missing = [id_ for id_ in told.accepted if id_ not in stored]
    uncounted = [id_ for id_, times in told.accepted.items() if stored.get(id_, 0) < times]
    odd = {status: count for status, count in told.statuses.items() if status not in allowed}
    wrong = [f"{len(missing)} events with a yes are not stored"] if missing else []
    wrong += [f"{len(uncounted)} repeats with a yes are not counted"] if uncounted else []
    return wrong + ([f"answers that must not be: {odd}"] if odd else [])


def stored(environ: dict[str, str]) -> dict[str, int]:
    """Event id → arrivals, as the database has them."""
    return json.loads(module(environ, "tests.bench.stored"))


def run(database_url: str, *, seconds: float, midway: Callable[[], None] | None = None, log: Path) -> list[str]:
    """Migrate, start web and worker, load, count; the complaints."""
    environ = environment(database_url, LOG_LEVEL="WARNING")
    manage(environ, "migrate", "-v", "0")
    keys = json.loads(module(environ, "tests.bench.ingest_keys"))
    with ExitStack() as running:
        port, _ = running.enter_context(web(environ, log=log))
        running.enter_context(process(environ, "manage.py", "worker", log=log))
        told = load(port, keys["bearer"], seconds=seconds, midway=midway)
        wrong = complaints(told, stored(environ), {200, 202, 207} | ({503} if midway else set()))
    if "database is locked" in log.read_text():
        wrong.append("database is locked")
    print(f"{sum(told.statuses.values())} answers {dict(told.statuses)}, {len(told.accepted)} events")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60)
    seconds = parser.parse_args().seconds
    with tempfile.TemporaryDirectory() as folder, Postgres() as server:

        def power_cut() -> None:
            server.stop()
            time.sleep(seconds / 10)
            server.start()

        log = Path(folder) / "log"
        wrong = run(f"sqlite:///{folder}/soak.sqlite3", seconds=seconds, log=log)
        wrong += run(server.url, seconds=seconds, midway=power_cut, log=log)
    print("; ".join(wrong) or "every yes is in the table, once")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
