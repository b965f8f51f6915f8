"""A Klaviyo sandbox for tests: a process of its own on a free port, and the fixtures that hand it out.

Register with `pytest_plugins = ["tests.twin"]` in the top conftest, or import `twin` and `twin_server` from here.
"""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from connections.klaviyo.sandbox.accounts import FULL_KEY, key_for

REPOSITORY = Path(__file__).resolve().parent.parent
Rows = list[dict[str, Any]]


class Twin:
    """A running sandbox. It dies with this process, even if nobody stops it."""

    full_key = FULL_KEY

    def __init__(self, port: int = 0) -> None:
        command = [sys.executable, "-m", "connections.klaviyo.sandbox", "--port", str(port), "--until-input-ends"]
        self._process = subprocess.Popen(
            command, cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._process.stdout is not None
        self.url = self._process.stdout.readline().rsplit(" ", 1)[-1].strip()
        assert self.url.startswith("http://127.0.0.1:"), "the sandbox did not start"
        self._session = requests.Session()
        self._session.trust_env = False

    @property
    def pid(self) -> int:
        return self._process.pid

    def key(self, account: str = "DemoA1", kind: str = "full") -> str:
        """A private key of any account (six letters or digits) and kind: full, noevents, profilesonly, revoked …"""
        return key_for(account, kind)

    def requests(self, **narrowed_by: Any) -> Rows:
        """Every call as it came, oldest first; narrowed by account, path, status, since, after, limit."""
        return self._get("requests", narrowed_by)

    def events(self, **narrowed_by: Any) -> Rows:
        """What was recorded, after drops and de-duplication; narrowed by account, metric, unique_id, email, since."""
        return self._get("events", narrowed_by)

    def profiles(self, **narrowed_by: Any) -> Rows:
        return self._get("profiles", narrowed_by)

    def state(self) -> dict[str, Any]:
        """Counts only: answers by status, and per account events, profiles, duplicates, dropped."""
        return self._get("state", {})

    def faults(self) -> Rows:
        """The faults still queued."""
        return self._get("faults", {})

    def fault(self, **order: Any) -> None:
        """Queue one, such as fault(status=500, count=2, path="/api/events"); see sandbox/faults.py for all of them."""
        self._post("faults", order)

    def clear_faults(self) -> None:
        """Those that are still queued, and those without an end."""
        self._session.delete(f"{self.url}/_sandbox/faults", timeout=60).raise_for_status()

    def settings(self, **changes: Any) -> dict[str, Any]:
        """Turn switches, such as settings(phone_mode="partial"); returns all of them. See sandbox/switches.py."""
        return self._post("settings", changes)

    def reset(self) -> None:
        self._post("reset", {})

    def stop(self) -> None:
        self._session.close()
        self._process.terminate()
        self._process.communicate(timeout=10)

    def _get(self, what: str, query: dict[str, Any]) -> Any:
        answer = self._session.get(f"{self.url}/_sandbox/{what}", params=query, timeout=60)
        answer.raise_for_status()
        return answer.json()

    def _post(self, what: str, content: dict[str, Any]) -> Any:
        answer = self._session.post(f"{self.url}/_sandbox/{what}", json=content, timeout=60)
        assert answer.ok, answer.text
        return answer.json()


@pytest.fixture(scope="session")
def twin_server() -> Iterator[Twin]:
    """One sandbox for the session, or for each xdist worker."""
    server = Twin()
    yield server
    server.stop()


@pytest.fixture
def twin(twin_server: Twin) -> Twin:
    """The session's sandbox, as on its first day."""
    twin_server.reset()
    return twin_server
