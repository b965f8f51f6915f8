"""The processes of `make run` under one supervisor: started together, kept up, stopped together.

Beside the corridor. What runs stands in the Procfile; a process that is killed comes back, one that ends ends all.
"""

import ctypes
import multiprocessing
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from multiprocessing.synchronize import Event
from pathlib import Path
from typing import Any

import honcho.manager
from honcho.environ import parse_procfile
from honcho.printer import Printer
from honcho.process import Popen, Process

START_PATIENCE_SECONDS = 60.0
STOP_PATIENCE_SECONDS = 20  # a worker finishes its calls on the wire first
DEMO_DAY_SECONDS = 10.0  # what it does later is done in the background
PR_SET_CHILD_SUBREAPER = 36
RESTART_SECONDS = 1.0
STOPPED_BY_HAND = (130, 143)


class Together:
    """The Procfile's processes under one supervisor; beside them, once the web answers, a first demo day."""

    def __init__(self, folder: Path, environ: Mapping[str, str], card: str, *, has_demo_day: bool) -> None:
        self.folder, self.environ, self.card, self.has_demo_day = folder, dict(environ), card, has_demo_day
        self.demo_day: subprocess.Popen[bytes] | None = None
        self.is_over = threading.Event()
        honcho.manager.KILL_WAIT = STOP_PATIENCE_SECONDS + 5
        self.manager = Keeper()
        for name, command in parse_procfile((folder / "Procfile").read_text()).processes.items():
            self.manager.add_process(name, command, env=self.environ, cwd=str(folder))

    def stay(self) -> int:
        """The exit status: 0 after Ctrl-C, that of the process which ended else."""
        signal.signal(signal.SIGHUP, lambda *_: os.kill(os.getpid(), signal.SIGTERM))  # the terminal was closed
        welcome = threading.Thread(target=self.welcome, daemon=True)
        welcome.start()
        try:
            self.manager.loop()
        finally:
            self.is_over.set()
            welcome.join()
            self.end_demo_day()
        status: int = self.manager.returncode
        return 0 if status in STOPPED_BY_HAND else status

    def welcome(self) -> None:
        """Once both answer, let the demo day begin; where everything is, is the last word on the screen."""
        if not (self.waits_for("PORT") and self.waits_for("SANDBOX_PORT")):
            return
        if self.has_demo_day:
            command = [sys.executable, "manage.py", "demo_day", "--short"]
            self.demo_day = subprocess.Popen(command, cwd=self.folder, env=self.environ | {"TQDM_DISABLE": "1"})
            self.lets_play_for(DEMO_DAY_SECONDS)
        if not self.is_over.is_set():
            print(self.card, flush=True)

    def lets_play_for(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while self.demo_day and self.demo_day.poll() is None and time.monotonic() < until:
            if self.is_over.wait(0.1):
                return

    def waits_for(self, name: str) -> bool:
        until = time.monotonic() + START_PATIENCE_SECONDS
        while time.monotonic() < until and not self.is_over.wait(0.1):
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", int(self.environ[name]))) == 0:
                    return True
        return False

    def end_demo_day(self) -> None:
        if self.demo_day is not None and self.demo_day.poll() is None:
            self.demo_day.terminate()
            self.demo_day.wait()


class Keeper(honcho.manager.Manager):  # type: ignore[misc]  # honcho is not typed
    """Stops its processes by an event that they all see, also while one of them is being started again."""

    def __init__(self) -> None:
        super().__init__(Printer(sys.stdout))
        self.is_stopping = multiprocessing.Event()
        self._process_ctor = partial(Kept, self.is_stopping)

    def terminate(self) -> None:
        self.is_stopping.set()


class Kept(Process):  # type: ignore[misc]  # honcho is not typed
    """A process that is started again when something kills it, and asked to end when all are to stop.

    honcho's own waits for the end of the output, which the orphans of a killed process hold open for ever.
    """

    def __init__(self, is_stopping: Event, *args: Any, **named: Any) -> None:
        super().__init__(*args, **named)
        self.is_stopping = is_stopping

    def run(self, events: Any = None, ignore_signals: bool = False) -> None:
        self._events = events
        if ignore_signals:  # the terminal's Ctrl-C is the supervisor's; a handler, unlike SIG_IGN, is not inherited
            signal.signal(signal.SIGINT, lambda *_: None)
            signal.signal(signal.SIGTERM, lambda *_: None)
        adopt_orphans()
        status = self.run_once()
        while status < 0 and not self.is_stopping.wait(RESTART_SECONDS):
            self._send_message(f"it was killed by signal {-status} and is started again\n")
            status = self.run_once()
        self._send_message({"returncode": status}, type="stop")

    def run_once(self) -> int:
        """The exit status: negative is the signal that killed it."""
        child = Popen(f"exec {self.cmd}", env=self.env, cwd=self.cwd)
        self._send_message({"pid": child.pid}, type="start")
        output = threading.Thread(target=self.relay, args=(child.stdout,), daemon=True)
        output.start()
        status = self.wait_for(child)
        end_group(child.pid, signal.SIGKILL)  # children that outlived it, such as a web server's
        end_children()  # and those in groups of their own, such as the queue's
        output.join(1.0)
        return status

    def wait_for(self, child: subprocess.Popen[bytes]) -> int:
        """Until it ends; once all are to stop it is asked to, and in the end made to."""
        while child.poll() is None and not self.is_stopping.wait(0.1):
            pass
        if child.poll() is None:
            end_group(child.pid, signal.SIGTERM)
        try:
            return child.wait(STOP_PATIENCE_SECONDS)
        except subprocess.TimeoutExpired:
            end_group(child.pid, signal.SIGKILL)
            return child.wait()

    def relay(self, output: Any) -> None:
        for line in iter(output.readline, b""):
            self._send_message(line)


def end_group(group: int, how: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, how)


def adopt_orphans() -> None:
    """Whatever loses its parent below this process becomes its child (Linux; elsewhere the next worker ends them)."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)


def end_children() -> None:
    """Nothing of a process that ended lives on, and its children's children come next."""
    while pids := [int(pid) for told in Path("/proc/self/task").glob("*/children") for pid in told.read_text().split()]:
        for pid in pids:
            with suppress(ProcessLookupError, ChildProcessError):
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
