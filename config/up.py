"""`make run`: prepares the demo on this machine, starts web, worker and Klaviyo sandbox, and stops them together.

Beside the corridor: everything it starts stands in the Procfile and can be started without it. Nothing it starts talks
to anything but this machine.
"""

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import django
import honcho.manager
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connections
from honcho.environ import parse_procfile
from honcho.printer import Printer

from config.envfile import write_if_missing

FOLDER = Path(__file__).resolve().parent.parent
LOOPBACK = ("localhost", "127.0.0.1", "::1")
START_PATIENCE_SECONDS = 60.0
DEMO_DAY_SECONDS = 10.0  # what it does later is done in the background
STOPPED_BY_HAND = (130, 143)
STOP_PATIENCE_SECONDS = 20  # a worker finishes its calls on the wire first


def main() -> int:
    """The exit status: 0 after Ctrl-C, 1 where something is in the way."""
    fresh = write_if_missing(FOLDER)
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        obstacle = what_is_in_the_way(settings.PORT, settings.SANDBOX_PORT)
    except ImproperlyConfigured as why:
        obstacle = str(why)
    if obstacle:
        print(obstacle, file=sys.stderr)
        return 1
    if fresh:
        print("Wrote .env with fresh secrets; only you can read it.", flush=True)
    return run(environment(settings.PORT, settings.SANDBOX_PORT))


def what_is_in_the_way(port: int, sandbox_port: int) -> str:
    """One sentence, or nothing."""
    if port == sandbox_port:
        return f"PORT and SANDBOX_PORT are both {port}; give them different numbers."
    for name, number in (("PORT", port), ("SANDBOX_PORT", sandbox_port)):
        if is_taken(number):
            return f"Port {number} is in use. Stop what uses it, or choose another: make run {name}={number + 10}"
    return ""


def is_taken(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def environment(port: int, sandbox_port: int) -> dict[str, str]:
    """What the processes are started with: the ports, and the sandbox in Klaviyo's place, whatever `.env` says."""
    public = settings.PUBLIC_URL
    return os.environ | {
        "PORT": str(port),
        "SANDBOX_PORT": str(sandbox_port),
        "KLAVIYO_BASE_URL": f"http://127.0.0.1:{sandbox_port}",
        "PUBLIC_URL": f"http://localhost:{port}" if urlsplit(public).hostname in LOOPBACK else public,
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        "PYTHONUNBUFFERED": "1",
    }


def run(environ: dict[str, str]) -> int:
    """Prepare the database and the demo, then stay until Ctrl-C or until one process ends."""
    os.environ.update(environ)
    django.setup()
    call_command("migrate", verbosity=0)
    card = StringIO()
    call_command("demo_setup", stdout=card)
    is_new = not apps.get_model("events", "Event").objects.exists()
    settings.STATIC_ROOT.mkdir(exist_ok=True)  # empty here: files are served from where they lie
    connections.close_all()  # the processes to come are forked from this one
    return Together(environ, card.getvalue(), has_demo_day=is_new).stay()


class Together:
    """The Procfile's processes under one supervisor; beside them, once the web answers, a first demo day."""

    def __init__(self, environ: Mapping[str, str], card: str, *, has_demo_day: bool) -> None:
        self.environ, self.card, self.has_demo_day = dict(environ), card, has_demo_day
        self.demo_day: subprocess.Popen[bytes] | None = None
        self.is_over = threading.Event()
        honcho.manager.KILL_WAIT = STOP_PATIENCE_SECONDS
        self.manager = honcho.manager.Manager(Printer(sys.stdout))
        for name, command in parse_procfile((FOLDER / "Procfile").read_text()).processes.items():
            self.manager.add_process(name, command, env=self.environ, cwd=str(FOLDER))

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
            self.demo_day = subprocess.Popen(command, cwd=FOLDER, env=self.environ | {"TQDM_DISABLE": "1"})
            self.lets_play_for(DEMO_DAY_SECONDS)
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


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(0)
