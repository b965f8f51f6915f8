"""The queue's cluster as a process group of its own: started, watched, ended with all its orphans.

Under `manage.py worker`. The cluster's processes outlive their parent when it is killed, and one that is killed while
idle can leave all others waiting for a lock for ever; so the group is ended as a whole, and by its recorded id only.
"""

import logging
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path

from django.conf import settings
from django.db import Error as DatabaseFailure
from django.utils import timezone

from connections.models import KlaviyoAccount
from events.models import Inbox
from webhooks_log import stopping
from webhooks_log.models import Heartbeat

logger = logging.getLogger("viaduct.worker")

GRACE_SECONDS = 10.0


class Cluster:
    """One django-q2 cluster of this worker."""

    def __init__(self, host: str) -> None:
        self.record = f"{records_of(host)}{os.getpid()}"
        self.folder = Path(tempfile.mkdtemp(prefix="viaduct-"))
        self.process: subprocess.Popen[bytes] | None = None
        self.is_remembered = False
        self._life: tuple[float, float] = (0.0, 0.0)  # the last sign of life, and when it was first seen

    def start(self) -> None:
        stop_file = self.folder / f"stop-{time.monotonic_ns()}"
        self.stop_file = stop_file
        self.process = subprocess.Popen(
            [sys.executable, "-m", "django", "qcluster"],
            cwd=settings.BASE_DIR,
            env={**os.environ, stopping.VARIABLE: str(stop_file)},
            start_new_session=True,
        )
        self.is_remembered = False
        self._life = (0.0, time.monotonic())

    def remember(self) -> None:
        """Note which processes are ours, so that a later worker can end them if this one is killed."""
        if self.process is None or self.is_remembered:
            return
        detail = {
            "group": self.process.pid,
            "stop_file": str(self.stop_file),
            "worker": [os.getpid(), born(os.getpid())],
        }
        Heartbeat.objects.update_or_create(name=self.record, defaults={"at": timezone.now(), "detail": detail})
        self.is_remembered = True

    def is_running(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def silent_seconds(self) -> float:
        """How long no task has run in this very cluster, by a clock that nobody sets."""
        file = stopping.life_of(self.stop_file)
        life = file.stat().st_mtime if file.exists() else 0.0
        if life != self._life[0]:
            self._life = (life, time.monotonic())
        return time.monotonic() - self._life[1]

    def stop(self, *, grace_seconds: float = GRACE_SECONDS) -> None:
        """Ask long jobs to leave, then the cluster, then end whatever is left of its group."""
        if self.process is None:
            return
        self.stop_file.touch()
        with suppress(DatabaseFailure):  # then nobody can give a lease back either
            self._wait_for_jobs(grace_seconds / 2)
        with suppress(ProcessLookupError):
            self.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(grace_seconds / 4)
        end_group(self.process.pid)
        self.process.wait()
        self.process = None
        with suppress(DatabaseFailure):
            Heartbeat.objects.filter(name=self.record).delete()
        shutil.rmtree(self.folder, ignore_errors=True)

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
    """End what killed workers of this host left behind, if it is really ours; living workers' clusters are theirs."""
    for record in Heartbeat.objects.filter(name__startswith=records_of(host)):
        worker, birth = record.detail["worker"]
        if born(worker) == birth:
            continue
        if is_ours(record.detail["group"], record.detail["stop_file"]):
            logger.warning("Ending the orphans of an earlier worker")
            end_group(record.detail["group"])
        record.delete()


def records_of(host: str) -> str:
    """What the names of a host's cluster records start with; the worker's process id follows."""
    return f"cluster:{host[:40]}:"


def born(pid: int) -> str:
    """When a process started, in the system's own count: with its id this names one process for ever. "" if none."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    return ""


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
