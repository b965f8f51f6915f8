"""The web process ends when it is told to, however early: a restart waits for nothing."""

import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psutil
import pytest
import requests

from tests.running import ROOT, environment, web_command
from tests.servers import free_port

PATIENCE_SECONDS = 30


@pytest.mark.parametrize("after", [0.0, 0.3])
def test_it_ends_also_while_a_part_of_it_still_starts(
    tmp_path: Path, empty_sqlite: Callable[[Path], str], after: float
) -> None:
    """granian's parts wait for ever for a signal that came before they could hear it; the command bounds that."""
    environ = environment(empty_sqlite(tmp_path))
    port = free_port()
    running = subprocess.Popen([sys.executable, "-m", *web_command(port)], cwd=ROOT, env=environ)
    until = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < until:
        with suppress(requests.ConnectionError):
            requests.get(f"http://127.0.0.1:{port}/healthz", timeout=10)
            break
        time.sleep(0.02)
    parts = psutil.Process(running.pid).children(recursive=True)
    time.sleep(after)
    running.terminate()
    running.wait(PATIENCE_SECONDS)
    assert not [part for part in parts if part.is_running() and part.status() != psutil.STATUS_ZOMBIE]
