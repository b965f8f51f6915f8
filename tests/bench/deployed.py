"""Viaduct's processes with the very commands of `deploy/`: the image's and those that compose puts in their place.

For the game day and the image's steps, so that what they show is what runs in earnest.
"""

import json
import re
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.running import ROOT, manage, process
from tests.servers import free_port

DOCKERFILE = (ROOT / "deploy/Dockerfile").read_text()
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]
PROXIED = {"X-Forwarded-Proto": "https"}  # what the proxy in front says
PATIENCE_SECONDS = 60


def command(service: str) -> list[str]:
    """What the service runs: its own command, else the image's."""
    own = SERVICES[service].get("command")
    return own or json.loads(re.findall(r"^CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[-1])


def migrate(environ: dict[str, str]) -> None:
    """The migrate service, once."""
    manage(environ | SERVICES["migrate"]["environment"], *command("migrate")[2:])


def health_check() -> list[str]:
    return json.loads(re.findall(r"^ +CMD (\[.*\])$", DOCKERFILE, re.MULTILINE)[0])


def documented() -> dict[str, str]:
    """The production environment's example, where it says anything; addresses and secrets come from the caller."""
    example = (ROOT / "deploy/production.env.example").read_text()
    return dict(re.findall(r"^(HTTPS|BEHIND_PROXY|LOG_FORMAT|DEBUG)=(.+)$", example, re.MULTILINE))


@contextmanager
def web(environ: dict[str, str], *, log: Path, port: int | None = None) -> Iterator[int]:
    """The web service on that port or on one of its own, once it answers."""
    port = port or free_port()
    words = [word.replace("8000", str(port)).replace("0.0.0.0", "127.0.0.1") for word in command("web")]
    with process(environ, "-m", *words, log=log):
        wait_for(f"http://127.0.0.1:{port}/healthz")
        yield port


@contextmanager
def worker(environ: dict[str, str], name: str, *, log: Path) -> Iterator[int]:
    with process(environ | {"WORKER_NAME": name}, *command("worker")[1:], log=log) as pid:
        yield pid


def wait_for(address: str) -> None:
    """Until it says yes; TimeoutError after a while."""
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        try:
            urllib.request.urlopen(address)
        except OSError:  # not yet there, or not yet well
            time.sleep(0.1)
        else:
            return
    raise TimeoutError(f"{address} did not answer")
