"""Writes a database of this release with a little of everything in it, as SQL: run once when a release is tagged.

    python -m tests.upgrade.make_dump 0.1.0

The file stays as it is from then on; `test_upgrade.py` migrates every one that is there.
"""

import sqlite3
import sys
import tempfile
from pathlib import Path

from tests.running import environment, manage

FOLDER = Path(__file__).resolve().parent
FILL = """
from tests.webhooks_log import shop
from connections.audit import record
from webhooks_log import erasure
merchant = shop.merchant("Vita")
klaviyo = shop.connection(merchant)
sarah = shop.customer(merchant)
row = shop.refused_phone(klaviyo, sarah)
shop.delivery(klaviyo, sarah, shop.message(), state="waiting", reason="retrying", next_attempt_at=shop.NOON)
shop.event(merchant, state="received")
record(None, "changed", klaviyo, {"name": ("a", "b")})
erasure.advance(erasure.request(merchant, "gone@klaviyo-demo.com", actor=None))
"""


def main() -> int:
    release = sys.argv[1]
    with tempfile.TemporaryDirectory() as folder:
        environ = environment(f"sqlite:///{folder}/old.sqlite3")
        manage(environ, "migrate", "-v", "0")
        manage(environ, "shell", "--no-imports", "-c", FILL)
        with sqlite3.connect(f"{folder}/old.sqlite3") as database:
            (FOLDER / f"{release}.sql").write_text("\n".join(database.iterdump()) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
