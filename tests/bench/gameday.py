"""A day of trouble in ten minutes: everything runs as it is deployed, and one thing after the other goes wrong.

    python -m tests.bench.gameday        (GAMEDAY_SECONDS=600, GAMEDAY_RATE=5 events a second)

PostgreSQL, Redis, two web processes, two workers (by the commands of `deploy/`) and the sandbox on loopback; events are
poured in all the time. At the end every accepted event must have said its three messages to the sandbox exactly once,
and owner, channel and staff must have been told once of each trouble that is theirs, and of nothing else. Prints one
page; exit status 1 where it does not add up.
"""

import json
import os
import signal
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import requests

from tests.bench import deployed, purge
from tests.bench.ears import Ears, listening
from tests.events.vrio_records import customer, line, sale
from tests.running import environment, manage
from tests.servers import Postgres, RedisServer
from tests.twin import Twin

SECONDS = float(os.environ.get("GAMEDAY_SECONDS", "600"))
RATE = float(os.environ.get("GAMEDAY_RATE", "5"))
SETTLE_SECONDS = 300.0  # an alert that is over is told two minutes after
OLD_MESSAGES = 40_000
BELLS = 2000
OWNER, STAFF, PEOPLE = "olga@shop.test", "root@viaduct.test", "@klaviyo-demo.com"
HEARD = ("Klaviyo refuses the key: Klaviyo", "Klaviyo accepts the key again: Klaviyo")
QUICK = {"LANE_LEASE_SECONDS": "10", "KLAVIYO_TOTAL_SECONDS": "5", "RETRY_LADDER_SECONDS": "1,2,5,10,10,10,10"}
NEXT_RELEASE = {"DJANGO_SETTINGS_MODULE": "tests.bench.next_settings"}
MIGRATE_TRIES = 5
SET_UP = f"""
import os
from django.contrib.auth import get_user_model
from connections import keys, secrets
from connections.klaviyo.sandbox.accounts import key_for
from connections.models import *
from webhooks_log.models import AlertHook
merchant = Merchant.objects.create(name="Game", slug="game")
source = Source.objects.create(merchant=merchant, name="Vrio")
account = KlaviyoAccount.objects.create(cid="DemoA1")
sealed = secrets.seal(key_for("DemoA1"))
Connection.objects.create(merchant=merchant, account=account, name="Klaviyo", sealed_key=sealed, state="connected")
people = get_user_model().objects
Membership.objects.create(merchant=merchant, role="owner", user=people.create_user("olga", "{OWNER}", "secret"))
people.create_superuser("root", "{STAFF}", "secret")
AlertHook.objects.create(merchant=merchant, name="ops", sealed_url=secrets.seal(os.environ["HOOK"]), host="127.0.0.1")
print(keys.new_bearer(source, name="game")[1])
"""
FILL = f"""
from django_q.tasks import async_task
from webhooks_log import dispatch, jobs
for number in range({BELLS}):
    async_task(jobs.ALIVE if number % 20 else dispatch.DRAIN)
"""
MEND = """
from connections import doctor
from connections.models import Connection
print(doctor.check(Connection.objects.get(merchant__slug="game")).state)
"""
TELL = """
import json
from collections import Counter
from django.db import connection
from django.db.migrations.recorder import MigrationRecorder
from events.models import Event
from webhooks_log.models import Alert, Delivery
mine, old = {"merchant__slug": "game"}, {"merchant__slug": "bench"}
print(json.dumps({"events": Counter(Event.objects.filter(**mine).values_list("state", flat=True)),
                  "messages": Counter(Delivery.objects.filter(**mine).values_list("state", flat=True)),
                  "alerts": Counter(Alert.objects.values_list("kind", flat=True)),
                  "migrated": MigrationRecorder(connection).migration_qs.filter(name__startswith="next_").count(),
                  "old rows left": Delivery.objects.filter(**old).count() + Event.objects.filter(**old).count()}))
"""
Said = Counter[tuple[str, str]]


class Pour:
    """Events at a steady rate, alternately to both web processes; each is repeated until it is accepted."""

    def __init__(self, ports: list[int], key: str) -> None:
        self.ports, self.key = ports, key
        self.accepted: list[str] = []
        self.refusals: Counter[str] = Counter()
        self.milliseconds: list[float] = []
        self.is_over = threading.Event()
        self.thread = threading.Thread(target=self.run)

    def run(self) -> None:
        number, began = 0, time.monotonic()
        while not self.is_over.wait(max(0.0, began + number / RATE - time.monotonic())):
            number += 1
            self.post(str(100_000 + number), number)

    def post(self, name: str, number: int) -> None:
        person = customer(name, email=f"p{name}{PEOPLE}")
        body = sale(name, customer=person, transaction_order_offers=[line(order_offer_id=f"9{name}")])
        headers = {"X-Api-Key": self.key, **deployed.PROXIED}
        for attempt in range(200):
            port, began = self.ports[(number + attempt) % len(self.ports)], time.monotonic()
            try:
                answer = requests.post(f"http://127.0.0.1:{port}/api/v1/events", body, headers=headers, timeout=10)
            except requests.RequestException as error:
                self.refusals[error.__class__.__name__] += 1
            else:
                self.milliseconds.append((time.monotonic() - began) * 1000)
                if answer.ok:
                    self.accepted.append(name)
                    return
                self.refusals[str(answer.status_code)] += 1
            time.sleep(0.2)

    def owed(self) -> Said:
        """What Klaviyo must have heard: three messages for each order, by the table of the README."""
        said: Said = Counter()
        for name in self.accepted:
            said["Placed Order", name] = said["Ordered Product", f"{name}_1"] = 1
            said["Started Subscription", f"{name}_1_sub"] = 1
        return said


@dataclass
class Day:
    """Everything that runs, and what was done to it."""

    environ: dict[str, str]
    twin: Twin
    redis: RedisServer
    ears: Ears
    folder: Path
    webs: list[ExitStack] = field(default_factory=lambda: [ExitStack(), ExitStack()])
    worker_two: ExitStack = field(default_factory=ExitStack)
    victim: int = 0
    ports: list[int] = field(default_factory=list)
    told: list[str] = field(default_factory=list)

    def start_web(self, number: int, port: int | None = None) -> int:
        """The port it listens on, by default any."""
        log = self.folder / f"web{number}"
        return self.webs[number].enter_context(deployed.web(self.environ, log=log, port=port))

    def start_worker_two(self) -> None:
        self.victim = self.worker_two.enter_context(deployed.worker(self.environ, "two", log=self.folder / "worker2"))

    # ── The troubles ─────────────────────────────────────────────────────────────────────────────────────────────────
    def kill_worker(self) -> None:
        """a worker is killed and started again"""
        os.kill(self.victim, signal.SIGKILL)
        self.worker_two.close()
        self.start_worker_two()

    def restart_web(self) -> None:
        """the web processes are restarted, one after the other"""
        for number, port in enumerate(self.ports):
            self.webs[number].close()
            self.start_web(number, port)

    def restart_redis(self) -> None:
        """Redis is stopped, and started after a while"""
        self.redis.stop()
        time.sleep(min(10.0, SECONDS / 20))
        self.redis.start()

    def fill_queue(self) -> None:
        """the queue is filled with thousands of bells"""
        manage(self.environ, "shell", "--no-imports", "-c", FILL)

    def break_klaviyo(self) -> None:
        """Klaviyo answers fifteen calls with 503"""
        self.twin.fault(status=503, count=15, path="/api/events")

    def revoke_and_mend_key(self) -> None:
        """the key is revoked, and mended after a while"""
        self.twin.fault(status=401, count=0)
        time.sleep(max(30.0, SECONDS / 20))
        self.twin.clear_faults()
        for _ in range(30):
            if manage(self.environ, "shell", "--no-imports", "-c", MEND).strip() == "connected":
                return
            time.sleep(1)

    def purge(self) -> None:
        """the purge lets two hundred thousand old rows go"""
        manage(self.environ | {"ROW_DAYS": "31"}, "prune")

    def migrate(self) -> None:
        """a next release's migrations give large tables a column and indexes, while they are written"""
        for _ in range(MIGRATE_TRIES):
            with suppress(RuntimeError):  # it could not get its lock in time; whoever sees that runs it again
                deployed.migrate(self.environ | NEXT_RELEASE)
                return

    def troubles(self) -> list[Callable[[], None]]:
        return [
            self.kill_worker, self.restart_redis, self.fill_queue, self.break_klaviyo, self.revoke_and_mend_key,
            self.migrate, self.restart_web, self.purge,
        ]  # fmt: skip

    def live(self) -> None:
        """One trouble after the other, evenly spread."""
        began, steps = time.monotonic(), self.troubles()
        for number, step in enumerate(steps, 1):
            time.sleep(max(0.0, began + SECONDS * number / (len(steps) + 1) - time.monotonic()))
            at = time.monotonic() - began
            step()
            self.told.append(f"{at:6.0f} s  {step.__doc__} ({time.monotonic() - began - at:.0f} s)")
            print(self.told[-1], flush=True)
        time.sleep(max(0.0, began + SECONDS - time.monotonic()))


def main() -> int:
    with a_day() as (day, key):
        pour = Pour(day.ports, key)
        pour.thread.start()
        try:
            day.live()
        finally:
            pour.is_over.set()
            pour.thread.join()
        return report(day, pour)


@contextmanager
def a_day() -> Any:
    with ExitStack() as running:
        folder = Path(running.enter_context(tempfile.TemporaryDirectory(prefix="viaduct-gameday-")))
        database, redis = running.enter_context(Postgres()), running.enter_context(RedisServer())
        ears, twin = running.enter_context(listening()), Twin()
        running.callback(twin.stop)
        environ = environment(
            database.url, **deployed.documented(), REDIS_URL=redis.url, KLAVIYO_BASE_URL=twin.url, LOG_LEVEL="INFO",
            EMAIL_URL=ears.mail_url, HOOK=ears.hook_url, **QUICK,
        )  # fmt: skip
        deployed.migrate(environ)
        purge.open_shop(database.url, OLD_MESSAGES)
        purge.fill(database.url, OLD_MESSAGES)
        key = manage(environ, "shell", "--no-imports", "-c", SET_UP).strip()
        day = Day(environ, twin, redis, ears, folder)
        running.callback(day.worker_two.close)
        for number, web in enumerate(day.webs):
            running.callback(web.close)
            day.ports.append(day.start_web(number))
        running.enter_context(deployed.worker(environ, "one", log=folder / "worker1"))
        day.start_worker_two()
        yield day, key


# ── What became of it ────────────────────────────────────────────────────────────────────────────────────────────────
def report(day: Day, pour: Pour) -> int:
    """Wait until nothing is owed and everybody has been told, compare, and say it on one page."""
    owed, arrived = pour.owed(), settled(day, pour.owed())
    rows = json.loads(manage(day.environ, "shell", "--no-imports", "-c", TELL).splitlines()[-1])
    lines, calls, named = logs(day.folder)
    slow = sorted(pour.milliseconds)
    wrong = [
        *(f"missing at Klaviyo: {count}" for count in [(owed - arrived).total()] if count),
        *(f"twice, or not owed: {count}" for count in [(arrived - owed).total()] if count),
        *(f"events that are {state}: {count}" for state, count in rows["events"].items() if state != "dispatched"),
        *(f"messages that are {state}: {count}" for state, count in rows["messages"].items() if state not in SETTLED),
        *(f"mails: {dict(day.ears.mails)}" for _ in [0] if day.ears.mails != expected_mails()),
        *(f"in the channel: {dict(day.ears.said)}" for _ in [0] if day.ears.said != Counter(HEARD)),
        *(f"old rows left: {rows['old rows left']}" for _ in [0] if rows["old rows left"]),
        *(f"migrations run: {rows['migrated']} of 2" for _ in [0] if rows["migrated"] != 2),
        *(f"log lines that name a person: {named}" for _ in [0] if named),
    ]
    page = [
        f"\nGame day of {SECONDS:.0f} s at {RATE:g} events/s, commands of deploy/compose.yaml\n", *day.told,
        f"\nAccepted {len(pour.accepted)} events, which owe {owed.total()} messages; "
        f"arrived exactly once: {(owed & arrived).total() - (arrived - owed).total()}.",
        f"Answers to Vrio: median {slow[len(slow) // 2]:.0f} ms, p99 {slow[int(len(slow) * 0.99)]:.0f} ms. "
        f"Other than yes, each repeated: {dict(pour.refusals)}.",
        f"In the database: {rows}.",
        f"Told by mail: {spelled(day.ears.mails)}; in the channel: {spelled(day.ears.said)}.",
        f"Log: {lines} JSON lines, {calls} of them a call; {named} name a person.",
        "", *wrong, "NOT everything adds up." if wrong else "Everything is accounted for.",
    ]  # fmt: skip
    print("\n".join(page))
    return 1 if wrong else 0


SETTLED = ("delivered", "skipped")


def settled(day: Day, owed: Said) -> Said:
    """What Klaviyo recorded, once it is what was owed and the alerts are told, or patience ends."""
    until = time.monotonic() + SETTLE_SECONDS
    while True:
        rows = day.twin.events(limit=1_000_000)
        arrived = Counter((row["metric"], row["unique_id"]) for row in rows)
        is_told = day.ears.mails == expected_mails() and day.ears.said == Counter(HEARD)
        if (arrived == owed and is_told) or time.monotonic() > until:
            time.sleep(5)  # nothing more may come
            return Counter((row["metric"], row["unique_id"]) for row in day.twin.events(limit=1_000_000))
        time.sleep(2)


def expected_mails() -> Counter[tuple[str, str]]:
    return Counter((OWNER, title) for title in HEARD)


def logs(folder: Path) -> tuple[int, int, int]:
    """How many lines of JSON, how many of them a call to Klaviyo, how many name a person."""
    lines = [line for path in folder.iterdir() for line in path.read_text(errors="replace").splitlines()]
    documents = [json.loads(line) for line in lines if line.startswith("{")]
    calls = sum(document["logger"] == "viaduct.attempt" for document in documents)
    return len(documents), calls, sum(PEOPLE in line for line in lines)


def spelled(counts: Counter[Any]) -> str:
    words = ((" ".join(what) if isinstance(what, tuple) else what, count) for what, count in counts.items())
    return ", ".join(f"{what} ({count})" for what, count in words) or "nothing"


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    sys.exit(main())
