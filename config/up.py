"""`make run`: prepares the demo on this machine, starts web, worker and Klaviyo sandbox, and stops them together.

Beside the corridor: everything it starts stands in the Procfile and can be started without it. Nothing it starts talks
to anything but this machine.
"""

import os
import socket
import sys
from io import StringIO
from pathlib import Path
from urllib.parse import urlsplit

import django
from django.apps import apps
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.db import connections

from config.envfile import env_file, write_if_missing
from config.together import Together

FOLDER = Path(__file__).resolve().parent.parent
LOOPBACK = ("localhost", "127.0.0.1", "::1")


def main() -> int:
    """The exit status: 0 after Ctrl-C, 1 where something is in the way."""
    file = env_file(FOLDER)
    try:
        fresh = write_if_missing(FOLDER, file)
    except OSError as why:
        print(f"{file} is not there and cannot be written: {why.strerror}. See ENV_FILE.", file=sys.stderr)
        return 1
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    try:
        obstacle = what_is_in_the_way(settings.PORT, settings.SANDBOX_PORT)
    except ImproperlyConfigured as why:
        obstacle = str(why)
    except ValueError as why:  # what the environment says where a number is wanted
        obstacle = f"A setting is not what it should be, {why}. PORT and SANDBOX_PORT are numbers, such as 8000."
    if obstacle:
        print(obstacle, file=sys.stderr)
        return 1
    if fresh:
        print(f"Wrote {file.name} with fresh secrets; only you can read it.", flush=True)
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
    return Together(FOLDER, environ, card.getvalue(), has_demo_day=is_new).stay()


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit(0)
