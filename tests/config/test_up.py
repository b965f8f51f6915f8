"""`make run`: what is in its way, what its processes are told, and that it comes, goes and comes again."""

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import requests

from config.up import environment, what_is_in_the_way
from tests.servers import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
NOT_IN_A_CLONE = (".git", ".venv", ".env", "*.sqlite3*", "__pycache__", ".*_cache", "staticfiles", "tests")
PATIENCE_SECONDS = 90
# What a killed worker held is free again soon.
SHORT_LEASES = {"LANE_LEASE_SECONDS": "4", "DISPATCH_LEASE_SECONDS": "4", "KLAVIYO_TOTAL_SECONDS": "3"}


def test_a_port_in_use_is_one_clear_line() -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        assert what_is_in_the_way(port, free_port()).startswith(f"Port {port} is in use.")
        assert "SANDBOX_PORT" in what_is_in_the_way(free_port(), port)


def test_two_free_ports_are_no_obstacle() -> None:
    assert what_is_in_the_way(free_port(), free_port()) == ""


def test_one_port_for_both_is_refused() -> None:
    assert what_is_in_the_way(8000, 8000) == "PORT and SANDBOX_PORT are both 8000; give them different numbers."


def test_the_sandbox_stands_in_for_klaviyo_whatever_the_environment_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KLAVIYO_BASE_URL", "https://a.klaviyo.com")
    assert environment(8010, 8910)["KLAVIYO_BASE_URL"] == "http://127.0.0.1:8910"


def test_a_port_that_is_no_number_is_one_clear_line(tmp_path: Path) -> None:
    house = House(tmp_path / "house")
    environ = {"PATH": os.environ["PATH"], "PORT": "abc"}
    command = [sys.executable, "-m", "config.up"]
    told = subprocess.run(command, cwd=house.folder, env=environ, capture_output=True, text=True, check=False)
    assert (told.returncode, len(told.stderr.splitlines())) == (1, 1)
    assert "PORT and SANDBOX_PORT are numbers" in told.stderr


@pytest.mark.parametrize("name", ["mine.env", "nowhere/mine.env"])
def test_the_file_that_env_file_names_is_written_and_no_other(tmp_path: Path, name: str) -> None:
    house = House(tmp_path / "house")
    environ = {"PATH": os.environ["PATH"], "PORT": "8000", "SANDBOX_PORT": "8000", "ENV_FILE": f"{tmp_path}/{name}"}
    command = [sys.executable, "-m", "config.up"]
    told = subprocess.run(command, cwd=house.folder, env=environ, capture_output=True, text=True, check=False)
    assert (told.returncode, len(told.stderr.splitlines())) == (1, 1)
    assert ("PORT and SANDBOX_PORT are both" if name == "mine.env" else "cannot be written") in told.stderr
    assert (tmp_path / name).exists() == (name == "mine.env")
    assert not (house.folder / ".env").exists()


class House:
    """A copy of the project in a folder of its own, started as `make run` starts it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.web, self.sandbox = free_port(), free_port()
        self.log = folder.parent / "log"
        shutil.copytree(ROOT, folder, ignore=shutil.ignore_patterns(*NOT_IN_A_CLONE))

    def start(self) -> None:
        environ = {name: os.environ[name] for name in ("PATH", "HOME", "TMPDIR") if name in os.environ}
        environ |= {"PORT": str(self.web), "SANDBOX_PORT": str(self.sandbox)} | SHORT_LEASES
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "config.up"], cwd=self.folder, env=environ, stdout=log, stderr=log
            )
        self.wait_for("Ctrl-C stops everything")

    def wait_for(self, words: str) -> str:
        until = time.monotonic() + PATIENCE_SECONDS
        while words not in self.log.read_text() and self.process.poll() is None and time.monotonic() < until:
            time.sleep(0.1)
        said = self.log.read_text()
        assert words in said
        return said

    def kill(self, words: str) -> None:
        """End one of its processes the hard way, by what stands in its command line; its own children must follow."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        victim = next(each for each in family if words in " ".join(each.cmdline()))
        orphans = victim.children(recursive=True)
        victim.kill()
        _, alive = psutil.wait_procs(orphans, timeout=10)
        assert alive == []

    def stop(self) -> int:
        """The exit status of Ctrl-C; AssertionError if anything it started lives on."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(signal.SIGINT)
        status = self.process.wait(PATIENCE_SECONDS)
        _, alive = psutil.wait_procs(family, timeout=5)
        assert alive == []
        return status

    def post_the_printed_order(self) -> int:
        said = self.log.read_text()
        key = re.search(r"^API key: (\S+)$", said, re.MULTILINE)
        order = re.search(r"-d '(.*?)'$", said, re.MULTILINE | re.DOTALL)
        assert key
        assert order
        headers = {"Authorization": f"Bearer {key[1]}", "Content-Type": "application/json"}
        return requests.post(
            f"http://127.0.0.1:{self.web}/api/v1/events", data=order[1].encode(), headers=headers, timeout=20
        ).status_code

    def recorded(self, email: str) -> list[str]:
        """The metrics that the sandbox recorded of a customer."""
        events = requests.get(f"http://127.0.0.1:{self.sandbox}/_sandbox/events", timeout=20).json()
        return sorted(event["metric"] for event in events if event["email"] == email)

    def recorded_in_time(self, email: str, count: int) -> list[str]:
        until = time.monotonic() + PATIENCE_SECONDS
        while len(self.recorded(email)) < count and time.monotonic() < until:
            time.sleep(0.1)
        return self.recorded(email)


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    started = House(tmp_path / "viaduct")
    started.start()
    yield started
    if started.process.poll() is None:
        started.stop()


def test_it_comes_up_outlives_a_killed_worker_and_stops_without_a_trace(house: House) -> None:
    house.kill("manage.py worker")
    house.wait_for("it was killed by signal 9 and is started again")
    assert house.post_the_printed_order() == 202
    assert house.post_the_printed_order() == 200
    assert house.recorded_in_time("john.doe@klaviyo-demo.com", 3) == [
        "Ordered Product",
        "Placed Order",
        "Started Subscription",
    ]
    logins = re.findall(r"Password: (\S+)", house.log.read_text())
    assert house.stop() == 0

    house.start()
    assert re.findall(r"Password: (\S+)", house.log.read_text()) == logins
    assert "Demo day" not in house.log.read_text()
    assert house.stop() == 0
