"""Viaduct as real processes: an environment, a migrated database, a web server, a worker.

For tests and benchmarks that need what only processes have: several of them, real sockets, and ends that come suddenly.
"""

import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import die_with_parent, free_port

ROOT = Path(__file__).resolve().parent.parent
APPLICATION = "config.wsgi:application"


# No `.env` and no secrets of a developer; nobody listens where Klaviyo would be: a test names its own twin.
BARE = {
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "ENV_FILE": os.devnull,
    "DEBUG": "false",
    "SECRET_KEY": "only-for-tests-" + "k" * 50,
    "FIELD_KEYS": "b25seS1mb3ItdGVzdHMtb25seS1mb3ItdGVzdHMhISE=",
    "FINGERPRINT_KEY": "only-for-tests-" + "p" * 50,
    "KLAVIYO_BASE_URL": "http://127.0.0.1:9",
}


def environment(database_url: str, **more: str) -> dict[str, str]:
    """The environment of a Viaduct of its own, as production would have it."""
    return os.environ | {
        **BARE,
        "EMAIL_URL": "dummymail://",
        "LOG_LEVEL": "ERROR",
        "REDIS_URL": "",
        "QUEUE_NAME": f"viaduct-{os.getpid()}",
        "DATABASE_URL": database_url,
        **more,
    }


def manage(environ: dict[str, str], *arguments: str) -> str:
    """What a management command prints."""
    return _run(environ, "manage.py", *arguments)


def module(environ: dict[str, str], name: str) -> str:
    """What a module prints when it is run."""
    return _run(environ, "-m", name)


@contextmanager
def web(
    environ: dict[str, str], application: str = APPLICATION, *, log: Path | None = None
) -> Iterator[tuple[int, int]]:
    """Granian as the Procfile starts it: the port and the process id."""
    port = free_port()
    with process(environ, "-m", *web_command(port, application), log=log) as pid:
        _wait(f"http://127.0.0.1:{port}/api/v1/nothing")
        yield port, pid


def web_command(port: int, application: str = APPLICATION) -> list[str]:
    """The Procfile's words, on that port and quiet."""
    told = dict(line.split(": ", 1) for line in (ROOT / "Procfile").read_text().splitlines())["web"]
    words = told.replace("$PORT", str(port)).replace("--log-level warning", "--log-level error").split()
    return [*words[:-1], application]


@contextmanager
def process(environ: dict[str, str], *arguments: str, log: Path | None = None) -> Iterator[int]:
    """A Python process that ends with the block: its id. What it says goes into `log`, or nowhere."""
    with (log or Path(os.devnull)).open("ab") as told:
        running = subprocess.Popen(
            [sys.executable, *arguments],
            cwd=ROOT,
            env=environ,
            preexec_fn=die_with_parent,  # noqa: PLW1509 - the tests that use it have no threads yet
            stdout=told,
            stderr=told,
        )
    try:
        yield running.pid
    finally:
        running.terminate()
        running.wait(30)


def _run(environ: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environ, check=False, capture_output=True, text=True
    )
    if done.returncode:
        raise RuntimeError(done.stderr)
    return done.stdout


def _wait(address: str) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(address)
        except urllib.error.HTTPError:
            return  # it answers
        except OSError:
            time.sleep(0.1)
    raise TimeoutError("the web server did not start")
