"""Private PostgreSQL and Redis servers for the tests: temporary folders, free ports, nobody else's data.

`python -m tests.servers COMMAND…` runs a command with TEST_DATABASE_URL and TEST_REDIS_URL pointing at a pair of them;
where one of the two is already set, that outside server is used and neither started nor stopped.
"""

import ctypes
import glob
import os
import pwd
import random
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any, Self

PATIENCE_SECONDS = 30.0
PR_SET_PDEATHSIG = 1


class Server:
    """One child process on a free port; `stop`, `kill` and `start` again are there to provoke faults."""

    folder: Path

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="viaduct-server-"))
        self.port = free_port()
        self.process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.prepare()
        self.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def start(self) -> None:
        """Returns when the server takes connections; RuntimeError with its log when it does not."""
        log = (self.folder / "log").open("ab")
        with log:
            self.process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.folder, **self.identity()
            )
        self.wait_until_ready()

    def stop(self) -> None:
        """A clean end; open connections are cut."""
        self.end(signal.SIGINT)

    def kill(self) -> None:
        """The power goes off."""
        self.end(signal.SIGKILL)

    def end(self, how: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(how)
            self.process.wait(PATIENCE_SECONDS)
            self.process = None

    def wait_until_ready(self) -> None:
        until = time.monotonic() + PATIENCE_SECONDS
        while not self.is_ready():
            if self.process is None or self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self.folder / "log").read_text(errors="replace") or "the server did not start")
            time.sleep(0.05)

    def identity(self) -> dict[str, Any]:
        return {"preexec_fn": die_with_parent}

    def prepare(self) -> None: ...

    def command(self) -> list[str]: ...

    def is_ready(self) -> bool: ...


class Postgres(Server):
    """PostgreSQL without fsync; as root it runs under an unprivileged account, as it demands."""

    @property
    def url(self) -> str:
        """For DATABASE_URL: the empty database `postgres` over TCP."""
        return f"postgres://viaduct@127.0.0.1:{self.port}/postgres"

    def prepare(self) -> None:
        account = self.identity()
        if "user" in account:
            os.chown(self.folder, account["user"], account["group"])
        subprocess.run(
            [program("initdb"), "-D", "data", "-U", "viaduct", "-A", "trust", "-E", "UTF8", "--no-locale", "--no-sync"],
            cwd=self.folder,
            check=True,
            capture_output=True,
            **account,
        )

    def command(self) -> list[str]:
        options = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.folder),
            "fsync": "off",
            "max_connections": "200",
        }
        return [program("postgres"), "-D", "data", *(f"--{name}={value}" for name, value in options.items())]

    def is_ready(self) -> bool:
        ask = [program("pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(self.port), "-U", "viaduct", "-d", "postgres"]
        return subprocess.run(ask, check=False, capture_output=True).returncode == 0

    def kill(self) -> None:
        """The power goes off: SIGQUIT ends all its processes at once, without a checkpoint."""
        self.end(signal.SIGQUIT)

    def identity(self) -> dict[str, Any]:
        if os.geteuid() != 0:
            return super().identity()
        account = unprivileged()
        return super().identity() | {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}


class RedisServer(Server):
    """Redis that keeps nothing on disk."""

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def command(self) -> list[str]:
        options = {"port": str(self.port), "bind": "127.0.0.1", "save": "", "appendonly": "no", "dir": str(self.folder)}
        return [program("redis-server"), *(part for name, value in options.items() for part in (f"--{name}", value))]

    def is_ready(self) -> bool:
        with socket.socket() as client:
            client.settimeout(1)
            if client.connect_ex(("127.0.0.1", self.port)) != 0:
                return False
            client.sendall(b"PING\r\n")
            return client.recv(16).startswith(b"+PONG")


def is_missing(name: str) -> bool:
    """Whether this machine lacks a program that some tests need."""
    names = ("chromium", "chromium-browser", "google-chrome") if name == "chromium" else (name,)
    return not any(find(candidate) for candidate in names)


def program(name: str) -> str:
    """The path of a server program; FileNotFoundError with what to install."""
    path = find(name)
    if path is None:
        raise FileNotFoundError(f"{name} is not installed (Debian: apt-get install postgresql redis-server)")
    return path


def find(name: str) -> str | None:
    """Debian keeps PostgreSQL's own programs off the PATH, the newest version wins; and servers off that of some."""
    debian = sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), key=lambda path: int(path.split("/")[4]))
    return debian[-1] if debian else shutil.which(name) or shutil.which(name, path="/usr/sbin")


def free_port() -> int:
    """Below the range from which outgoing connections take theirs: a server that is away for a moment gets it back."""
    while True:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", random.randrange(20_000, 32_000)))
            return probe.getsockname()[1]


def unprivileged() -> pwd.struct_passwd:
    names = {account.pw_name: account for account in pwd.getpwall()}
    return names.get("postgres") or names["nobody"]


def die_with_parent() -> None:
    """A test run that is killed leaves no server behind (Linux only; elsewhere the clean end must do)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGINT)


def run_with_servers(command: Sequence[str]) -> int:
    """The command's exit status, after running it beside a private PostgreSQL and Redis."""
    environ = dict(os.environ)
    with ExitStack() as running:
        for name, kind in (("TEST_DATABASE_URL", Postgres), ("TEST_REDIS_URL", RedisServer)):
            if not environ.get(name):
                environ[name] = running.enter_context(kind()).url
        return subprocess.run(command, check=False, env=environ).returncode


if __name__ == "__main__":
    sys.exit(run_with_servers(sys.argv[1:]))
