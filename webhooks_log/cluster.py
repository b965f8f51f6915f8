"""The queue's cluster as a process group of its own: started, watched, ended with all its orphans.

Under `manage.py worker`. The cluster's processes outlive their parent when it is killed, and one that is killed while
idle can leave all others waiting for a lock for ever; so the group is ended as a whole, and by its recorded id only.
"""

import logging
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from django.utils import timezone

from connections.models import KlaviyoAccount
from events.models import Inbox
from webhooks_log import stopping
from webhooks_log.models import Heartbeat

logger = logging.getLogger("viaduct.worker")

GRACE_SECONDS = 10.0


class Cluster:
    """One django-q2 cluster of this host."""

    def __init__(self, host: str) -> None:
        self.record = f"cluster:{host}"
        self.folder = Path(tempfile.mkdtemp(prefix="viaduct-"))
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        stop_file = self.folder / f"stop-{time.monotonic_ns()}"
        self.stop_file = stop_file
        self.process = subprocess.Popen(
            [sys.executable, "-m", "django", "qcluster"],
            env={**os.environ, stopping.VARIABLE: str(stop_file)},
            start_new_session=True,
        )
        remember(self.record, self.process.pid, str(stop_file))

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def stop(self, *, grace_seconds: float = GRACE_SECONDS) -> None:
        """Ask long jobs to leave, then the cluster, then end whatever is left of its group."""
        if self.process is None:
            return
        self.stop_file.touch()
        self._wait_for_jobs(grace_seconds / 2)
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(grace_seconds / 2)
        end_group(self.process.pid)
        self.process.wait()
        self.process = None

    def restart(self) -> None:
        if self.process is not None:
            end_group(self.process.pid)
            self.process.wait()
        self.start()

    def _wait_for_jobs(self, seconds: float) -> None:
        """A moment for pumps to give their leases back: they look for the file many times a second."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and self.process and holds_leases(self.process.pid):
            time.sleep(0.05)


def end_orphans(host: str) -> None:
    """End what an earlier worker of this host left behind, if it is really ours."""
    record = Heartbeat.objects.filter(name=f"cluster:{host}").first()
    if record is not None and is_ours(int(record.detail["group"]), record.detail["stop_file"]):
        logger.warning("Ending the orphans of an earlier worker")
        end_group(int(record.detail["group"]))


def remember(record: str, group: int, stop_file: str) -> None:
    Heartbeat.objects.update_or_create(
        name=record, defaults={"at": timezone.now(), "detail": {"group": group, "stop_file": stop_file}}
    )


def holds_leases(group: int) -> bool:
    """Whether a process of this group still holds a lane or an inbox."""
    host = f"{socket.gethostname()}:"
    held = [
        holder
        for row in (KlaviyoAccount, Inbox)
        for holder in row.objects.filter(lease_holder__startswith=host, leased_until__gt=timezone.now()).values_list(
            "lease_holder", flat=True
        )
    ]
    return any(group_of(int(holder.rpartition(":")[2])) == group for holder in held)


def group_of(pid: int) -> int:
    """The process group of a process; 0 when it is gone."""
    try:
        return os.getpgid(pid)
    except ProcessLookupError:
        return 0


def end_group(group: int) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)


def is_ours(group: int, stop_file: str) -> bool:
    """Whether a living member of this process group was started with this stop file."""
    wanted = f"{stopping.VARIABLE}={stop_file}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ProcessLookupError):
            if group_of(int(entry.name)) == group and wanted in (entry / "environ").read_bytes().split(b"\0"):
                return True
    return False
