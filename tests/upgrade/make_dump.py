"""Writes databases of this release, with a little of everything in them, as SQL: `make upgrade-dump RELEASE=0.1.0`.

Run when a release is tagged; the files stay as they are from then on, and `test_upgrade.py` works with each.
More words migrate it back first: `python -m tests.upgrade.make_dump before-0.1.0 webhooks_log=0006 connections=0004`.
"""

import re
import sqlite3
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.running import environment, manage
from tests.servers import Postgres, program
from tests.twin import Twin

FOLDER = Path(__file__).resolve().parent
KEY = "vk_of_the_upgrade_test"  # with the test environment's FINGERPRINT_KEY
FILL = f"""
import requests
from django.conf import settings
from connections import keys, secrets
from connections.audit import record
from connections.klaviyo.sandbox.accounts import key_for
from connections.models import Connection, KlaviyoAccount, Merchant, Source
from tests.events.door import send
from tests.events.vrio_records import customer, sale
from tests.webhooks_log import shop
from webhooks_log import alerts, dispatch, erasure, tally
from webhooks_log.pump import Pump

def tell(number, **more):
    assert send("{KEY}", sale(number, **more)).status == 202

def deliver(status=None):
    if status:
        fault = {{"status": status, "count": 3, "path": "/api/events"}}
        requests.post(settings.KLAVIYO_BASE_URL + "/_sandbox/faults", json=fault).raise_for_status()
    dispatch.run()
    Pump(quiet_seconds=0.2).run()

merchant = Merchant.objects.create(name="Vita", slug="vita")
keys.new_bearer(Source.objects.create(merchant=merchant, name="Vrio"), name="Vrio", clear="{KEY}")
klaviyo = Connection.objects.create(merchant=merchant, account=KlaviyoAccount.objects.create(cid="DemoA1"),
    name="Klaviyo", sealed_key=secrets.seal(key_for("DemoA1")), key_hint="full", state="connected")
shop.person(merchant, role="owner")
tell("1001")
deliver()
tell("1002", customer=customer("2", email="failed@klaviyo-demo.com"))
deliver(400)
tell("1003", customer=customer("3", email="waits@klaviyo-demo.com"))
deliver(503)
tell("1004", customer=customer("4", email=""))
tell("1005", customer=customer("5", email="queued@klaviyo-demo.com"))
dispatch.run()
tell("1006", customer=customer("6", email="new@klaviyo-demo.com"))
record(None, "changed", klaviyo, {{"name": ("a", "b")}})
erasure.advance(erasure.request(merchant, "gone@klaviyo-demo.com", actor=None))
alerts.look()
tally.fold()
"""


def main() -> int:
    release, *back = sys.argv[1:]
    twin = Twin()
    with tempfile.TemporaryDirectory() as folder, Postgres() as server:
        path = f"{folder}/old.sqlite3"
        for url in (f"sqlite:///{path}", server.url):
            fill(environment(url, KLAVIYO_BASE_URL=twin.url), back)
            twin.reset()
        with sqlite3.connect(path) as database:
            write(f"{release}.sqlite.sql", "\n".join(database.iterdump()))
        command = [program("pg_dump"), "--inserts", "--no-owner", "--no-privileges", server.url]
        dumped = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        write(f"{release}.postgresql.sql", re.sub(r"^\\.*\n|^--.*\n", "", dumped, flags=re.MULTILINE))
    twin.stop()
    return 0


def fill(environ: dict[str, str], back: list[str]) -> None:
    manage(environ, "migrate", "-v", "0")
    manage(environ, "shell", "--no-imports", "-c", FILL)
    for step in back:
        manage(environ, "migrate", "-v", "0", *step.split("="))


def write(name: str, dumped: str) -> None:
    (FOLDER / name).write_text(re.sub(r"\n\n+", "\n", dumped).strip() + "\n", encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
