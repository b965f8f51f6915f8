"""A day of trouble in ten minutes: everything runs as it is deployed, and one thing after the other goes wrong.

    python -m tests.bench.gameday        (GAMEDAY_SECONDS=600, GAMEDAY_RATE=5 events a second)

PostgreSQL, Redis, two web processes, two workers and the sandbox on loopback; events are poured in all the time. At
the end every accepted event must have arrived at the sandbox exactly once. Prints one page; exit status 1 otherwise.
"""

import json
import os
import signal
import sys
import threading
import time
from collections import Counter
from contextlib import ExitStack
from typing import Any

import requests

from tests.events.vrio_records import customer, sale
from tests.running import environment, manage, process, web
from tests.servers import Postgres, RedisServer
from tests.twin import Twin

SECONDS = float(os.environ.get("GAMEDAY_SECONDS", "600"))
RATE = float(os.environ.get("GAMEDAY_RATE", "5"))
SETTLE_SECONDS = 180.0
SET_UP = """
from connections import keys, secrets
from connections.klaviyo.sandbox.accounts import key_for
from connections.models import *
merchant = Merchant.objects.create(name="Game", slug="game")
source = Source.objects.create(merchant=merchant, name="Vrio")
account = KlaviyoAccount.objects.create(cid="DemoA1")
sealed = secrets.seal(key_for("DemoA1"))
Connection.objects.create(merchant=merchant, account=account, name="Klaviyo", sealed_key=sealed, state="connected")
print(keys.new_bearer(source, name="game")[1])
"""
MEND = """
from connections import doctor
from connections.models import Connection
print(doctor.check(Connection.objects.get()).state)
"""
TELL = """
import json
from collections import Counter
from events.models import Event
from webhooks_log.models import Alert, Delivery, Notice
print(json.dumps({"events": Counter(Event.objects.values_list("state", flat=True)),
                  "messages": Counter(Delivery.objects.values_list("state", flat=True)),
                  "alerts": Counter(Alert.objects.values_list("kind", flat=True))}))
"""


class Pour:
    """Events at a steady rate, alternately to both web processes; each is repeated until it is accepted."""

    def __init__(self, ports: list[int], key: str) -> None:
        self.ports, self.key = ports, key
        self.accepted: list[str] = []
        self.refusals: Counter[str] = Counter()
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        number = 0
        while not self.is_over.wait(1 / RATE):
            number += 1
            self.post(str(100_000 + number), number)

    def post(self, name: str, number: int) -> None:
        body = sale(name, customer=customer(name, email=f"p{name}@klaviyo-demo.com"))
        for attempt in range(200):
            port = self.ports[(number + attempt) % len(self.ports)]
            try:
                answer = requests.post(
                    f"http://127.0.0.1:{port}/api/v1/events", body, headers={"X-Api-Key": self.key}, timeout=10
                )
            except requests.RequestException as error:
                self.refusals[error.__class__.__name__] += 1
            else:
                if answer.ok:
                    self.accepted.append(name)
                    return
                self.refusals[str(answer.status_code)] += 1
            time.sleep(0.2)


def main() -> int:
    with ExitStack() as running:
        database, redis = running.enter_context(Postgres()), running.enter_context(RedisServer())
        twin = Twin()
        running.callback(twin.stop)
        quick = {"LANE_LEASE_SECONDS": "10", "KLAVIYO_TOTAL_SECONDS": "5", "RETRY_LADDER_SECONDS": "1,2,5,10,10,10,10"}
        environ = environment(database.url, REDIS_URL=redis.url, KLAVIYO_BASE_URL=twin.url, **quick)
        manage(environ, "migrate", "-v", "0")
        key = manage(environ, "shell", "--no-imports", "-c", SET_UP).strip()
        first, second = ExitStack(), ExitStack()
        running.callback(second.close)
        running.callback(first.close)
        ports = [running.enter_context(web(environ))[0], first.enter_context(web(environ))[0]]
        running.enter_context(process(environ | {"WORKER_NAME": "one"}, "manage.py", "worker"))
        victim = second.enter_context(process(environ | {"WORKER_NAME": "two"}, "manage.py", "worker"))
        pour = Pour(ports, key)
        pour.thread.start()
        told = trouble(environ, twin, redis, pour, first, second, victim)
        pour.is_over.set()
        pour.thread.join()
        return report(environ, twin, pour, told)


def trouble(
    environ: dict[str, str], twin: Twin, redis: RedisServer, pour: Pour, web_two: ExitStack, two: ExitStack, victim: int
) -> list[str]:
    """One thing after the other, evenly spread; what was done, in words."""
    began, told = time.monotonic(), []

    def kill_worker() -> None:
        os.kill(victim, signal.SIGKILL)
        two.close()
        two.enter_context(process(environ | {"WORKER_NAME": "two"}, "manage.py", "worker"))

    def restart_web() -> None:
        web_two.close()
        pour.ports[1] = web_two.enter_context(web(environ))[0]

    def restart_redis() -> None:
        redis.stop()
        time.sleep(min(5.0, SECONDS / 20))
        redis.start()

    def revoke_and_mend_key() -> None:
        twin.fault(status=401, count=3, path="/api/events")
        time.sleep(min(10.0, SECONDS / 20))
        for _ in range(30):
            if manage(environ, "shell", "--no-imports", "-c", MEND).strip() == "connected":
                return
            time.sleep(1)

    steps: list[tuple[str, Any]] = [
        ("a worker is killed and started again", kill_worker),
        ("a web process is restarted", restart_web),
        ("Redis is stopped and started", restart_redis),
        ("Klaviyo answers with faults", lambda: twin.fault(status=503, count=15, path="/api/events")),
        ("the key is revoked and mended", revoke_and_mend_key),
        ("the purge runs", lambda: manage(environ, "prune")),
        ("a migration runs", lambda: manage(environ, "migrate", "-v", "0")),
    ]
    for number, (words, step) in enumerate(steps, 1):
        time.sleep(max(0.0, began + SECONDS * number / (len(steps) + 1) - time.monotonic()))
        at = time.monotonic() - began
        step()
        told.append(f"{at:6.0f} s  {words}")
        print(told[-1], flush=True)
    time.sleep(max(0.0, began + SECONDS - time.monotonic()))
    return told


def report(environ: dict[str, str], twin: Twin, pour: Pour, told: list[str]) -> int:
    """Wait until nothing is owed, compare, and say it on one page."""
    expected = set(pour.accepted)
    until = time.monotonic() + SETTLE_SECONDS
    arrived: Counter[str] = Counter()
    while time.monotonic() < until and set(arrived) != expected:
        time.sleep(2)
        arrived = Counter(row["unique_id"] for row in twin.events(metric="Placed Order", limit=1_000_000))
    rows = json.loads(manage(environ, "shell", "--no-imports", "-c", TELL).splitlines()[-1])
    missing, doubled = expected - set(arrived), [name for name, count in arrived.items() if count > 1]
    strange = set(arrived) - expected
    is_good = not missing and not doubled and not strange and set(rows["events"]) == {"dispatched"}
    print(f"\nGame day of {SECONDS:.0f} s at {RATE:g} events/s\n")
    print("\n".join(told))
    print(f"\naccepted {len(expected)}, arrived once {len(expected & set(arrived)) - len(doubled)}")
    print(f"missing {len(missing)}, twice {len(doubled)}, not accepted but there {len(strange)}")
    print(f"answers other than yes, each repeated: {dict(pour.refusals)}")
    for name, counts in rows.items():
        print(f"{name}: {counts}")
    print("\nEverything is accounted for." if is_good else "\nNOT everything is accounted for.")
    return 0 if is_good else 1


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
